/** What a month cost, from the ledger, and the signed receipts behind it. */
import { useQuery } from '@tanstack/react-query';
import type { Invoice } from '@tollgate/shared/contracts/receipt';
import { Download } from 'lucide-react';
import { useState } from 'react';
import { get } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usdExact } from '../../lib/money.ts';
import { count } from '../../lib/numbers.ts';
import { lastMonths } from '../../lib/time.ts';
import { buttonClass } from '../../ui/button.tsx';
import { Card, Loaded } from '../../ui/parts.tsx';

const MONTHS = 12;

export function Statement() {
  const { accountId } = useSession();
  const [months] = useState(() => lastMonths(Date.now(), MONTHS));
  const [month, setMonth] = useState(months[0]!);
  const invoice = useQuery({
    queryKey: ['invoice', accountId, month],
    queryFn: ({ signal }) => get<Invoice>(`${account(accountId)}/invoice`, { month }, signal),
  });
  return (
    <Card
      title="Statement"
      actions={
        <>
          <select
            aria-label="Month (UTC)"
            className="field w-auto"
            value={month}
            onChange={(event) => setMonth(event.target.value)}
          >
            {months.map((value) => (
              <option key={value}>{value}</option>
            ))}
          </select>
          <a
            className={buttonClass('secondary')}
            href={`${account(accountId)}/receipts?limit=1000`}
            download="receipts.json"
          >
            <Download size={15} aria-hidden="true" /> Receipts
          </a>
        </>
      }
    >
      <Loaded query={invoice} skeleton="h-24">
        {(data) => (
          <div className="scroll-x">
            <table className="w-full text-sm">
              <caption className="sr-only">Spend by model in {month}</caption>
              <thead>
                <tr className="border-b border-line text-left text-xs text-muted">
                  <th scope="col" className="py-1.5 pr-3 font-medium">
                    Model
                  </th>
                  <th scope="col" className="py-1.5 pr-3 text-right font-medium">
                    Requests
                  </th>
                  <th scope="col" className="py-1.5 text-right font-medium">
                    Amount
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.models.map(({ model, requests, amountNusd }) => (
                  <tr key={model} className="border-b border-line">
                    <td className="py-1.5 pr-3 break-all">{model}</td>
                    <td className="num py-1.5 pr-3 text-right">{count(Number(requests))}</td>
                    <td className="num py-1.5 text-right">{usdExact(amountNusd)}</td>
                  </tr>
                ))}
                <tr>
                  <td className="pt-2 font-semibold">In all</td>
                  <td className="num pt-2 pr-3 text-right font-semibold">{count(Number(data.requests))}</td>
                  <td className="num pt-2 text-right font-semibold">{usdExact(data.totalNusd)}</td>
                </tr>
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      <p className="mt-3 text-xs text-muted">
        Each request has a signed receipt that names the one before. <code>tollgate receipts verify</code> checks a
        month of them against this statement, offline. The file holds the first thousand.
      </p>
    </Card>
  );
}
