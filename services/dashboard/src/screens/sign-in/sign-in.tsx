import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { SignedIn } from '@tollgate/shared/contracts/console/auth';
import { KeyRound } from 'lucide-react';
import { useEffect, useState } from 'react';
import { post } from '../../api/client.ts';
import { optionsQuery } from '../../api/queries.ts';
import { Front } from '../../app/front.tsx';
import { Button, buttonClass } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote } from '../../ui/parts.tsx';
import { safePath, useSignedIn } from './flow.ts';
import { SecondFactor } from './second-factor.tsx';

/** Why a provider's answer signed nobody in, by the word that the console puts into the address. */
const REASONS: Record<string, string> = {
  provider: 'The provider did not confirm who you are. Try again.',
  expired: 'That took too long, or began in another window. Try again.',
  email_unverified: 'The provider does not vouch for your e-mail, so it cannot sign you in.',
  invite_only: 'Nobody here has that e-mail. Ask a member of your organisation for an invitation.',
  conflict: 'Somebody else here has that e-mail already.',
  other_user: 'That was another person than the one who is signed in. Nothing was changed.',
};

export default function SignInPage() {
  const { next, error } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const options = useQuery(optionsQuery);
  const done = useSignedIn(next);
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [challenge, setChallenge] = useState<string | null>(null);
  const signIn = useMutation({
    mutationFn: () => post<SignedIn>('/api/auth/login', { email: email.trim(), password }),
    onSuccess: async (result) => {
      if (result.status === 'signed_in') await done(result.me);
      else setChallenge(result.challenge);
    },
  });
  useEffect(() => {
    if (options.data?.claimed === false) void navigate({ to: '/claim', replace: true });
  }, [options.data?.claimed, navigate]);

  if (challenge !== null) return <SecondFactor challenge={challenge} onDone={done} onBack={() => setChallenge(null)} />;
  const providers = options.data?.oidc ?? [];
  return (
    <Front title="Sign in">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate();
        }}
      >
        {error ? (
          <p role="alert" className="rounded-lg bg-bad-soft p-3 text-sm text-bad">
            {REASONS[error] ?? `Signing in did not work (${error}).`}
          </p>
        ) : null}
        <TextField
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          autoFocus
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <TextField
          label="Password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        {signIn.error ? <ErrorNote error={signIn.error} /> : null}
        <Button look="primary" type="submit" pending={signIn.isPending}>
          Sign in
        </Button>
      </form>
      {providers.length > 0 ? (
        <div className="mt-5 flex flex-col gap-2 border-t border-line pt-5">
          {providers.map(({ id, name, startUrl }) => (
            <a
              key={id}
              className={buttonClass('secondary')}
              href={`${startUrl}?next=${encodeURIComponent(safePath(next))}`}
            >
              <KeyRound size={15} aria-hidden="true" /> Continue with {name}
            </a>
          ))}
        </div>
      ) : null}
      <p className="mt-5 text-sm text-muted">
        {options.data?.signUp === 'open' ? (
          <>
            New here?{' '}
            <Link to="/register" className="link">
              Make an account
            </Link>
          </>
        ) : (
          'New here? Ask a member of your organisation for an invitation.'
        )}
      </p>
      <p className="mt-2 flex flex-wrap gap-x-4 text-sm">
        <Link to="/forgot-password" className="link">
          Forgot your password?
        </Link>
        <Link to="/status" className="link">
          Status of the models
        </Link>
      </p>
    </Front>
  );
}
