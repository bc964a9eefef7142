import { z } from 'zod';
import { accountId, isoTime, nusd, page, pageQuery, plainText, signedUsd, timeInput, transactionId } from './common.ts';
import { exportPaging } from './requests.ts';

export const changeCredits = z
  .strictObject({
    usd: signedUsd,
    reason: plainText(500).meta({ description: 'Why; stands in the ledger for ever.' }),
    idempotencyKey: z
      .string()
      .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 visible ASCII characters')
      .optional()
      .meta({ description: 'A repeat with the same value changes nothing and gets the same transaction.' }),
  })
  .meta({ id: 'ChangeCredits' });
export type ChangeCredits = z.output<typeof changeCredits>;

/** `credited = posted + held + available` once nothing is in flight; `quarantined` is part of `held` and named. */
export const credits = z
  .object({
    accountId,
    creditedNusd: nusd.meta({ description: 'All credit ever given, less what was taken back.' }),
    postedNusd: nusd.meta({ description: 'Spent: settled into the ledger.' }),
    heldNusd: nusd.meta({ description: 'Reserved by running requests, or settled and on its way to the ledger.' }),
    availableNusd: nusd.meta({ description: 'Can be spent: in the ledger plus what the present lease has free.' }),
    quarantinedNusd: nusd.meta({ description: 'Part of held: leases of a lost Redis, returned after their time.' }),
    leasedNusd: nusd.meta({ description: 'Set aside for Redis by the ledger, as Postgres knows it.' }),
    receivableNusd: nusd.meta({ description: 'Owed after a negative adjustment; top-ups repay it first.' }),
    uncollectedNusd: nusd.meta({ description: 'Used beyond what could be collected; 0 unless Redis was lost long.' }),
    leaseKnown: z
      .boolean()
      .meta({ description: 'False when Redis could not be read: the whole lease counts as held.' }),
  })
  .meta({ id: 'Credits' });
export type CreditsView = z.infer<typeof credits>;

export const changedCredits = credits
  .extend({ transactionId: transactionId.nullable(), repeated: z.boolean() })
  .meta({ id: 'ChangedCredits' });
export type ChangedCreditsView = z.infer<typeof changedCredits>;

export const LEDGER_KINDS = [
  'credit_grant',
  'credit_adjust',
  'refund',
  'lease_grant',
  'lease_return',
  'lease_quarantine',
  'lease_release',
  'settlement',
  'settlement_final',
] as const;
export const LEDGER_BUCKETS = [
  'available',
  'leased',
  'quarantined',
  'posted',
  'credited',
  'receivable',
  'uncollected',
] as const;

export const ledgerLine = z
  .object({
    transactionId,
    kind: z.enum(LEDGER_KINDS),
    reason: z.string().nullable(),
    actor: z.string().nullable(),
    createdAt: isoTime,
    entries: z.array(z.object({ bucket: z.enum(LEDGER_BUCKETS), amountNusd: nusd })).meta({
      description: 'Double entry: the amounts of one transaction sum to 0.',
    }),
  })
  .meta({ id: 'LedgerTransaction' });
export type LedgerLine = z.infer<typeof ledgerLine>;

const ledgerFilters = {
  kind: z.enum(LEDGER_KINDS).optional(),
  view: z.enum(['money', 'all']).optional().meta({
    description: '`money`: grants, adjustments, refunds and settlements, without moves of leases; `all` when absent.',
  }),
  from: timeInput.optional().meta({ format: 'date-time' }),
  to: timeInput.optional().meta({ format: 'date-time' }),
};
export const ledgerQuery = z.strictObject({ ...pageQuery, ...ledgerFilters });
export const ledgerExportQuery = z.strictObject({ ...exportPaging, ...ledgerFilters });
export type LedgerExportQuery = z.output<typeof ledgerExportQuery>;
export type LedgerQuery = z.output<typeof ledgerQuery>;
export const ledgerPage = page('LedgerPage', ledgerLine);
