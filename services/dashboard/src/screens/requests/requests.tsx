import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { RequestLine } from '@tollgate/shared/contracts/console/requests';
import { ArrowUp, Download } from 'lucide-react';
import { account, keysQuery, modelsQuery, newerQuery, requestsPage } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usd } from '../../lib/money.ts';
import { count, plural } from '../../lib/numbers.ts';
import { compactSearch, queryText } from '../../lib/search.ts';
import { dateTime, duration, localZone } from '../../lib/time.ts';
import { Button, ButtonLink, buttonClass } from '../../ui/button.tsx';
import { FilterChip } from '../../ui/menu.tsx';
import { Badge, Empty, ErrorNote, PageBody, Skeleton } from '../../ui/parts.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { apiQuery, isFiltered, type RequestsSearch } from './filter.ts';
import { OUTCOME_CHOICES, outcomeName, outcomeTone } from './outcome.ts';

const PAGE_ROWS = 50;
const STATUSES = ['200', '400', '401', '402', '403', '404', '408', '413', '429', '499', '500', '502', '503', '504'];

export default function RequestsPage() {
  const { accountId } = useSession();
  const search = useSearch({ from: '/signed-in/requests' });
  const navigate = useNavigate();
  const models = useQuery(modelsQuery);
  const keys = useQuery(keysQuery(accountId));
  // One walk through one snapshot: nothing on it moves until somebody asks for the newer ones.
  const list = useInfiniteQuery({
    queryKey: ['requests', accountId, search],
    initialPageParam: null as string | null,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    refetchOnMount: 'always',
    queryFn: ({ pageParam, signal }) =>
      requestsPage(accountId, { ...apiQuery(search), limit: PAGE_ROWS, cursor: pageParam ?? undefined }, signal),
    getNextPageParam: (page) => page.next,
  });
  const snapshotAt = list.data?.pages[0]?.snapshotAt ?? null;
  const newer = useQuery(newerQuery(accountId, snapshotAt));
  const set = (change: Partial<RequestsSearch>) =>
    void navigate({ to: '/requests', search: compactSearch({ ...search, ...change }), replace: true });
  const some = (values: string[]) => (values.length === 0 ? undefined : values);
  const rows = list.data?.pages.flatMap((page) => page.data) ?? [];
  const fresh = newer.data?.newer ?? 0;

  return (
    <PageBody
      title="Requests"
      lead={`Served and refused, newest first, times in ${localZone()}. The list stays still until you ask for newer ones.`}
      actions={
        <>
          {newer.data?.inFlight ? <Badge tone="info">{count(newer.data.inFlight)} running now</Badge> : null}
          <Button
            look={fresh > 0 ? 'primary' : 'secondary'}
            icon={<ArrowUp size={15} aria-hidden="true" />}
            pending={list.isRefetching && !list.isFetchingNextPage}
            onClick={() => void list.refetch()}
          >
            {fresh > 0 ? `${fresh >= 1000 ? '1,000+' : count(fresh)} new` : 'Refresh'}
          </Button>
          <a
            className={buttonClass('secondary')}
            href={`${account(accountId)}/requests/export${queryText({ ...apiQuery(search), format: 'csv' })}`}
            download
          >
            <Download size={15} aria-hidden="true" /> CSV
          </a>
        </>
      }
    >
      <div className="flex flex-wrap items-center gap-2">
        <input
          data-filter
          type="search"
          aria-label="Request id, or its beginning"
          placeholder="req_…"
          className="field w-44 font-mono"
          defaultValue={search.id ?? ''}
          onKeyDown={(event) => {
            if (event.key === 'Enter') set({ id: event.currentTarget.value.trim() || undefined });
          }}
          onBlur={(event) => {
            const id = event.currentTarget.value.trim() || undefined;
            if (id !== search.id) set({ id });
          }}
        />
        <FilterChip
          label="Outcome"
          choices={OUTCOME_CHOICES}
          selected={search.outcome ?? []}
          onChange={(outcome) => set({ outcome: some(outcome) })}
        />
        <FilterChip
          label="Status"
          choices={STATUSES.map((value) => ({ value, label: value }))}
          selected={search.status ?? []}
          onChange={(status) => set({ status: some(status) })}
        />
        <FilterChip
          label="Model"
          choices={(models.data ?? []).map(({ id }) => ({ value: id, label: id }))}
          selected={search.model ?? []}
          onChange={(model) => set({ model: some(model) })}
        />
        <FilterChip
          label="Key"
          choices={(keys.data ?? []).map(({ keyId, name }) => ({ value: keyId, label: name }))}
          selected={search.keyId ?? []}
          onChange={(keyId) => set({ keyId: some(keyId) })}
        />
        <select
          aria-label="First token took at least"
          className="field w-auto"
          value={search.minFirstTokenMs ?? ''}
          onChange={(event) => set({ minFirstTokenMs: event.target.value ? Number(event.target.value) : undefined })}
        >
          <option value="">Any first token</option>
          {[200, 500, 1000, 3000, 10_000].map((ms) => (
            <option key={ms} value={ms}>
              First token ≥ {duration(ms)}
            </option>
          ))}
        </select>
        <select
          aria-label="Took at least"
          className="field w-auto"
          value={search.minDurationMs ?? ''}
          onChange={(event) => set({ minDurationMs: event.target.value ? Number(event.target.value) : undefined })}
        >
          <option value="">Any duration</option>
          {[1000, 5000, 15_000, 60_000].map((ms) => (
            <option key={ms} value={ms}>
              Took ≥ {duration(ms)}
            </option>
          ))}
        </select>
        {search.from || search.to ? (
          <Button onClick={() => set({ from: undefined, to: undefined })}>
            {search.from ? dateTime(search.from) : '…'} – {search.to ? dateTime(search.to) : 'now'} ✕
          </Button>
        ) : null}
        {isFiltered(search) ? (
          <Button look="ghost" onClick={() => void navigate({ to: '/requests', search: {}, replace: true })}>
            Clear all
          </Button>
        ) : null}
      </div>
      {list.error ? <ErrorNote error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton className="h-96" /> : null}
      {list.data ? (
        <>
          <Table
            caption="Requests"
            columns={COLUMNS}
            rows={rows}
            rowKey={(row) => row.requestId}
            copyId={(row) => row.requestId}
            empty={<NoRequests filtered={isFiltered(search)} />}
          />
          {rows.length > 0 ? (
            <div className="flex items-center justify-center gap-3 text-sm text-muted">
              <span role="status">{plural(rows.length, 'request')} shown</span>
              {list.hasNextPage ? (
                <Button pending={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                  Show older ones
                </Button>
              ) : (
                <span>· that is all</span>
              )}
            </div>
          ) : null}
        </>
      ) : null}
    </PageBody>
  );
}

function NoRequests({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty
      title="No request fits these filters"
      action={
        <ButtonLink to="/requests" search={{}}>
          Clear the filters
        </ButtonLink>
      }
    />
  ) : (
    <Empty
      title="No requests yet"
      action={
        <ButtonLink to="/playground" look="primary">
          Send one from the playground
        </ButtonLink>
      }
    >
      Each request appears here within seconds, also when it was refused, with its tokens, times and price.
    </Empty>
  );
}

const COLUMNS: readonly Column<RequestLine>[] = [
  {
    id: 'at',
    header: 'Time',
    cell: (row) => (
      <Link
        to="/requests/$requestId"
        params={{ requestId: row.requestId }}
        data-row-main
        className="num tap-touch inline-flex items-center font-medium whitespace-nowrap hover:underline"
      >
        {dateTime(row.admittedAt)}
      </Link>
    ),
  },
  {
    id: 'outcome',
    header: 'Outcome',
    cell: (row) => (
      <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
        <Badge tone={outcomeTone(row.outcome)}>
          <span className="num">{row.status}</span> {outcomeName(row.outcome)}
        </Badge>
        {row.code ? <code className="hidden text-xs text-muted xl:inline">{row.code}</code> : null}
      </span>
    ),
  },
  {
    id: 'model',
    header: 'Model',
    from: 'md',
    cell: (row) => <span className="block max-w-56 truncate">{row.model}</span>,
  },
  {
    id: 'key',
    header: 'Key',
    from: 'lg',
    cell: (row) => <span className="block max-w-36 truncate">{row.keyName ?? row.keyId}</span>,
  },
  {
    id: 'tokens',
    header: 'Tokens in → out',
    numeric: true,
    from: 'sm',
    cell: (row) => `${count(row.promptTokens)} → ${count(row.completionTokens)}`,
  },
  { id: 'ttft', header: 'First token', numeric: true, from: 'lg', cell: (row) => duration(row.firstTokenMs) },
  { id: 'took', header: 'Took', numeric: true, from: 'sm', cell: (row) => duration(row.durationMs) },
  { id: 'cost', header: 'Cost', numeric: true, cell: (row) => usd(row.amountNusd) },
];
