import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { AccessTokenView } from '@tollgate/shared/contracts/console/auth';
import type { CreatedKey } from '@tollgate/shared/contracts/console/keys';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { dateOnly, relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { Empty, ErrorNote, Loaded, messageOf } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { Reveal } from '../keys/reveal.tsx';

const PATH = '/api/me/tokens';

/** Personal access tokens: this console's API from a script, as oneself. */
export function Tokens() {
  const { accountId, organisation } = useSession();
  const client = useQueryClient();
  const tokens = useQuery(listQuery<AccessTokenView>(PATH));
  const [open, setOpen] = useState(false);
  const [name, setName] = useState('');
  const [days, setDays] = useState('90');
  const [ending, setEnding] = useState<AccessTokenView | null>(null);
  const after = () => client.invalidateQueries({ queryKey: ['list', PATH] });
  const create = useMutation({
    mutationFn: () =>
      post<CreatedKey>(PATH, {
        accountId,
        name: name.trim(),
        expiresAt: days === '' ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString(),
      }),
    onSuccess: () => {
      setOpen(false);
      void after();
    },
  });
  const revoke = useMutation({
    mutationFn: (id: string) => post(`${PATH}/${id}/revoke`),
    onSuccess: () => {
      setEnding(null);
      void after();
    },
  });
  const live = (tokens.data ?? []).filter(({ revokedAt }) => revokedAt === null);
  return (
    <section className="flex flex-col gap-3" aria-labelledby="tokens">
      <header className="flex flex-wrap items-center justify-between gap-3">
        <div>
          <h2 id="tokens" className="text-lg font-semibold">
            Personal access tokens
          </h2>
          <p className="text-sm text-muted">
            For scripts that use this console's API as you. Models are reached with API keys.
          </p>
        </div>
        <Button onClick={() => setOpen(true)}>Create token</Button>
      </header>
      <Loaded query={tokens}>
        {() => (
          <Table
            caption="Personal access tokens"
            rows={live}
            rowKey={(token) => token.keyId}
            copyId={(token) => token.keyId}
            empty={<Empty title="No tokens" />}
            columns={[
              { id: 'name', header: 'Name', cell: (token) => <span className="font-medium">{token.name}</span> },
              {
                id: 'token',
                header: 'Token',
                from: 'sm',
                cell: (token) => <code className="text-muted">{`${token.prefix}…${token.last4}`}</code>,
              },
              { id: 'ends', header: 'Ends', cell: (token) => (token.expiresAt ? dateOnly(token.expiresAt) : 'never') },
              {
                id: 'used',
                header: 'Last used',
                from: 'md',
                cell: (token) => (token.lastUsedAt ? relative(token.lastUsedAt, Date.now()) : 'never'),
              },
              {
                id: 'revoke',
                header: <span className="sr-only">Revoke</span>,
                numeric: true,
                cell: (token) => (
                  <Button look="ghost" onClick={() => setEnding(token)}>
                    Revoke
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      {open ? (
        <Confirm
          open
          harmless
          onClose={() => setOpen(false)}
          title="Create a personal access token"
          description={`It acts as you in ${organisation.name}, with your role. It cannot make keys or move money.`}
          action="Create token"
          pending={create.isPending}
          error={create.error ? messageOf(create.error) : null}
          onConfirm={() => create.mutate()}
        >
          <TextField label="Name" required value={name} onChange={(event) => setName(event.target.value)} />
          <SelectField label="Ends" value={days} onChange={(event) => setDays(event.target.value)}>
            <option value="30">In 30 days</option>
            <option value="90">In 90 days</option>
            <option value="365">In a year</option>
            <option value="">Never</option>
          </SelectField>
        </Confirm>
      ) : null}
      {create.data ? (
        <Reveal
          title="Your new token"
          lines={[{ label: 'Token', text: create.data.key }]}
          onSaved={() => {
            setName('');
            create.reset();
          }}
        />
      ) : null}
      {ending ? (
        <Confirm
          open
          onClose={() => setEnding(null)}
          title={`Revoke “${ending.name}”?`}
          description="Scripts that use it are refused at once."
          action="Revoke"
          pending={revoke.isPending}
          error={revoke.error ? messageOf(revoke.error) : null}
          onConfirm={() => revoke.mutate(ending.keyId)}
        />
      ) : null}
      {revoke.error && !ending ? <ErrorNote error={revoke.error} /> : null}
    </section>
  );
}
