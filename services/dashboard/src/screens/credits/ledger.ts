/** Ledger transactions as one line of a statement each: what it did to the customer's money. */
import type { LedgerLine } from '@tollgate/shared/contracts/console/credits';
import { toNusd } from '../../lib/money.ts';

export const KIND_NAMES: Record<LedgerLine['kind'], string> = {
  credit_grant: 'Credit added',
  credit_adjust: 'Adjustment',
  refund: 'Refund',
  lease_grant: 'Set aside for spending',
  lease_return: 'Set-aside credit returned',
  lease_quarantine: 'Set-aside credit held back',
  lease_release: 'Held-back credit returned',
  settlement: 'Request charged',
  settlement_final: 'Charge corrected',
};

/** What came in (positive) or was spent (negative), from the double entry: credited grows, posted shrinks the rest. */
export function effect(line: Pick<LedgerLine, 'entries'>): bigint {
  let sum = 0n;
  for (const { bucket, amountNusd } of line.entries) {
    // `credited` carries the sign of a source: what is given stands there as a negative number.
    if (bucket === 'credited') sum -= toNusd(amountNusd);
    if (bucket === 'posted') sum -= toNusd(amountNusd);
  }
  return sum;
}
