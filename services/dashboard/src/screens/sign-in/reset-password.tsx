import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { Front } from '../../app/front.tsx';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { ErrorNote } from '../../ui/parts.tsx';
import { NewPassword } from './new-person.tsx';

/** Opened by a link whose token stands behind the `#`: browsers send that part to nobody. */
export default function ResetPasswordPage() {
  const [token] = useState(() => location.hash.slice(1));
  const [password, setPassword] = useState('');
  const save = useMutation({
    mutationFn: () => post('/api/auth/password-reset', { token, password }),
    // The used token need not stand in the browser's history.
    onSuccess: () => history.replaceState(history.state, '', location.pathname),
  });
  if (save.isSuccess) {
    return (
      <Front title="Your password is new" lead="Every session of yours has ended. Keys work on.">
        <ButtonLink to="/sign-in" look="primary">
          Sign in
        </ButtonLink>
      </Front>
    );
  }
  if (token === '') {
    return (
      <Front title="This link is not whole" lead="Open it exactly as you got it, or ask for another one.">
        <Link to="/forgot-password" className="link">
          Ask for a link
        </Link>
      </Front>
    );
  }
  return (
    <Front title="Choose a new password">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <NewPassword label="New password" value={password} error={save.error} onChange={setPassword} />
        {save.error ? <ErrorNote error={save.error} /> : null}
        <Button look="primary" type="submit" pending={save.isPending}>
          Save
        </Button>
      </form>
    </Front>
  );
}
