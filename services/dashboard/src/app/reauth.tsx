/** Asks for the password again before keys or money change; what was asked for then goes on by itself. */
import { useQuery } from '@tanstack/react-query';
import type { Me } from '@tollgate/shared/contracts/console/auth';
import { useEffect, useRef, useState } from 'react';
import { post, setProof } from '../api/client.ts';
import { keepMe, meQuery, optionsQuery, queryClient } from '../api/queries.ts';
import { Button } from '../ui/button.tsx';
import { Modal } from '../ui/dialog.tsx';
import { TextField } from '../ui/field.tsx';
import { messageOf } from '../ui/parts.tsx';

export function ReauthDialog() {
  const [open, setOpen] = useState(false);
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [pending, setPending] = useState(false);
  const waiting = useRef<((proved: boolean) => void)[]>([]);
  const { data: me } = useQuery(meQuery);
  const { data: options } = useQuery(optionsQuery);

  useEffect(() => {
    setProof(() => {
      setOpen(true);
      return new Promise((resolve) => waiting.current.push(resolve));
    });
    return () => setProof(null);
  }, []);

  const finish = (proved: boolean) => {
    setOpen(false);
    setPassword('');
    setCode('');
    setError(null);
    for (const resolve of waiting.current.splice(0)) resolve(proved);
  };
  const submit = async () => {
    setPending(true);
    setError(null);
    try {
      const next = await post<Me>('/api/auth/reauthenticate', {
        ...(password === '' ? {} : { password }),
        ...(code === '' ? {} : { code }),
      });
      queryClient.setQueryData(meQuery.queryKey, keepMe(next));
      finish(true);
    } catch (failure) {
      setError(messageOf(failure));
    } finally {
      setPending(false);
    }
  };

  return (
    <Modal
      open={open}
      onClose={() => finish(false)}
      title="Is it still you?"
      description="Keys and money change only shortly after you have shown who you are."
      footer={
        <>
          <Button onClick={() => finish(false)}>Cancel</Button>
          <Button look="primary" type="submit" form="reauth" pending={pending}>
            Continue
          </Button>
        </>
      }
    >
      <form
        id="reauth"
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {me?.user.hasPassword === false ? (
          <div className="flex flex-wrap gap-2">
            {(options?.oidc ?? []).map((provider) => (
              <a
                key={provider.id}
                className="link"
                href={`${provider.startUrl}?reauthenticate=1&next=${encodeURIComponent(location.pathname + location.search)}`}
              >
                Continue with {provider.name}
              </a>
            ))}
          </div>
        ) : (
          <TextField
            label="Password"
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        )}
        {me?.user.twoFactor ? (
          <TextField
            label="Code of your authenticator app"
            inputMode="numeric"
            autoComplete="one-time-code"
            required
            value={code}
            onChange={(event) => setCode(event.target.value.trim())}
          />
        ) : null}
        {error ? (
          <p role="alert" className="text-sm font-medium text-bad">
            {error}
          </p>
        ) : null}
      </form>
    </Modal>
  );
}
