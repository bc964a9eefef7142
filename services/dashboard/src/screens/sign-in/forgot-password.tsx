import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { optionsQuery } from '../../api/queries.ts';
import { Front } from '../../app/front.tsx';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote, Loaded } from '../../ui/parts.tsx';

export default function ForgotPasswordPage() {
  const options = useQuery(optionsQuery);
  return (
    <Front title="Forgot your password?">
      <Loaded query={options}>
        {({ passwordReset }) =>
          passwordReset === 'mail' ? (
            <Ask />
          ) : (
            <p>
              This installation sends no mail. Ask its operator for a link: with it you choose a new password. Your
              second factor and your keys stay as they are.
            </p>
          )
        }
      </Loaded>
      <p className="mt-5 text-sm">
        <Link to="/sign-in" className="link">
          Back to signing in
        </Link>
      </p>
    </Front>
  );
}

/** The answer is the same for every address: it tells nobody who has an account here. */
function Ask() {
  const [email, setEmail] = useState('');
  const ask = useMutation({ mutationFn: () => post('/api/auth/password-reset/ask', { email: email.trim() }) });
  if (ask.isSuccess) {
    return (
      <p role="status">
        If <strong>{email.trim()}</strong> belongs to somebody here, a mail with a link is on its way. The link works
        once, for an hour.
      </p>
    );
  }
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        ask.mutate();
      }}
    >
      <TextField
        label="E-mail"
        type="email"
        autoComplete="username"
        required
        autoFocus
        hint="We send you a link with which you choose a new password."
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      {ask.error ? <ErrorNote error={ask.error} /> : null}
      <Button look="primary" type="submit" pending={ask.isPending}>
        Send the link
      </Button>
    </form>
  );
}
