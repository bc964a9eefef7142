import { useQuery } from '@tanstack/react-query';
import type { PaymentView } from '@tollgate/shared/contracts/console/topup';
import { account, listQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usd } from '../../lib/money.ts';
import { dateTime } from '../../lib/time.ts';
import { Badge, Empty, Loaded, type Tone } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';

const TONES: Record<PaymentView['state'], Tone> = {
  open: 'info',
  paid: 'ok',
  failed: 'bad',
  expired: 'plain',
  refunded: 'warn',
  disputed: 'bad',
};

export function Payments() {
  const { accountId } = useSession();
  const payments = useQuery(listQuery<PaymentView>(`${account(accountId)}/payments`));
  return (
    <section className="flex flex-col gap-3" aria-labelledby="payments">
      <h2 id="payments" className="text-lg font-semibold">
        Payments
      </h2>
      <Loaded query={payments}>
        {(rows) => (
          <Table
            caption="Payments, newest first"
            rows={rows}
            rowKey={(payment) => payment.paymentId}
            copyId={(payment) => payment.paymentId}
            empty={<Empty title="No payments yet" />}
            columns={[
              { id: 'at', header: 'Time', cell: (payment) => dateTime(payment.createdAt) },
              {
                id: 'kind',
                header: 'How',
                from: 'sm',
                cell: (payment) => (payment.kind === 'checkout' ? 'Checkout' : 'Auto-recharge'),
              },
              {
                id: 'state',
                header: 'State',
                cell: (payment) => <Badge tone={TONES[payment.state]}>{payment.state}</Badge>,
              },
              { id: 'amount', header: 'Amount', numeric: true, cell: (payment) => usd(payment.amountNusd) },
              {
                id: 'receipt',
                header: 'Receipt',
                numeric: true,
                cell: (payment) =>
                  payment.receiptUrl ? (
                    <a className="link" href={payment.receiptUrl} target="_blank" rel="noreferrer">
                      Open
                    </a>
                  ) : (
                    '–'
                  ),
              },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}
