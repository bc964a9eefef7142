import { useMutation, useQuery } from '@tanstack/react-query';
import type { FleetView, FleetWorkerView } from '@tollgate/shared/contracts/console/platform';
import type { DrainedWorker } from '@tollgate/shared/contracts/console/workers';
import { lazy, Suspense, useEffect, useState } from 'react';
import { get, post } from '../../api/client.ts';
import { queryClient } from '../../api/queries.ts';
import { compact, count, percent } from '../../lib/numbers.ts';
import { duration, relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import {
  Badge,
  Bar,
  Card,
  Empty,
  ErrorNote,
  Facts,
  Loaded,
  messageOf,
  PageBody,
  Skeleton,
  type Tone,
} from '../../ui/parts.tsx';
import { Segments } from '../../ui/tabs.tsx';
import { isWell, NO_HISTORY, remembered, type Sort, sorted, totals } from './figures.ts';
import { WhyThisWorker } from './why.tsx';

const Strip = lazy(() => import('./fleet-strip.tsx'));
const FLEET = ['fleet'];
/** Ten minutes of one point each two seconds. */
const HISTORY_POINTS = 300;

/** The fleet, live: pushed by the console; asked for where the push does not come through. */
function useFleet() {
  const [live, setLive] = useState(false);
  const query = useQuery({
    queryKey: FLEET,
    queryFn: ({ signal }) => get<FleetView>('/api/fleet', undefined, signal),
    refetchInterval: live ? false : 3_000,
  });
  useEffect(() => {
    const source = new EventSource('/api/fleet/events');
    source.addEventListener('fleet', (event) => {
      setLive(true);
      queryClient.setQueryData(FLEET, JSON.parse((event as MessageEvent<string>).data) as FleetView);
    });
    source.addEventListener('error', () => setLive(false));
    return () => source.close();
  }, []);
  return { query, live };
}

export default function FleetPage() {
  const { query, live } = useFleet();
  const [sort, setSort] = useState<Sort>('trouble');
  const [history, setHistory] = useState(NO_HISTORY);
  const fleet = query.data;
  useEffect(() => {
    if (fleet) setHistory((old) => remembered(old, fleet, HISTORY_POINTS));
  }, [fleet]);
  return (
    <PageBody
      title="Fleet"
      lead="Every worker as the routers see it. Times and hit rates are those of the last 15 minutes."
      actions={<Badge tone={live ? 'ok' : 'plain'}>{live ? 'live' : 'every 3 s'}</Badge>}
    >
      <Loaded query={query} skeleton="h-96">
        {(data) => (
          <>
            <Summary data={data} />
            <Card title="Running and waiting, since this page was opened">
              <Suspense fallback={<Skeleton className="h-36" />}>
                <Strip history={history} />
              </Suspense>
            </Card>
            <div className="flex items-center justify-between gap-3">
              <h2 className="text-lg font-semibold">Workers</h2>
              <Segments<Sort>
                label="Order"
                value={sort}
                onChange={setSort}
                options={[
                  { value: 'trouble', label: 'Trouble first' },
                  { value: 'load', label: 'Load' },
                  { value: 'url', label: 'Address' },
                ]}
              />
            </div>
            {data.workers.length === 0 ? (
              <div className="card">
                <Empty title="No router sees a worker">
                  Name workers in TOLLGATE_WORKERS or turn discovery on; the how-to “Run your own vLLM worker” has the
                  steps.
                </Empty>
              </div>
            ) : (
              <ul className="grid grid-cols-1 gap-4 sm:grid-cols-2 xl:grid-cols-3">
                {sorted(data.workers, sort).map((worker) => (
                  <Tile key={worker.url} worker={worker} />
                ))}
              </ul>
            )}
            <WhyThisWorker />
            <Routers data={data} />
          </>
        )}
      </Loaded>
    </PageBody>
  );
}

function Summary({ data }: { data: FleetView }) {
  const sum = totals(data);
  const figure = (text: string) => <span className="text-xl font-semibold">{text}</span>;
  return (
    <Card>
      <Facts
        columns={4}
        items={[
          ['Workers that serve', figure(`${sum.ready} of ${sum.workers}`)],
          ['Running', figure(count(sum.running))],
          ['Without a first token yet', figure(count(sum.waiting))],
          ['Tokens per second', figure(compact(Math.round(sum.tokensPerSecond)))],
        ]}
      />
    </Card>
  );
}

const TONES: Record<FleetWorkerView['state'], Tone> = { ready: 'ok', joining: 'info', draining: 'warn', gone: 'bad' };

function Tile({ worker }: { worker: FleetWorkerView }) {
  const [asking, setAsking] = useState(false);
  const draining = worker.state === 'draining';
  const change = useMutation({
    mutationFn: () => post<DrainedWorker>(`/api/workers/${draining ? 'undrain' : 'drain'}`, { url: worker.url }),
    onSuccess: () => {
      setAsking(false);
      void queryClient.invalidateQueries({ queryKey: FLEET });
    },
  });
  const { recent } = worker;
  return (
    <li
      data-row
      data-copy={worker.url}
      className={`card flex flex-col gap-3 p-4 ${isWell(worker) ? '' : 'border-warn/60'}`}
    >
      <div className="flex items-start justify-between gap-2">
        <div className="min-w-0">
          <h3 className="truncate font-mono text-sm font-medium" title={worker.url}>
            {worker.url.replace(/^https?:\/\//, '')}
          </h3>
          <p className="truncate text-xs text-muted">
            {worker.engine} · {worker.models.join(', ')}
          </p>
        </div>
        <span className="flex flex-col items-end gap-1">
          <Badge tone={TONES[worker.state]}>{worker.state}</Badge>
          {worker.breakerOpen ? <Badge tone="bad">avoided</Badge> : null}
        </span>
      </div>
      <div>
        <p className="num flex justify-between text-sm">
          <span className="text-muted">KV cache</span>
          <span>{percent(worker.kvUsage)}</span>
        </p>
        <div className="mt-1">
          <Bar share={worker.kvUsage ?? 0} label={`KV cache of ${worker.url}`} />
        </div>
      </div>
      <dl className="num grid grid-cols-3 gap-x-3 gap-y-2 text-sm">
        <Figure name="Running" value={count(worker.running)} />
        <Figure name="Waiting" value={count(worker.waiting)} />
        <Figure name="Hit rate" value={percent(recent.hitRate)} />
        <Figure name="First token 95 %" value={duration(recent.firstTokenP95Ms)} />
        <Figure
          name="Tokens/s"
          value={recent.tokensPerSecond === null ? '–' : compact(Math.round(recent.tokensPerSecond))}
        />
        <Figure name="Failed" value={`${count(recent.failed)} of ${count(recent.requests)}`} />
      </dl>
      <div className="flex items-center justify-between gap-2">
        <span className="text-xs text-muted">
          {worker.seenAt
            ? `seen ${relative(worker.seenAt, Date.now())} by ${count(worker.routers)}`
            : 'seen by no router'}
        </span>
        <Button data-row-main pending={change.isPending} onClick={() => (draining ? change.mutate() : setAsking(true))}>
          {draining ? 'Use again' : 'Drain'}
        </Button>
      </div>
      {change.error && !asking ? <ErrorNote error={change.error} /> : null}
      {asking ? (
        <Confirm
          open
          onClose={() => setAsking(false)}
          title="Drain this worker?"
          description="It gets no new requests; those that run go on to their end. Other workers take its share."
          action="Drain"
          pending={change.isPending}
          error={change.error ? messageOf(change.error) : null}
          onConfirm={() => change.mutate()}
        >
          <code>{worker.url}</code>
        </Confirm>
      ) : null}
    </li>
  );
}

const Figure = ({ name, value }: { name: string; value: string }) => (
  <div>
    <dt className="text-xs text-muted">{name}</dt>
    <dd className="font-medium">{value}</dd>
  </div>
);

function Routers({ data }: { data: FleetView }) {
  return (
    <Card title="Routers">
      <ul className="flex flex-wrap gap-2">
        {data.routers.map(({ routerId, seenAt, live }) => (
          <li
            key={routerId}
            className="inline-flex items-center gap-2 rounded-lg border border-line px-2.5 py-1.5 text-sm"
          >
            <Badge tone={live ? 'ok' : 'bad'}>{live ? 'live' : 'silent'}</Badge>
            <code>{routerId}</code>
            <span className="text-xs text-muted">{relative(seenAt, Date.now())}</span>
          </li>
        ))}
        {data.routers.length === 0 ? <li className="text-sm text-muted">No router has written its view yet.</li> : null}
      </ul>
      <p className="mt-3 text-xs text-muted">
        Which worker served a request stands on the request's own page. Programs ask why it was chosen with{' '}
        <code>x-tollgate-route-explain: 1</code> and a key of the scope <code>route-explain</code>.
      </p>
    </Card>
  );
}
