import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { OverviewView } from '@tollgate/shared/contracts/console/insights';
import { TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { guideQuery, overviewQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { daysText, usd, usdNumber } from '../../lib/money.ts';
import { count, percent } from '../../lib/numbers.ts';
import { dateTime, duration, relative } from '../../lib/time.ts';
import { ButtonLink } from '../../ui/button.tsx';
import { Badge, Bar, Card, Loaded, PageBody } from '../../ui/parts.tsx';
import { Sparkline } from '../../ui/sparkline.tsx';
import { Table } from '../../ui/table.tsx';
import { Twin } from '../../ui/twin.tsx';
import { SetupGuide } from './guide.tsx';

export default function HomePage() {
  const { accountId, organisation, me } = useSession();
  const overview = useQuery(overviewQuery(accountId));
  const guide = useQuery(guideQuery(accountId));
  const first = me.user.name.split(' ')[0];
  return (
    <PageBody title="Home" lead={`${organisation.name}${first ? `, hello ${first}` : ''}.`}>
      {guide.data ? <SetupGuide guide={guide.data} /> : null}
      <Loaded query={overview} skeleton="h-72">
        {(data) => (
          <>
            {data.incidents.length > 0 ? <Incidents incidents={data.incidents} /> : null}
            <div className="grid gap-4 lg:grid-cols-3">
              <Balance data={data} />
              <div className="lg:col-span-2">
                <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
                  <Tiles data={data} />
                </div>
                <Hours data={data} />
              </div>
            </div>
            {data.forecast.topKeys.length > 0 ? <TopKeys data={data} /> : null}
          </>
        )}
      </Loaded>
    </PageBody>
  );
}

function Balance({ data }: { data: OverviewView }) {
  const { forecast } = data;
  const short = forecast.daysLeft !== null && forecast.daysLeft < 3;
  return (
    <Card className="flex flex-col">
      <p className="text-sm text-muted">Balance</p>
      <p className="num mt-1 text-3xl font-semibold tracking-tight">{usd(data.availableNusd)}</p>
      <p className="num mt-1 text-sm text-muted">
        {usdNumber(data.heldNusd) > 0
          ? `${usd(data.heldNusd)} more is reserved by running requests.`
          : 'Nothing is reserved now.'}
      </p>
      <p className="num mt-4 text-sm">
        {forecast.daysLeft === null ? (
          'Nothing was spent in the last 7 days.'
        ) : (
          <>
            Lasts <Badge tone={short ? 'bad' : 'ok'}>{daysText(forecast.daysLeft)}</Badge> at {usd(forecast.perDayNusd)}{' '}
            a day.
          </>
        )}
      </p>
      <div className="mt-4">
        <ButtonLink to="/credits" look={short || usdNumber(data.availableNusd) <= 0 ? 'primary' : 'secondary'}>
          Add credit
        </ButtonLink>
      </div>
    </Card>
  );
}

function Tiles({ data: { last24h, sparkline } }: { data: OverviewView }) {
  const failedShare = last24h.requests === 0 ? null : last24h.failed / last24h.requests;
  return (
    <>
      <Tile
        name="Spend"
        value={usd(last24h.amountNusd)}
        note={`${count(last24h.promptTokens + last24h.completionTokens)} tokens`}
        line={<Sparkline values={sparkline.map(({ amountNusd }) => usdNumber(amountNusd))} />}
        to="/usage"
      />
      <Tile
        name="Requests"
        value={count(last24h.requests)}
        note={`${percent(last24h.promptTokens === 0 ? null : last24h.cachedTokens / last24h.promptTokens)} of prompt tokens cached`}
        line={<Sparkline values={sparkline.map(({ requests }) => requests)} />}
        to="/requests"
      />
      <Tile
        name="Not served"
        value={count(last24h.failed)}
        note={failedShare === null ? 'no requests' : `${percent(failedShare, 1)} of requests`}
        line={<Sparkline values={sparkline.map(({ failed }) => failed)} tone="bad" />}
        to="/requests"
      />
      <Tile
        name="First token, median"
        value={duration(last24h.firstTokenP50Ms)}
        note={`95 % within ${duration(last24h.firstTokenP95Ms)}`}
        line={<Sparkline values={sparkline.map(({ firstTokenP50Ms }) => firstTokenP50Ms)} />}
        to="/usage"
      />
    </>
  );
}

function Tile({
  name,
  value,
  note,
  line,
  to,
}: {
  name: string;
  value: string;
  note: string;
  line: ReactNode;
  to: string;
}) {
  return (
    <Link to={to} className="card flex flex-col gap-0.5 p-4 transition-colors hover:border-line-strong">
      <span className="text-sm text-muted">
        {name} <span className="text-faint">· 24 h</span>
      </span>
      <span className="num text-2xl font-semibold tracking-tight">{value}</span>
      <span className="num text-xs text-muted">{note}</span>
      <span className="mt-2">{line}</span>
    </Link>
  );
}

/** The four lines in figures: the hours in which something was asked. */
function Hours({ data: { sparkline } }: { data: OverviewView }) {
  const used = sparkline.filter(({ requests }) => requests > 0);
  if (used.length === 0) return null;
  return (
    <Twin>
      <Table
        caption="The last 24 hours by hour, newest first; hours without requests left out"
        rows={used.reverse()}
        rowKey={(hour) => hour.start}
        columns={[
          { id: 'start', header: 'Hour', cell: (hour) => dateTime(hour.start) },
          { id: 'spend', header: 'Spend', numeric: true, cell: (hour) => usd(hour.amountNusd) },
          { id: 'requests', header: 'Requests', numeric: true, cell: (hour) => count(hour.requests) },
          { id: 'failed', header: 'Not served', numeric: true, cell: (hour) => count(hour.failed) },
          {
            id: 'first',
            header: 'First token, median',
            numeric: true,
            from: 'sm',
            cell: (hour) => duration(hour.firstTokenP50Ms),
          },
        ]}
      />
    </Twin>
  );
}

function Incidents({ incidents }: { incidents: OverviewView['incidents'] }) {
  return (
    <ul className="flex flex-col gap-2">
      {incidents.map(({ kind, text, since }) => (
        <li
          key={kind + text}
          className="flex items-start gap-2.5 rounded-xl border border-warn/40 bg-warn-soft p-3 text-sm"
        >
          <TriangleAlert size={16} className="mt-0.5 shrink-0 text-warn" aria-hidden="true" />
          <span className="flex-1">
            {text}
            {since ? <span className="text-muted"> · since {relative(since, Date.now())}</span> : null}
          </span>
        </li>
      ))}
    </ul>
  );
}

function TopKeys({ data }: { data: OverviewView }) {
  return (
    <Card title="Who spends, last 7 days">
      <ul className="flex flex-col gap-3">
        {data.forecast.topKeys.map(({ keyId, name, share }) => (
          <li key={keyId} className="grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-1">
            <Link to="/keys/$keyId" params={{ keyId }} className="truncate text-sm hover:underline">
              {name}
            </Link>
            <span className="num text-sm text-muted">{percent(share)}</span>
            <div className="col-span-2">
              <Bar share={share} label={`Share of ${name}`} tone="ok" />
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
