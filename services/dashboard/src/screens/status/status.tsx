import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { StatusView } from '@tollgate/shared/contracts/console/insights';
import { statusQuery } from '../../api/queries.ts';
import { Logo } from '../../app/logo.tsx';
import { usd } from '../../lib/money.ts';
import { count, percent } from '../../lib/numbers.ts';
import { dateTime, duration, relative } from '../../lib/time.ts';
import { Badge, Card, Empty, Facts, Loaded, PageBody } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { Twin } from '../../ui/twin.tsx';
import { MODEL_STATE } from '../models/models.tsx';

type Model = StatusView['models'][number];

/** Open to everybody: whether the models work, and how fast. */
export default function StatusPage() {
  const status = useQuery(statusQuery);
  const models = status.data?.models ?? [];
  const troubled = models.filter(({ state }) => state === 'down' || state === 'degraded').length;
  return (
    <>
      <header className="border-b border-line bg-surface">
        <div className="mx-auto flex max-w-6xl items-center justify-between px-4 py-2 sm:px-6">
          <span className="flex items-center gap-2 font-semibold">
            <Logo /> Tollgate
          </span>
          <Link to="/" className="link tap inline-flex items-center text-sm">
            To the console
          </Link>
        </div>
      </header>
      <main>
        <PageBody
          title={
            models.length === 0
              ? 'Status'
              : troubled === 0
                ? 'All models are up'
                : `${troubled} of ${models.length} models have trouble`
          }
          lead={
            status.data ? `As of ${relative(status.data.at, Date.now())}; asked again every 30 seconds.` : undefined
          }
        >
          <Loaded query={status} skeleton="h-64">
            {(data) =>
              data.models.length === 0 ? (
                <div className="card">
                  <Empty title="No model is on sale here yet" />
                </div>
              ) : (
                data.models.map((model) => <ModelCard key={model.id} model={model} />)
              )
            }
          </Loaded>
        </PageBody>
      </main>
    </>
  );
}

function ModelCard({ model }: { model: Model }) {
  const { name, tone } = MODEL_STATE[model.state];
  return (
    <Card title={<code>{model.id}</code>} actions={<Badge tone={tone}>{name}</Badge>}>
      <Hours of={model.id} hours={model.hours} />
      <div className="mt-4">
        <Facts
          columns={4}
          items={[
            ['Up, 24 hours', percent(model.uptime24h, 2)],
            ['Up, 30 days', percent(model.uptime30d, 2)],
            ['First token, median / 95 %', `${duration(model.firstTokenP50Ms)} / ${duration(model.firstTokenP95Ms)}`],
            [
              'Speed of one stream',
              model.tokensPerSecond === null ? '–' : `${model.tokensPerSecond.toFixed(0)} tokens/s`,
            ],
            ['Context', `${count(model.contextTokens)} tokens`],
            ['Prompt, per million', model.price ? usd(model.price.inputNusd) : '–'],
            ['Cached prompt', model.price ? usd(model.price.cachedInputNusd) : '–'],
            ['Answer', model.price ? usd(model.price.outputNusd) : '–'],
          ]}
        />
      </div>
    </Card>
  );
}

const colour = (uptime: number | null, requests: boolean) =>
  !requests || uptime === null ? 'bg-hover' : uptime >= 0.995 ? 'bg-ok' : uptime >= 0.95 ? 'bg-warn' : 'bg-bad';

/** 48 bars, one an hour, and the same in figures. */
function Hours({ of, hours }: { of: string; hours: Model['hours'] }) {
  const used = hours.filter(({ requests }) => requests);
  const worst = used.reduce((low, { uptime }) => Math.min(low, uptime ?? 1), 1);
  return (
    <figure>
      <div className="flex h-9 gap-[3px]" aria-hidden="true">
        {hours.map(({ start, requests, uptime, firstTokenP50Ms }) => (
          <span
            key={start}
            title={`${dateTime(start)}: ${requests ? `${percent(uptime, 1)} served, first token ${duration(firstTokenP50Ms)}` : 'no requests'}`}
            className={`flex-1 rounded-sm ${colour(uptime, requests)}`}
          />
        ))}
      </div>
      <figcaption className="mt-1.5 flex justify-between text-xs text-muted">
        <span>48 hours ago</span>
        <span>{used.length === 0 ? 'no requests yet' : `worst hour ${percent(worst, 1)}`}</span>
        <span>now</span>
      </figcaption>
      {used.length > 0 ? (
        <Twin>
          <Table
            caption={`Hours of ${of} with requests, newest first`}
            rows={[...used].reverse()}
            rowKey={(hour) => hour.start}
            columns={[
              { id: 'start', header: 'Hour', cell: (hour) => dateTime(hour.start) },
              { id: 'served', header: 'Served', numeric: true, cell: (hour) => percent(hour.uptime, 1) },
              {
                id: 'first',
                header: 'First token, median',
                numeric: true,
                cell: (hour) => duration(hour.firstTokenP50Ms),
              },
            ]}
          />
        </Twin>
      ) : null}
    </figure>
  );
}
