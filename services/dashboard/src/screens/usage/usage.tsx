import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import type { SeriesView } from '@tollgate/shared/contracts/console/insights';
import { Download } from 'lucide-react';
import { lazy, Suspense, useMemo, useState } from 'react';
import { account, seriesQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usd, usdExact } from '../../lib/money.ts';
import { count, percent } from '../../lib/numbers.ts';
import { compactSearch, queryText } from '../../lib/search.ts';
import { localZone, RANGE_NAMES, RANGES } from '../../lib/time.ts';
import { ButtonLink, buttonClass } from '../../ui/button.tsx';
import { FilterChip } from '../../ui/menu.tsx';
import { Card, Empty, Facts, Loaded, PageBody, Skeleton } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { Segments } from '../../ui/tabs.tsx';
import { ModelAndKey, some } from '../requests/model-and-key.tsx';
import { OUTCOME_CHOICES, outcomeName } from '../requests/outcome.ts';
import { type UsageSearch, type Window, windowOf } from './filter.ts';
import { type Measure, type StackRow, stack } from './stack.ts';

const Chart = lazy(() => import('./chart.tsx'));
const COLOURS = 8;

const label = (startMs: number, by: 'hour' | 'day') =>
  new Date(startMs).toLocaleString('en-GB', {
    timeZone: 'UTC',
    day: 'numeric',
    month: 'short',
    ...(by === 'hour' ? { hour: '2-digit', minute: '2-digit' } : {}),
  });

export default function UsagePage() {
  const { accountId } = useSession();
  const search = useSearch({ from: '/signed-in/usage' });
  const navigate = useNavigate();
  // The window moves on with the hour, not with every repaint.
  const [nowMs] = useState(() => Date.now());
  const window = windowOf(search, nowMs);
  const group = search.group ?? 'model';
  const measure: Measure = search.measure ?? 'spend';
  const filters = {
    model: search.model?.join(','),
    keyId: search.keyId?.join(','),
    outcome: search.outcome?.join(','),
  };
  const range = { from: new Date(window.fromMs).toISOString(), to: new Date(window.toMs).toISOString(), by: window.by };
  const series = useQuery(seriesQuery(accountId, { ...range, group, ...filters }));
  const set = (change: Partial<UsageSearch>) =>
    void navigate({ to: '/usage', search: compactSearch({ ...search, ...change }), replace: true });

  return (
    <PageBody
      title="Usage"
      lead={`Hours and days are UTC; your own zone is ${localZone()}. Figures are a few seconds behind.`}
      actions={
        <a
          className={buttonClass('secondary')}
          href={`${account(accountId)}/usage/export${queryText({ format: 'csv', ...range })}`}
          download
        >
          <Download size={15} aria-hidden="true" /> CSV
        </a>
      }
    >
      <div className="flex flex-wrap items-center gap-2">
        <select
          aria-label="Time"
          className="field w-auto text-sm"
          data-filter
          value={search.from ? 'own' : (search.range ?? '7d')}
          onChange={(event) =>
            set({
              range: event.target.value as NonNullable<UsageSearch['range']>,
              from: undefined,
              to: undefined,
              by: undefined,
            })
          }
        >
          {search.from ? <option value="own">A window of your own</option> : null}
          {RANGES.map((value) => (
            <option key={value} value={value}>
              {RANGE_NAMES[value]}
            </option>
          ))}
        </select>
        <Segments
          label="Bars"
          value={window.by}
          onChange={(by) => set({ by })}
          options={[
            { value: 'hour', label: 'Hours' },
            { value: 'day', label: 'Days' },
          ]}
        />
        <select
          aria-label="Bars are made of"
          className="field w-auto text-sm"
          value={group}
          onChange={(event) => set({ group: event.target.value as NonNullable<UsageSearch['group']> })}
        >
          <option value="model">By model</option>
          <option value="key">By key</option>
          <option value="status">By outcome</option>
          <option value="none">All together</option>
        </select>
        <ModelAndKey selected={search} set={set} />
        <FilterChip
          label="Outcome"
          choices={OUTCOME_CHOICES}
          selected={search.outcome ?? []}
          onChange={(outcome) => set({ outcome: some(outcome) })}
        />
      </div>
      <Loaded query={series} skeleton="h-96">
        {(data) => (
          <Figures
            data={data}
            window={window}
            measure={measure}
            onMeasure={(next) => set({ measure: next })}
            onPick={(startMs, picked) =>
              void navigate({
                to: '/requests',
                search: compactSearch({
                  from: new Date(startMs).toISOString(),
                  to: new Date(startMs + (window.by === 'hour' ? 3_600_000 : 86_400_000)).toISOString(),
                  model: search.model,
                  keyId: search.keyId,
                  outcome: search.outcome,
                  ...only(group, picked),
                }),
              })
            }
          />
        )}
      </Loaded>
    </PageBody>
  );
}

