import { useMutation } from '@tanstack/react-query';
import type { Me } from '@tollgate/shared/contracts/console/auth';
import { useState } from 'react';
import { patch, post } from '../../api/client.ts';
import { keepMe, meQuery, queryClient } from '../../api/queries.ts';
import { setShortcuts, useShortcuts } from '../../app/keyboard.tsx';
import { useSession } from '../../app/session.tsx';
import { setTheme, THEMES, type Theme, useTheme } from '../../app/theme.ts';
import { Button } from '../../ui/button.tsx';
import { Checkbox, TextField } from '../../ui/field.tsx';
import { Card, ErrorNote, fieldError, PageBody } from '../../ui/parts.tsx';
import { Segments } from '../../ui/tabs.tsx';
import { toast } from '../../ui/toast.tsx';
import { Sessions } from './sessions.tsx';
import { Tokens } from './tokens.tsx';
import { TwoFactor } from './two-factor.tsx';

const THEME_NAMES: Record<Theme, string> = { system: 'As the system', light: 'Light', dark: 'Dark' };

export default function SecurityPage() {
  const { me } = useSession();
  return (
    <PageBody title="Your account" lead={me.user.email}>
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Profile />
        <Password />
        <TwoFactor />
        <Looks />
      </div>
      <Sessions />
      <Tokens />
    </PageBody>
  );
}

function Profile() {
  const { me } = useSession();
  const [name, setName] = useState(me.user.name);
  const save = useMutation({
    mutationFn: () => patch<Me>('/api/me', { name: name.trim() }),
    onSuccess: (next) => {
      queryClient.setQueryData(meQuery.queryKey, keepMe(next));
      toast('Name saved');
    },
  });
  return (
    <Card title="You">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <TextField
          label="Name"
          required
          autoComplete="name"
          value={name}
          error={fieldError(save.error, 'name')}
          onChange={(event) => setName(event.target.value)}
        />
        {save.error ? <ErrorNote error={save.error} /> : null}
        <div>
          <Button type="submit" pending={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Password() {
  const { me } = useSession();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const save = useMutation({
    mutationFn: () => post('/api/me/password', { ...(me.user.hasPassword ? { current } : {}), next }),
    onSuccess: () => {
      setCurrent('');
      setNext('');
      toast('Password changed; your other sessions have ended');
      void queryClient.invalidateQueries({ queryKey: ['list', '/api/me/sessions'] });
    },
  });
  return (
    <Card title={me.user.hasPassword ? 'Change the password' : 'Set a password'}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {me.user.hasPassword ? (
          <TextField
            label="Present password"
            type="password"
            autoComplete="current-password"
            required
            value={current}
            onChange={(event) => setCurrent(event.target.value)}
          />
        ) : null}
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          minLength={12}
          hint="At least 12 characters."
          value={next}
          error={fieldError(save.error, 'next')}
          onChange={(event) => setNext(event.target.value)}
        />
        {save.error ? <ErrorNote error={save.error} /> : null}
        <div>
          <Button type="submit" pending={save.isPending}>
            Change
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Looks() {
  const theme = useTheme();
  const shortcuts = useShortcuts();
  return (
    <Card title="This browser">
      <div className="flex flex-col gap-4">
        <Segments
          label="Theme"
          value={theme}
          onChange={setTheme}
          options={THEMES.map((value) => ({ value, label: THEME_NAMES[value] }))}
        />
        <Checkbox
          label="Single-key shortcuts"
          hint="Press ? to see them."
          checked={shortcuts}
          onChange={(event) => setShortcuts(event.target.checked)}
        />
      </div>
    </Card>
  );
}
