import { useMutation } from '@tanstack/react-query';
import type { Me, SignedIn } from '@tollgate/shared/contracts/console/auth';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { Front } from '../../app/front.tsx';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote } from '../../ui/parts.tsx';

interface Props {
  challenge: string;
  onDone(me: Me): Promise<void>;
  onBack(): void;
}

export function SecondFactor({ challenge, onDone, onBack }: Props) {
  const [code, setCode] = useState('');
  const send = useMutation({
    mutationFn: () => post<SignedIn>('/api/auth/second-factor', { challenge, code: code.trim() }),
    onSuccess: async (result) => {
      if (result.status === 'signed_in') await onDone(result.me);
    },
  });
  return (
    <Front title="One more step" lead="Type the six digits that your authenticator app shows, or a recovery code.">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          send.mutate();
        }}
      >
        <TextField
          label="Code"
          autoComplete="one-time-code"
          inputMode="text"
          autoFocus
          required
          minLength={6}
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
        {send.error ? <ErrorNote error={send.error} /> : null}
        <Button look="primary" type="submit" pending={send.isPending}>
          Continue
        </Button>
        <Button look="ghost" onClick={onBack}>
          Back
        </Button>
      </form>
    </Front>
  );
}
