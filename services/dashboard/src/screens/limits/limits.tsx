import { useQuery } from '@tanstack/react-query';
import type { LiveLimitsView } from '@tollgate/shared/contracts/console/insights';
import type { ReactNode } from 'react';
import { limitsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { toNusd, usd } from '../../lib/money.ts';
import { compact, count } from '../../lib/numbers.ts';
import { duration } from '../../lib/time.ts';
import { Badge, Bar, Card, Loaded, PageBody, TextLink } from '../../ui/parts.tsx';

type Scope = LiveLimitsView['account'];
type Gauge = Scope['requests'];

export default function LimitsPage() {
  const { accountId } = useSession();
  const limits = useQuery(limitsQuery(accountId));
  return (
    <PageBody
      title="Limits"
      lead="Read from the very counters that admit your requests, every two seconds. What is used comes back over the minute."
      actions={limits.data ? <Badge>Plan: {limits.data.plan}</Badge> : null}
    >
      <Loaded query={limits} skeleton="h-72">
        {(data) => (
          <>
            {data.available ? null : (
              <p role="alert" className="rounded-xl border border-warn/40 bg-warn-soft p-4 text-warn">
                The counters cannot be read now. What is set still holds.
              </p>
            )}
            <Card title="The whole organisation">
              <Gauges name="the organisation" scope={data.account} />
            </Card>
            {data.models.map((model) => (
              <Card key={model.model} title={<code>{model.model}</code>}>
                <Gauges name={model.model} scope={model} />
              </Card>
            ))}
            {data.keys.map((key) => (
              <Card
                key={key.keyId}
                title={
                  <span>
                    {key.name} <code className="font-normal text-muted">{key.prefix}…</code>
                  </span>
                }
                actions={<TextLink to={`/keys/${key.keyId}`}>Change</TextLink>}
              >
                <Gauges name={key.name} scope={key}>
                  <Cap name="Spend today" cap={key.capDay} />
                  <Cap name="Spend this month" cap={key.capMonth} />
                </Gauges>
              </Card>
            ))}
            <p className="text-sm text-muted">
              Need more? Limits of keys are yours to set; those of the organisation come with the plan: ask the operator
              of this installation.
            </p>
          </>
        )}
      </Loaded>
    </PageBody>
  );
}

function Gauges({ name, scope, children }: { name: string; scope: Scope; children?: ReactNode }) {
  const { limit, running } = scope.concurrency;
  return (
    <div className="grid gap-x-8 gap-y-4 sm:grid-cols-3">
      <Rate title="Requests per minute" name={name} gauge={scope.requests} />
      <Rate title="Tokens per minute" name={name} gauge={scope.tokens} />
      <Line
        title="At the same time"
        value={limit === null ? `${count(running)} running` : `${count(running)} of ${count(limit)}`}
        share={limit === null ? null : running / limit}
        label={`Running requests of ${name}`}
      />
      {children}
    </div>
  );
}

function Rate({ title, name, gauge }: { title: string; name: string; gauge: Gauge }) {
  if (gauge === null) return <Line title={title} value="no limit" share={null} label="" />;
  const used = gauge.limit - gauge.remaining;
  return (
    <Line
      title={title}
      value={`${compact(used)} of ${compact(gauge.limit)}`}
      note={used > 0 ? `all back in ${duration(gauge.resetMs)}` : undefined}
      share={used / gauge.limit}
      label={`${title} of ${name}`}
    />
  );
}

function Cap({ name, cap }: { name: string; cap: LiveLimitsView['keys'][number]['capDay'] }) {
  if (cap === null) return null;
  const limit = toNusd(cap.limitNusd);
  const used = toNusd(cap.usedNusd);
  return (
    <Line
      title={name}
      value={cap.usedNusd === null ? `of ${usd(limit)}` : `${usd(used)} of ${usd(limit)}`}
      share={limit === 0n ? 1 : Number((used * 1000n) / limit) / 1000}
      label={name}
    />
  );
}

interface LineProps {
  title: string;
  value: string;
  note?: string | undefined;
  share: number | null;
  label: string;
}

function Line({ title, value, note, share, label }: LineProps) {
  return (
    <div>
      <p className="flex items-baseline justify-between gap-2 text-sm">
        <span className="text-muted">{title}</span>
        <span className="num font-medium">{value}</span>
      </p>
      {share === null ? null : (
        <div className="mt-1.5">
          <Bar share={share} label={label} />
        </div>
      )}
      {note ? <p className="num mt-1 text-xs text-muted">{note}</p> : null}
    </div>
  );
}
