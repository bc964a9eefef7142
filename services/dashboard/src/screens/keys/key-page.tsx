import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import { useState } from 'react';
import { get, patch } from '../../api/client.ts';
import { useSession } from '../../app/session.tsx';
import { usd } from '../../lib/money.ts';
import { dateTime, relative } from '../../lib/time.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { CopyButton } from '../../ui/copy.tsx';
import { Badge, Card, ErrorNote, Facts, Loaded, PageBody } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';
import { KeyFields } from './fields.tsx';
import { bodyOf, checkForm, type FieldErrors, formOf } from './form.ts';
import { RevokeKey } from './revoke-key.tsx';
import { RotateKey } from './rotate-key.tsx';
import { isUsable, keyState, masked, STATE_NAME, STATE_TONE } from './state.ts';

export default function KeyPage() {
  const { keyId } = useParams({ from: '/signed-in/keys/$keyId' });
  const key = useQuery({
    queryKey: ['keys', 'one', keyId],
    queryFn: ({ signal }) => get<KeyView>(`/api/keys/${keyId}`, undefined, signal),
  });
  return (
    <Loaded query={key} skeleton="m-8 h-64">
      {(found) => <KeyDetail key={found.keyId} value={found} />}
    </Loaded>
  );
}

function KeyDetail({ value }: { value: KeyView }) {
  const { may } = useSession();
  const navigate = useNavigate();
  const [doing, setDoing] = useState<'rotate' | 'revoke' | null>(null);
  const now = Date.now();
  const state = keyState(value, now);
  const editable = may('keys:write') && isUsable(state);
  return (
    <PageBody
      title={value.name}
      lead={
        <span className="inline-flex flex-wrap items-center gap-2">
          <Badge tone={STATE_TONE[state]}>{STATE_NAME[state]}</Badge>
          <code>{masked(value)}</code>
        </span>
      }
      actions={
        <>
          <ButtonLink to="/requests" search={{ keyId: [value.keyId] }}>
            Its requests
          </ButtonLink>
          {editable ? (
            <>
              <Button disabled={value.rotatedTo !== null} onClick={() => setDoing('rotate')}>
                Rotate
              </Button>
              <Button look="danger" onClick={() => setDoing('revoke')}>
                Revoke
              </Button>
            </>
          ) : null}
        </>
      }
    >
      <Card>
        <Facts
          columns={4}
          items={[
            ['Spent today (UTC)', <Capped key="d" spent={value.spentDayNusd} cap={value.capDayNusd} />],
            ['Spent this month (UTC)', <Capped key="m" spent={value.spentMonthNusd} cap={value.capMonthNusd} />],
            ['Last used', value.lastUsedAt ? relative(value.lastUsedAt, now) : 'never'],
            ['Ends', value.expiresAt ? dateTime(value.expiresAt) : 'never'],
            ['Created', dateTime(value.createdAt)],
            [
              'Id',
              <span key="i" className="inline-flex items-center">
                <code>{value.keyId}</code>
                <CopyButton text={value.keyId} label="Copy the key's id" />
              </span>,
            ],
            ['Replaced by', value.rotatedTo ? <KeyLink key="t" id={value.rotatedTo} /> : '–'],
            ['Replaces', value.rotatedFrom ? <KeyLink key="f" id={value.rotatedFrom} /> : '–'],
          ]}
        />
      </Card>
      {editable ? <EditKey value={value} /> : null}
      {doing === 'rotate' ? (
        <RotateKey
          target={value}
          onClose={() => {
            setDoing(null);
            void navigate({ to: '/keys' });
          }}
        />
      ) : null}
      {doing === 'revoke' ? <RevokeKey target={value} onClose={() => setDoing(null)} /> : null}
    </PageBody>
  );
}

const KeyLink = ({ id }: { id: string }) => (
  <Link to="/keys/$keyId" params={{ keyId: id }} className="link">
    {id}
  </Link>
);

const Capped = ({ spent, cap }: { spent: string; cap: string | null }) => (
  <>
    {usd(spent)}
    {cap === null ? null : <span className="text-muted"> of {usd(cap)}</span>}
  </>
);

function EditKey({ value }: { value: KeyView }) {
  const client = useQueryClient();
  const [form, setForm] = useState(() => formOf(value));
  const [errors, setErrors] = useState<FieldErrors>({});
  const save = useMutation({
    mutationFn: () => patch<KeyView>(`/api/keys/${value.keyId}`, bodyOf(form, Date.now())),
    onSuccess: (next) => {
      client.setQueryData(['keys', 'one', value.keyId], next);
      void client.invalidateQueries({ queryKey: ['keys'] });
      toast('Saved; routers know it already');
    },
  });
  return (
    <Card title="Change it">
      <form
        className="flex max-w-2xl flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          const found = checkForm(form);
          setErrors(found);
          if (Object.keys(found).length === 0) save.mutate();
        }}
      >
        <KeyFields
          form={form}
          set={(change) => setForm((old) => ({ ...old, ...change }))}
          errors={errors}
          isNew={false}
        />
        {save.error ? <ErrorNote error={save.error} /> : null}
        <div>
          <Button look="primary" type="submit" pending={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  );
}
