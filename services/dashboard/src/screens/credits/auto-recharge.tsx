import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { TopupView } from '@tollgate/shared/contracts/console/topup';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { parseUsd, usdExact } from '../../lib/money.ts';
import { Button } from '../../ui/button.tsx';
import { Checkbox, TextField } from '../../ui/field.tsx';
import { Card, ErrorNote } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

const plain = (nusd: string | null, otherwise: string) =>
  nusd === null ? otherwise : usdExact(nusd).replace(/[$,]/g, '');

export function AutoRecharge({ data: { autoRecharge } }: { data: TopupView }) {
  const { accountId, may } = useSession();
  const client = useQueryClient();
  const [enabled, setEnabled] = useState(autoRecharge.enabled);
  const [threshold, setThreshold] = useState(plain(autoRecharge.thresholdNusd, '10.00'));
  const [amount, setAmount] = useState(plain(autoRecharge.amountNusd, '50.00'));
  const save = useMutation({
    mutationFn: () =>
      post<TopupView>(`${account(accountId)}/topup/auto-recharge`, {
        enabled,
        thresholdUsd: parseUsd(threshold) ?? threshold,
        amountUsd: parseUsd(amount) ?? amount,
      }),
    onSuccess: (next) => {
      client.setQueryData(['topup', accountId], next);
      toast('Auto-recharge saved');
    },
  });
  const method = autoRecharge.paymentMethod;
  const writer = may('topup:write');
  return (
    <Card title="Auto-recharge">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {autoRecharge.failure ? (
          <p role="alert" className="rounded-lg bg-bad-soft p-3 text-sm text-bad">
            The last charge failed: {autoRecharge.failure}. It rests until you save again.
          </p>
        ) : null}
        <Checkbox
          label="Add credit by itself when little is left"
          hint={
            method ? `Charges ${method.brand} ending ${method.last4}.` : 'Pay by card once; that card is used then.'
          }
          disabled={!writer || method === null}
          checked={enabled}
          onChange={(event) => setEnabled(event.target.checked)}
        />
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Below, USD"
            inputMode="decimal"
            disabled={!enabled || !writer}
            value={threshold}
            onChange={(event) => setThreshold(event.target.value)}
          />
          <TextField
            label="Add, USD"
            inputMode="decimal"
            disabled={!enabled || !writer}
            value={amount}
            onChange={(event) => setAmount(event.target.value)}
          />
        </div>
        {save.error ? <ErrorNote error={save.error} /> : null}
        {writer ? (
          <div>
            <Button type="submit" pending={save.isPending} disabled={method === null}>
              Save
            </Button>
          </div>
        ) : null}
      </form>
    </Card>
  );
}
