import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { AuditLine, AuditVerified } from '@tollgate/shared/contracts/console/platform';
import { useState } from 'react';
import { get } from '../../api/client.ts';
import { count } from '../../lib/numbers.ts';
import { dateTime } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { useCommitted } from '../../ui/committed.ts';
import { PagedTable } from '../../ui/paged-table.tsx';
import { Empty, ErrorNote, PageBody } from '../../ui/parts.tsx';

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

export default function AuditPage() {
  const [action, setAction] = useState('');
  const list = useInfiniteQuery({
    queryKey: ['audit', action],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      get<Page<AuditLine>>('/api/audit', { limit: 50, cursor: pageParam, action: action || undefined }, signal),
    getNextPageParam: (page) => page.next,
  });
  const verify = useMutation({ mutationFn: () => get<AuditVerified>('/api/audit/verify') });
  return (
    <PageBody
      title="Audit log"
      lead="Who changed what. Lines are only ever added, and each holds the hash of the one before."
      actions={
        <Button pending={verify.isPending} onClick={() => verify.mutate()}>
          Check the chain
        </Button>
      }
    >
      <p
        role="status"
        className={`rounded-xl border p-4 empty:hidden ${verify.data?.ok ? 'border-ok/40 bg-ok-soft text-ok' : 'border-bad/40 bg-bad-soft text-bad'}`}
      >
        {verify.data
          ? verify.data.ok
            ? `The chain holds: ${count(verify.data.lines)} lines.`
            : `The chain is broken at line ${verify.data.brokenAt}: somebody changed the table.`
          : ''}
      </p>
      {verify.error ? <ErrorNote error={verify.error} /> : null}
      <input
        data-filter
        type="search"
        aria-label="Filter by operation, or its first part"
        placeholder="keys, keys.revoke, credits …"
        className="field max-w-72"
        {...useCommitted(action, setAction)}
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
    </PageBody>
  );
}
