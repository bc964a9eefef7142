import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import type { CreditsView } from '@tollgate/shared/contracts/console/credits';
import type { PaymentView, TopupView } from '@tollgate/shared/contracts/console/topup';
import { get } from '../../api/client.ts';
import { account, creditsQuery, forecastQuery, topupQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { daysText, toNusd, usd, usdExact } from '../../lib/money.ts';
import { dateOnly } from '../../lib/time.ts';
import { Badge, Card, Facts, Loaded, PageBody } from '../../ui/parts.tsx';
import { AlertSettings } from './alerts.tsx';
import { AutoRecharge } from './auto-recharge.tsx';
import { Ledger } from './ledger-table.tsx';
import { Payments } from './payments.tsx';
import { Redeem } from './redeem.tsx';
import { Statement } from './statement.tsx';
import { TopUp } from './top-up.tsx';

export default function CreditsPage() {
  const { accountId, may } = useSession();
  const { payment } = useSearch({ from: '/signed-in/credits' });
  const credits = useQuery(creditsQuery(accountId));
  const topup = useQuery(topupQuery(accountId));
  return (
    <PageBody
      title="Credits"
      lead="Prepaid: each request reserves its largest possible cost, and pays what it used. Nobody owes more than was paid in."
    >
      {payment ? <PaymentNote paymentId={payment} /> : null}
      <Loaded query={credits} skeleton="h-32">
        {(data) => <Balance data={data} />}
      </Loaded>
      <Loaded query={topup} skeleton="h-48">
        {(data) => (
          <div className="grid items-start gap-5 lg:grid-cols-2">
            {may('topup:write') ? <PayIn data={data} /> : null}
            <div className="flex flex-col gap-5">
              {data.card ? <AutoRecharge data={data} /> : null}
              <AlertSettings />
            </div>
          </div>
        )}
      </Loaded>
      <Statement />
      <Ledger />
      {topup.data?.card ? <Payments /> : null}
    </PageBody>
  );
}

function Balance({ data }: { data: CreditsView }) {
  const { accountId } = useSession();
  const forecast = useQuery(forecastQuery(accountId));
  const owed = toNusd(data.receivableNusd) + toNusd(data.uncollectedNusd);
  const left = forecast.data;
  return (
    <Card>
      <Facts
        columns={4}
        items={[
          [
            'Balance',
            <span key="b" className="text-2xl font-semibold" data-balance>
              {usd(data.availableNusd)}
            </span>,
          ],
          [
            'Reserved by running requests',
            <span key="h" className="text-xl" title={usdExact(data.heldNusd)}>
              {data.leaseKnown ? usd(data.heldNusd) : 'not known now'}
            </span>,
          ],
          [
            'Spent so far',
            <span key="p" className="text-xl">
              {usd(data.postedNusd)}
            </span>,
          ],
          [
            'Lasts',
            left === undefined ? (
              '…'
            ) : left.daysLeft === null ? (
              'nothing spent lately'
            ) : (
              <span key="l">
                <Badge tone={left.daysLeft < 3 ? 'bad' : 'ok'}>{daysText(left.daysLeft)}</Badge>
                <span className="block text-xs text-muted">
                  {usd(left.perDayNusd)} a day{left.emptyAt ? `, until about ${dateOnly(left.emptyAt)}` : ''}
                </span>
              </span>
            ),
          ],
        ]}
      />
      {owed > 0n ? (
        <p className="mt-4 rounded-lg bg-warn-soft p-3 text-sm text-warn">
          {usd(owed)} is owed from before; the next credit repays it first.
        </p>
      ) : null}
    </Card>
  );
}

function PayIn({ data }: { data: TopupView }) {
  return (
    <Card title="Add credit">
      <div className="flex flex-col gap-6">
        {data.card ? (
          <TopUp data={data} />
        ) : (
          <p className="text-sm text-muted">
            Paying by card is not set up on this installation. Redeem a code, or ask its operator for credit.
          </p>
        )}
        <Redeem />
      </div>
    </Card>
  );
}

const PAYMENT_TEXT: Record<PaymentView['state'], string> = {
  open: 'Waiting for the payment to be confirmed …',
  paid: 'Paid. The credit is there.',
  failed: 'The payment failed. Nothing was charged.',
  expired: 'The payment was not finished in time. Nothing was charged.',
  refunded: 'This payment was refunded.',
  disputed: 'This payment is disputed.',
};

/** After coming back from the checkout: the payment counts when the provider has told us, not when the browser returns. */
function PaymentNote({ paymentId }: { paymentId: string }) {
  const { accountId } = useSession();
  const payment = useQuery<PaymentView>({
    queryKey: ['payment', accountId, paymentId],
    refetchInterval: ({ state }) => (state.data?.state === 'open' ? 1_500 : false),
    queryFn: ({ signal }) => get<PaymentView>(`${account(accountId)}/payments/${paymentId}`, undefined, signal),
  });
  if (!payment.data) return null;
  const good = payment.data.state === 'paid';
  return (
    <p
      role="status"
      className={`rounded-xl border p-4 font-medium ${good ? 'border-ok/40 bg-ok-soft text-ok' : 'border-line bg-surface'}`}
    >
      {usd(payment.data.amountNusd)}: {PAYMENT_TEXT[payment.data.state]}
    </p>
  );
}
