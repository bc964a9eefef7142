import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { Redeemed } from '@tollgate/shared/contracts/console/topup';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { usd } from '../../lib/money.ts';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote } from '../../ui/parts.tsx';

export function Redeem() {
  const { accountId } = useSession();
  const client = useQueryClient();
  const [code, setCode] = useState('');
  const redeem = useMutation({
    // The code itself makes a repeat harmless: nobody redeems it twice.
    mutationFn: () => post<Redeemed>(`${account(accountId)}/redeem`, { code: code.trim() }),
    onSuccess: () => {
      setCode('');
      for (const name of ['credits', 'overview', 'guide', 'forecast', 'ledger']) {
        void client.invalidateQueries({ queryKey: [name] });
      }
    },
  });
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        redeem.mutate();
      }}
    >
      <div className="flex items-end gap-2">
        <TextField
          className="flex-1"
          label="Redemption code"
          required
          minLength={4}
          autoComplete="off"
          spellCheck={false}
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
        <Button type="submit" pending={redeem.isPending}>
          Redeem
        </Button>
      </div>
      {redeem.error ? <ErrorNote error={redeem.error} /> : null}
      <p role="status" className="text-sm font-medium text-ok empty:hidden">
        {redeem.data
          ? redeem.data.repeated
            ? `This code was redeemed before: ${usd(redeem.data.amountNusd)}.`
            : `${usd(redeem.data.amountNusd)} added.`
          : ''}
      </p>
    </form>
  );
}
