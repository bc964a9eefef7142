/** Somebody signed in who belongs to no organisation (any more): makes one, or waits for an invitation. */
import { useMutation } from '@tanstack/react-query';
import type { Me } from '@tollgate/shared/contracts/console/auth';
import { useState } from 'react';
import { post } from '../api/client.ts';
import { Button } from '../ui/button.tsx';
import { TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/parts.tsx';
import { Front } from './front.tsx';
import { refreshMe } from './session.tsx';

export function NoOrganisation({ me }: { me: Me }) {
  const [name, setName] = useState('');
  const create = useMutation({
    mutationFn: () => post('/api/organisations', { name }),
    onSuccess: () => refreshMe(),
  });
  return (
    <Front title="Your organisation" lead={`You are signed in as ${me.user.email} and belong to none yet.`}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextField label="Name" required value={name} onChange={(event) => setName(event.target.value)} />
        {create.error ? <ErrorNote error={create.error} /> : null}
        <Button look="primary" type="submit" pending={create.isPending}>
          Create organisation
        </Button>
      </form>
    </Front>
  );
}
