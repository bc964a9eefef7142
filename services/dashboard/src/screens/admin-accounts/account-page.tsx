import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { AccountView } from '@tollgate/shared/contracts/console/accounts';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { PlanView } from '@tollgate/shared/contracts/console/platform';
import type { RequestPage } from '@tollgate/shared/contracts/console/requests';
import { useState } from 'react';
import { get, patch, post } from '../../api/client.ts';
import { account, accountQuery, creditsQuery, keysQuery, listQuery } from '../../api/queries.ts';
import { usd } from '../../lib/money.ts';
import { dateTime, duration, relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { SelectField } from '../../ui/field.tsx';
import { Badge, Card, Empty, ErrorNote, Facts, Loaded, messageOf, PageBody } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { toast } from '../../ui/toast.tsx';
import { keyState, masked, STATE_NAME, STATE_TONE, spendText } from '../keys/state.ts';
import { outcomeName, outcomeTone } from '../requests/outcome.ts';
import { AdjustCredits } from './adjust-credits.tsx';

export default function AccountPage() {
  const { accountId } = useParams({ from: '/signed-in/admin/accounts/$accountId' });
  const found = useQuery(accountQuery(accountId));
  return (
    <Loaded query={found} skeleton="m-8 h-64">
      {(data) => <Detail data={data} />}
    </Loaded>
  );
}

function Detail({ data }: { data: AccountView }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const frozen = data.status === 'frozen';
  const freeze = useMutation({
    mutationFn: () => patch<AccountView>(account(data.accountId), { status: frozen ? 'active' : 'frozen' }),
    onSuccess: (next) => {
      client.setQueryData(accountQuery(data.accountId).queryKey, next);
      setAsking(false);
      toast(next.status === 'frozen' ? 'Frozen: its keys are refused' : 'Its keys work again');
    },
  });
  const credits = useQuery(creditsQuery(data.accountId));
  const { rpm, tpm, concurrency } = data.limits;
  return (
    <PageBody
      title={data.name}
      lead={
        <span className="inline-flex flex-wrap items-center gap-2">
          <Badge tone={frozen ? 'bad' : 'ok'}>{data.status}</Badge>
          <code>{data.accountId}</code>
          {data.email}
        </span>
      }
      actions={
        <Button look={frozen ? 'primary' : 'danger'} onClick={() => setAsking(true)}>
          {frozen ? 'Unfreeze' : 'Freeze'}
        </Button>
      }
    >
      <Card>
        <Facts
          columns={4}
          items={[
            ['Balance', credits.data ? usd(credits.data.availableNusd) : '…'],
            ['Reserved', credits.data ? usd(credits.data.heldNusd) : '…'],
            ['Spent', credits.data ? usd(credits.data.postedNusd) : '…'],
            ['Since', dateTime(data.createdAt)],
            ['Plan', data.plan],
            ['Requests per minute', rpm ?? 'no limit'],
            ['Tokens per minute', tpm ?? 'no limit'],
            ['At the same time', concurrency ?? 'no limit'],
          ]}
        />
      </Card>
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <AdjustCredits accountId={data.accountId} />
        <ChangePlan data={data} />
      </div>
      <Keys accountId={data.accountId} />
      <Requests accountId={data.accountId} />
      {asking ? (
        <Confirm
          open
          harmless={frozen}
          onClose={() => setAsking(false)}
          title={frozen ? `Unfreeze ${data.name}?` : `Freeze ${data.name}?`}
          description={
            frozen
              ? 'Its keys work again at once.'
              : 'Every key of this account is refused with 403 at once. Running requests go on to their end. Its credit stays.'
          }
          {...(frozen ? {} : { typed: data.name })}
          action={frozen ? 'Unfreeze' : 'Freeze'}
          pending={freeze.isPending}
          error={freeze.error ? messageOf(freeze.error) : null}
          onConfirm={() => freeze.mutate()}
        />
      ) : null}
    </PageBody>
  );
}

function ChangePlan({ data }: { data: AccountView }) {
  const client = useQueryClient();
  const plans = useQuery(listQuery<PlanView>('/api/plans'));
  const [planId, setPlanId] = useState(data.plan);
  const save = useMutation({
    mutationFn: () => post<AccountView>(`${account(data.accountId)}/plan`, { planId }),
    onSuccess: (next) => {
      client.setQueryData(accountQuery(data.accountId).queryKey, next);
      toast(`Now on plan ${next.plan}`);
    },
  });
  return (
    <Card title="Plan">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <SelectField label="Plan" value={planId} onChange={(event) => setPlanId(event.target.value)}>
          {(plans.data ?? []).some((plan) => plan.planId === data.plan) ? null : <option>{data.plan}</option>}
          {(plans.data ?? []).map((plan) => (
            <option key={plan.planId} value={plan.planId}>
              {plan.name}
            </option>
          ))}
        </SelectField>
        {save.error ? <ErrorNote error={save.error} /> : null}
        <div>
          <Button type="submit" pending={save.isPending} disabled={planId === data.plan}>
            Change plan
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Keys({ accountId }: { accountId: string }) {
  const keys = useQuery(keysQuery(accountId));
  const now = Date.now();
  return (
    <section className="flex flex-col gap-3" aria-labelledby="account-keys">
      <h2 id="account-keys" className="text-lg font-semibold">
        Keys
      </h2>
      <Loaded query={keys}>
        {(rows) => (
          <Table
            caption="Keys of the account"
            rows={rows}
            rowKey={(key) => key.keyId}
            copyId={(key) => key.keyId}
            empty={<Empty title="No keys" />}
            columns={[
              { id: 'name', header: 'Name', cell: (key) => <span className="font-medium">{key.name}</span> },
              {
                id: 'key',
                header: 'Key',
                from: 'sm',
                cell: (key) => <code className="text-muted">{masked(key)}</code>,
              },
              {
                id: 'state',
                header: 'Status',
                cell: (key) => <Badge tone={STATE_TONE[keyState(key, now)]}>{STATE_NAME[keyState(key, now)]}</Badge>,
              },
              { id: 'spend', header: 'Spend', numeric: true, cell: (key) => spendText(key) },
              {
                id: 'used',
                header: 'Last used',
                numeric: true,
                from: 'md',
                cell: (key) => (key.lastUsedAt ? relative(key.lastUsedAt, now) : 'never'),
              },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}

function Requests({ accountId }: { accountId: string }) {
  const requests = useQuery<Page<RequestPage['data'][number]>>({
    queryKey: ['requests-of', accountId],
    queryFn: ({ signal }) => get<RequestPage>(`${account(accountId)}/requests`, { limit: 20 }, signal),
  });
  return (
    <section className="flex flex-col gap-3" aria-labelledby="account-requests">
      <h2 id="account-requests" className="text-lg font-semibold">
        Newest requests
      </h2>
      <Loaded query={requests}>
        {({ data: rows }) => (
          <Table
            caption="Newest requests of the account"
            rows={rows}
            rowKey={(row) => row.requestId}
            copyId={(row) => row.requestId}
            empty={<Empty title="No requests yet" />}
            columns={[
              { id: 'at', header: 'Time', cell: (row) => dateTime(row.admittedAt) },
              {
                id: 'outcome',
                header: 'Outcome',
                cell: (row) => (
                  <Badge tone={outcomeTone(row.outcome)}>
                    {row.status} {outcomeName(row.outcome)}
                  </Badge>
                ),
              },
              {
                id: 'id',
                header: 'Id',
                from: 'lg',
                cell: (row) => <code className="text-muted">{row.requestId}</code>,
              },
              { id: 'model', header: 'Model', from: 'md', cell: (row) => row.model },
              { id: 'took', header: 'Took', numeric: true, from: 'sm', cell: (row) => duration(row.durationMs) },
              { id: 'cost', header: 'Cost', numeric: true, cell: (row) => usd(row.amountNusd) },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}
