import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { SignedIn } from '@tollgate/shared/contracts/console/auth';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { Front } from '../../app/front.tsx';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote, fieldError } from '../../ui/parts.tsx';
import { useSignedIn } from './flow.ts';
import { NewPersonFields, useNewPerson } from './new-person.tsx';

export default function RegisterPage() {
  const { person, set } = useNewPerson();
  const [organisation, setOrganisation] = useState('');
  const done = useSignedIn();
  const register = useMutation({
    mutationFn: () =>
      post<SignedIn>('/api/auth/register', {
        ...person,
        email: person.email.trim(),
        organisation: organisation.trim(),
      }),
    onSuccess: async (result) => {
      if (result.status === 'signed_in') await done(result.me);
    },
  });
  return (
    <Front title="Make an account">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          register.mutate();
        }}
      >
        <NewPersonFields person={person} set={set} error={register.error} />
        <TextField
          label="Organisation"
          autoComplete="organization"
          required
          hint="Keys and credit belong to it; you can invite others."
          value={organisation}
          error={fieldError(register.error, 'organisation')}
          onChange={(event) => setOrganisation(event.target.value)}
        />
        {register.error ? <ErrorNote error={register.error} /> : null}
        <Button look="primary" type="submit" pending={register.isPending}>
          Make account
        </Button>
      </form>
      <p className="mt-5 text-sm text-muted">
        Have one?{' '}
        <Link to="/sign-in" className="link">
          Sign in
        </Link>
      </p>
    </Front>
  );
}
