/** People found by name or e-mail, and a link by which one of them who lost the password chooses a new one. */
import { useMutation } from '@tanstack/react-query';
import type { PasswordResetLink } from '@tollgate/shared/contracts/console/auth';
import type { FoundView } from '@tollgate/shared/contracts/console/platform';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { dateTime } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { Badge, messageOf } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { Reveal } from '../keys/reveal.tsx';

type Person = FoundView['users'][number];

export function People({ users }: { users: readonly Person[] }) {
  const [asking, setAsking] = useState<Person | null>(null);
  const make = useMutation({
    mutationFn: ({ email }: Person) => post<PasswordResetLink>('/api/password-resets', { email }),
    onSuccess: () => setAsking(null),
  });
  return (
    <>
      <Table
        caption="People found"
        rows={users}
        rowKey={(person) => person.userId}
        copyId={(person) => person.userId}
        columns={[
          {
            id: 'who',
            header: 'Person',
            cell: (person) => (
              <span className="inline-flex items-center gap-2 font-medium">
                {person.name} {person.operator ? <Badge tone="info">operator</Badge> : null}
              </span>
            ),
          },
          { id: 'email', header: 'E-mail', cell: (person) => <span className="break-all">{person.email}</span> },
          {
            id: 'reset',
            header: <span className="sr-only">New password</span>,
            numeric: true,
            cell: (person) => (
              <Button look="ghost" onClick={() => setAsking(person)}>
                New password
              </Button>
            ),
          },
        ]}
      />
      {asking ? (
        <Confirm
          open
          harmless
          onClose={() => {
            setAsking(null);
            make.reset();
          }}
          title={`A link for ${asking.email}?`}
          description="Whoever opens it chooses this person's password, once, within a day. Be sure to whom you hand it."
          action="Make the link"
          pending={make.isPending}
          error={make.error ? messageOf(make.error) : null}
          onConfirm={() => make.mutate(asking)}
        />
      ) : null}
      {make.data ? (
        <Reveal
          title="Link for a new password"
          note={`It works once, until ${dateTime(make.data.expiresAt)}. The second factor of the person stays.`}
          lines={[{ label: 'Link', text: `${location.origin}${make.data.link}` }]}
          onSaved={() => make.reset()}
        />
      ) : null}
    </>
  );
}
