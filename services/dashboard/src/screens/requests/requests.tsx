import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { RequestLine } from '@tollgate/shared/contracts/console/requests';
import { ArrowUp, Download } from 'lucide-react';
import { account, newerQuery, requestsPage } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usd } from '../../lib/money.ts';
import { count } from '../../lib/numbers.ts';
import { compactSearch, queryText } from '../../lib/search.ts';
import { dateTime, duration, localZone } from '../../lib/time.ts';
import { Button, ButtonLink, buttonClass } from '../../ui/button.tsx';
import { PagedTable } from '../../ui/paged-table.tsx';
import { Badge, Empty, PageBody } from '../../ui/parts.tsx';
import type { Column } from '../../ui/table.tsx';
import { apiQuery, isFiltered, type RequestsSearch } from './filter.ts';
import { Filters } from './filters.tsx';
import { outcomeName, outcomeTone } from './outcome.ts';

const PAGE_ROWS = 50;

export default function RequestsPage() {
  const { accountId } = useSession();
  const search = useSearch({ from: '/signed-in/requests' });
  const navigate = useNavigate();
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
      <Filters search={search} set={set} clear={() => void navigate({ to: '/requests', search: {}, replace: true })} />
      <PagedTable
        list={list}
        noun="request"
        skeleton="h-96"
        caption="Requests"
        columns={COLUMNS}
        rowKey={(row) => row.requestId}
        copyId={(row) => row.requestId}
        empty={<NoRequests filtered={isFiltered(search)} />}
      />
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
          {row.status > 0 ? <span className="num">{row.status}</span> : null} {outcomeName(row.outcome)}
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
