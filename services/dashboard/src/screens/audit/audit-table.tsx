/** Lines of an audit log, newest first: who did what, to what, with which values. */
import { useInfiniteQuery } from '@tanstack/react-query';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { AuditLine } from '@tollgate/shared/contracts/console/platform';
import { useState } from 'react';
import { get } from '../../api/client.ts';
import { dateTime } from '../../lib/time.ts';
import { useCommitted } from '../../ui/committed.ts';
import { PagedTable } from '../../ui/paged-table.tsx';
import { Empty } from '../../ui/parts.tsx';

/** What was given, by name: one line each, as far as it is no secret. */
function Detail({ of: { detail } }: { of: AuditLine }) {
  const given = Object.entries(detail);
  if (given.length === 0) return <span className="text-muted">–</span>;
  return (
    <ul className="max-w-md">
      {given.map(([name, value]) => (
        <li key={name}>
          <span className="text-muted">{name}</span>{' '}
          <code className="break-all">{typeof value === 'string' ? value : JSON.stringify(value)}</code>
        </li>
      ))}
    </ul>
  );
}

/** Operations are small letters, dots and lines. */
const asOperation = (typed: string) =>
  typed
    .toLowerCase()
    .replace(/[^a-z_.-]/g, '')
    .slice(0, 60);

export function AuditTable({ path }: { path: string }) {
  const [action, setAction] = useState('');
  const list = useInfiniteQuery({
    queryKey: ['audit', path, action],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      get<Page<AuditLine>>(path, { limit: 50, cursor: pageParam, action: action || undefined }, signal),
    getNextPageParam: (page) => page.next,
  });
  return (
    <>
      <input
        data-filter
        type="search"
        aria-label="Filter by operation, or its first part"
        placeholder="keys, keys.revoke, credits …"
        className="field max-w-72"
        {...useCommitted(action, (typed) => setAction(asOperation(typed)))}
      />
      <PagedTable
        list={list}
        noun="line"
        caption="Audit log, newest first"
        rowKey={(line) => String(line.seq)}
        copyId={(line) => line.hash}
        empty={<Empty title="No line fits" />}
        columns={[
          {
            id: 'at',
            header: 'Time',
            cell: (line) => <span className="num whitespace-nowrap">{dateTime(line.at)}</span>,
          },
          { id: 'who', header: 'Who', cell: (line) => line.actorName ?? line.actor },
          {
            id: 'what',
            header: 'What',
            cell: (line) => (
              <>
                <code>{line.action}</code>
                <div className="text-xs lg:hidden">
                  <Detail of={line} />
                </div>
              </>
            ),
          },
          {
            id: 'target',
            header: 'On',
            from: 'md',
            cell: (line) => <code className="text-muted">{line.target ?? '–'}</code>,
          },
          {
            id: 'detail',
            header: 'Detail',
            from: 'lg',
            cell: (line) => <Detail of={line} />,
          },
        ]}
      />
    </>
  );
}
