import { useInfiniteQuery } from '@tanstack/react-query';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { LedgerLine } from '@tollgate/shared/contracts/console/credits';
import { Download } from 'lucide-react';
import { useState } from 'react';
import { get } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usdExact } from '../../lib/money.ts';
import { dateTime } from '../../lib/time.ts';
import { buttonClass } from '../../ui/button.tsx';
import { Checkbox } from '../../ui/field.tsx';
import { PagedTable } from '../../ui/paged-table.tsx';
import { Empty } from '../../ui/parts.tsx';
import { effect, KIND_NAMES } from './ledger.ts';

/** The ledger is the truth; the balance is its sum. */
export function Ledger() {
  const { accountId } = useSession();
  const [inner, setInner] = useState(false);
  const view = inner ? 'all' : 'money';
  const list = useInfiniteQuery({
    queryKey: ['ledger', accountId, view],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      get<Page<LedgerLine>>(`${account(accountId)}/ledger`, { view, limit: 25, cursor: pageParam }, signal),
    getNextPageParam: (page) => page.next,
  });
  return (
    <section className="flex flex-col gap-3" aria-labelledby="ledger">
      <header className="flex flex-wrap items-center justify-between gap-3">
        <h2 id="ledger" className="text-lg font-semibold">
          Ledger
        </h2>
        <div className="flex flex-wrap items-center gap-3">
          <Checkbox label="With inner moves" checked={inner} onChange={(event) => setInner(event.target.checked)} />
          <a
            className={buttonClass('secondary')}
            href={`${account(accountId)}/ledger/export?format=csv&view=${view}`}
            download
          >
            <Download size={15} aria-hidden="true" /> CSV
          </a>
        </div>
      </header>
      <PagedTable
        list={list}
        noun="entry"
        nouns="entries"
        skeleton="h-40"
        caption="Ledger, newest first"
        rowKey={(line) => line.transactionId}
        copyId={(line) => line.transactionId}
        empty={<Empty title="Nothing yet">The first credit and the first charged request appear here.</Empty>}
        columns={[
          {
            id: 'at',
            header: 'Time',
            cell: (line) => <span className="num whitespace-nowrap">{dateTime(line.createdAt)}</span>,
          },
          {
            id: 'kind',
            header: 'What',
            cell: (line) => (
              <>
                {KIND_NAMES[line.kind]}
                {line.reason ? <span className="block text-xs text-muted wrap-anywhere">{line.reason}</span> : null}
              </>
            ),
          },
          {
            id: 'id',
            header: 'Transaction',
            from: 'md',
            cell: (line) => <code className="text-muted">{line.transactionId}</code>,
          },
          {
            id: 'amount',
            header: 'Amount',
            numeric: true,
            cell: (line) => {
              const amount = effect(line);
              if (amount === 0n) return <span className="text-muted">–</span>;
              return (
                <span className={amount > 0n ? 'text-ok' : ''}>{`${amount > 0n ? '+' : ''}${usdExact(amount)}`}</span>
              );
            },
          },
        ]}
      />
    </section>
  );
}
