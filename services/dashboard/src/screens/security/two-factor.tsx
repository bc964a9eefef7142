import { useMutation } from '@tanstack/react-query';
import type { RecoveryCodes, TotpSetup } from '@tollgate/shared/contracts/console/auth';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { refreshMe, useSession } from '../../app/session.tsx';
import { Button } from '../../ui/button.tsx';
import { CopyLine } from '../../ui/copy.tsx';
import { Confirm, Modal } from '../../ui/dialog.tsx';
import { TextField } from '../../ui/field.tsx';
import { Badge, Card, ErrorNote, messageOf } from '../../ui/parts.tsx';
import { Reveal } from '../keys/reveal.tsx';

export function TwoFactor() {
  const { me } = useSession();
  const [codes, setCodes] = useState<string[] | null>(null);
  const [stopping, setStopping] = useState(false);
  const begin = useMutation({ mutationFn: () => post<TotpSetup>('/api/me/totp') });
  const renew = useMutation({
    mutationFn: () => post<RecoveryCodes>('/api/me/recovery-codes'),
    onSuccess: (made) => setCodes(made.codes),
  });
  const disable = useMutation({
    mutationFn: () => post('/api/me/totp/disable'),
    onSuccess: async () => {
      setStopping(false);
      await refreshMe();
    },
  });
  const on = me.user.twoFactor;
  return (
    <Card title="Two-factor sign-in" actions={<Badge tone={on ? 'ok' : 'plain'}>{on ? 'on' : 'off'}</Badge>}>
      <p className="mb-4 text-muted">
        {on
          ? 'Signing in asks for a code of your authenticator app besides the password.'
          : 'A stolen password alone is then not enough. You need an authenticator app.'}
      </p>
      <div className="flex flex-wrap gap-2">
        {on ? (
          <>
            <Button pending={renew.isPending} onClick={() => renew.mutate()}>
              New recovery codes
            </Button>
            <Button look="ghost" onClick={() => setStopping(true)}>
              Turn off
            </Button>
          </>
        ) : (
          <Button look="primary" pending={begin.isPending} onClick={() => begin.mutate()}>
            Turn on
          </Button>
        )}
      </div>
      {begin.error || renew.error ? <ErrorNote error={begin.error ?? renew.error} /> : null}
      {begin.data && codes === null ? (
        <SetUp
          setup={begin.data}
          onClose={() => begin.reset()}
          onDone={(made) => {
            setCodes(made);
            begin.reset();
          }}
        />
      ) : null}
      {codes ? (
        <Reveal
          title="Recovery codes"
          note="Each signs you in once when the app is lost. Keep them where the phone is not."
          lines={[{ label: 'Codes', text: codes.join('\n') }]}
          onSaved={() => {
            setCodes(null);
            void refreshMe();
          }}
        />
      ) : null}
      {stopping ? (
        <Confirm
          open
          onClose={() => setStopping(false)}
          title="Turn off two-factor sign-in?"
          description="Your password alone will sign you in again."
          action="Turn off"
          pending={disable.isPending}
          error={disable.error ? messageOf(disable.error) : null}
          onConfirm={() => disable.mutate()}
        />
      ) : null}
    </Card>
  );
}

function SetUp({ setup, onClose, onDone }: { setup: TotpSetup; onClose(): void; onDone(codes: string[]): void }) {
  const [code, setCode] = useState('');
  const confirm = useMutation({
    mutationFn: () => post<RecoveryCodes>('/api/me/totp/confirm', { code: code.trim() }),
    onSuccess: (made) => onDone(made.codes),
  });
  return (
    <Modal
      open
      onClose={onClose}
      title="Turn on two-factor sign-in"
      description="Scan the picture with your authenticator app, then type the six digits that it shows."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form="totp" pending={confirm.isPending}>
            Turn on
          </Button>
        </>
      }
    >
      <form
        id="totp"
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          confirm.mutate();
        }}
      >
        <img
          src={setup.qr}
          alt="QR code for your authenticator app"
          className="mx-auto size-44 rounded-lg bg-white p-2"
        />
        <CopyLine label="Or type this in" text={setup.secret} secret />
        <TextField
          label="Six digits"
          inputMode="numeric"
          autoComplete="one-time-code"
          pattern="\d{6}"
          required
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
        {confirm.error ? <ErrorNote error={confirm.error} /> : null}
      </form>
    </Modal>
  );
}
