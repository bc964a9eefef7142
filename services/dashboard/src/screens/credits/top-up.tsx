import { useMutation } from '@tanstack/react-query';
import type { CheckoutStarted, TopupView } from '@tollgate/shared/contracts/console/topup';
import { useRef, useState } from 'react';
import { post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { parseUsd, usd, usdExact } from '../../lib/money.ts';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote } from '../../ui/parts.tsx';

/** By card: the browser goes to the provider's page and comes back; card numbers never touch this installation. */
export function TopUp({ data }: { data: TopupView }) {
  const { accountId } = useSession();
  const [typed, setTyped] = useState('');
  const attempt = useRef(crypto.randomUUID?.() ?? String(Math.random()));
  const start = useMutation({
    mutationFn: (amount: string) =>
      post<CheckoutStarted>(
        `${account(accountId)}/topup/checkout`,
        { usd: amount },
        { idempotencyKey: attempt.current },
      ),
    onSuccess: ({ url }) => location.assign(url),
  });
  const amount = parseUsd(typed);
  const plain = (nusd: string) => usdExact(nusd).replace(/[$,]/g, '');
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (amount) start.mutate(amount);
      }}
    >
      <div className="flex flex-wrap gap-2">
        {data.presetsNusd.map((preset) => (
          <Button key={preset} onClick={() => setTyped(plain(preset))} aria-pressed={amount === plain(preset)}>
            {usd(preset)}
          </Button>
        ))}
      </div>
      <TextField
        label="Amount, USD"
        inputMode="decimal"
        required
        hint={`From ${usd(data.minNusd)} to ${usd(data.maxNusd)}.`}
        value={typed}
        error={typed !== '' && amount === null ? 'An amount in dollars, such as 25' : null}
        onChange={(event) => setTyped(event.target.value)}
      />
      {start.error ? <ErrorNote error={start.error} /> : null}
      <div>
        <Button look="primary" type="submit" pending={start.isPending || start.isSuccess} disabled={amount === null}>
          Pay by card
        </Button>
      </div>
    </form>
  );
}