/** The filter that a part of a bar stands for. `other` is many. */
function only(group: string, picked: string | undefined) {
  if (picked === undefined || picked === 'other') return {};
  return { model: { model: [picked] }, key: { keyId: [picked] }, status: { outcome: [picked] } }[group] ?? {};
}

interface FiguresProps {
  data: SeriesView;
  window: Window;
  measure: Measure;
  onMeasure(measure: Measure): void;
  onPick(startMs: number, group?: string): void;
}

function Figures({ data, window, measure, onMeasure, onPick }: FiguresProps) {
  const rows = useMemo(() => stack(data, measure, window), [data, measure, window]);
  const { totals } = data;
  const groups = data.groups.map(({ id, label: name }) => ({
    id,
    label: data.groups.length === 1 && name === '' ? 'All' : outcomeName(name),
  }));
  const value = (amount: bigint) => (measure === 'spend' ? usd(amount) : count(Number(amount)));
  if (totals.requests === 0) {
    return (
      <div className="card">
        <Empty
          title="No requests in this time"
          action={
            <ButtonLink to="/playground" look="primary">
              Open the playground
            </ButtonLink>
          }
        >
          Choose a longer time or fewer filters, or send a request.
        </Empty>
      </div>
    );
  }
  return (
    <>
      <Card>
        <Facts
          columns={4}
          items={[
            [
              'Spend',
              <span key="s" className="text-xl font-semibold" title={usdExact(totals.amountNusd)}>
                {usd(totals.amountNusd)}
              </span>,
            ],
            [
              'Requests',
              <span key="r" className="text-xl font-semibold">
                {count(totals.requests)}
              </span>,
            ],
            [
              'Prompt tokens',
              `${count(totals.promptTokens)} · ${percent(totals.promptTokens === 0 ? null : totals.cachedTokens / totals.promptTokens)} cached`,
            ],
            ['Answer tokens', count(totals.completionTokens)],
          ]}
        />
      </Card>
      <Card
        title={measure === 'spend' ? 'Spend, USD' : measure === 'requests' ? 'Requests' : 'Tokens'}
        actions={
          <Segments
            label="What is counted"
            value={measure}
            onChange={onMeasure}
            options={[
              { value: 'spend', label: 'Spend' },
              { value: 'requests', label: 'Requests' },
              { value: 'tokens', label: 'Tokens' },
            ]}
          />
        }
      >
        <Suspense fallback={<Skeleton className="h-70" />}>
          <Chart
            rows={rows}
            groups={groups}
            measure={measure}
            label={(startMs) => label(startMs, window.by)}
            value={value}
            onPick={onPick}
          />
        </Suspense>
        <ul className="mt-3 flex flex-wrap gap-x-4 gap-y-1 text-sm text-muted">
          {groups.map(({ id, label: name }, index) => (
            <li key={id} className="inline-flex items-center gap-1.5">
              <span
                className="size-2.5 rounded-sm"
                style={{ background: `var(--c${Math.min(index, COLOURS - 1) + 1})` }}
                aria-hidden="true"
              />
              {name}
            </li>
          ))}
        </ul>
        <p className="mt-2 text-xs text-muted">
          A click on a part of a bar opens its requests. The same figures stand below.
        </p>
      </Card>
      <Twin rows={rows} groups={groups} value={value} by={window.by} onPick={onPick} />
    </>
  );
}

interface TwinProps {
  rows: readonly StackRow[];
  groups: readonly { id: string; label: string }[];
  value(amount: bigint): string;
  by: 'hour' | 'day';
  onPick(startMs: number): void;
}

/** The chart in figures, newest first. */
function Twin({ rows, groups, value, by, onPick }: TwinProps) {
  const used = rows.filter(({ total }) => total > 0n).reverse();
  return (
    <Table
      caption="The chart in figures"
      rows={used}
      rowKey={(row) => String(row.startMs)}
      columns={[
        {
          id: 'start',
          header: by === 'hour' ? 'Hour (UTC)' : 'Day (UTC)',
          cell: (row) => (
            <button
              type="button"
              data-row-main
              className="tap-touch font-medium hover:underline"
              onClick={() => onPick(row.startMs)}
            >
              {label(row.startMs, by)}
            </button>
          ),
        },
        ...groups.slice(0, 6).map(({ id, label: name }) => ({
          id,
          header: <span className="inline-block max-w-40 truncate align-bottom">{name}</span>,
          numeric: true,
          from: 'md' as const,
          cell: (row: StackRow) => value(row.values[id] ?? 0n),
        })),
        { id: 'total', header: 'Total', numeric: true, cell: (row) => <strong>{value(row.total)}</strong> },
      ]}
    />
  );
}
