import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ChangedCreditsView } from '@tollgate/shared/contracts/console/credits';
import { useRef, useState } from 'react';
import { post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { usd } from '../../lib/money.ts';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { Card, ErrorNote } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

/** Gives credit, or takes it back; the reason stands in the ledger for ever. */
export function AdjustCredits({ accountId }: { accountId: string }) {
  const client = useQueryClient();
  const [amount, setAmount] = useState('');
  const [reason, setReason] = useState('');
  const attempt = useRef(crypto.randomUUID?.() ?? String(Math.random()));
  const change = useMutation({
    mutationFn: () =>
      post<ChangedCreditsView>(`${account(accountId)}/credits`, {
        usd: amount.trim(),
        reason: reason.trim(),
        idempotencyKey: attempt.current,
      }),
    onSuccess: (next) => {
      attempt.current = crypto.randomUUID?.() ?? String(Math.random());
      setAmount('');
      setReason('');
      toast(`Balance is now ${usd(next.availableNusd)}`);
      void client.invalidateQueries({ queryKey: ['credits', accountId] });
    },
  });
  return (
    <Card title="Adjust credit">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate();
        }}
      >
        <TextField
          label="Amount, USD"
          inputMode="text"
          required
          pattern="-?\d{1,9}(\.\d{1,9})?"
          hint="Negative takes credit away."
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
        />
        <TextField
          label="Reason"
          required
          maxLength={500}
          hint="The customer sees it in the ledger."
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        {change.error ? <ErrorNote error={change.error} /> : null}
        <div>
          <Button look="primary" type="submit" pending={change.isPending}>
            Book it
          </Button>
        </div>
      </form>
    </Card>
  );
}
