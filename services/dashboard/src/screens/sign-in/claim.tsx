import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { SignedIn } from '@tollgate/shared/contracts/console/auth';
import { useEffect, useState } from 'react';
import { post } from '../../api/client.ts';
import { optionsQuery } from '../../api/queries.ts';
import { Front } from '../../app/front.tsx';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote, fieldError } from '../../ui/parts.tsx';
import { useSignedIn } from './flow.ts';
import { NewPersonFields, useNewPerson } from './new-person.tsx';

/** The token after `#` of a link never reaches a log. */
const tokenOfAddress = () => decodeURIComponent(location.hash.slice(1));

export default function ClaimPage() {
  const { person, set } = useNewPerson();
  const [token, setToken] = useState(tokenOfAddress);
  const done = useSignedIn();
  const navigate = useNavigate();
  const { data: options } = useQuery(optionsQuery);
  const claim = useMutation({
    mutationFn: () => post<SignedIn>('/api/auth/claim', { ...person, email: person.email.trim(), token: token.trim() }),
    onSuccess: async (result) => {
      if (result.status === 'signed_in') await done(result.me);
    },
  });
  useEffect(() => {
    if (options?.claimed && !claim.isSuccess) {
      void navigate({ to: '/sign-in', replace: true });
    }
  }, [options?.claimed, claim.isSuccess, navigate]);
  return (
    <Front
      title="Claim this installation"
      lead="You become its first operator. The console wrote a one-time token to its log when it first started."
    >
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          claim.mutate();
        }}
      >
        <TextField
          label="Claim token"
          required
          autoComplete="off"
          spellCheck={false}
          value={token}
          error={fieldError(claim.error, 'token')}
          onChange={(event) => setToken(event.target.value)}
        />
        <NewPersonFields person={person} set={set} error={claim.error} />
        {claim.error ? <ErrorNote error={claim.error} /> : null}
        <Button look="primary" type="submit" pending={claim.isPending}>
          Claim
        </Button>
      </form>
    </Front>
  );
}
