/**
 * Random cases of the confluence test: two accounts with leases in every state, requests with estimates, finals, repeats,
 * foreign leases, and texts that are no records; and what the ledger must be in the end, computed from the set alone.
 */
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import type { Db } from '@tollgate/shared/db/client';
import { LeaseStore } from '@tollgate/shared/db/lease-store';
import { tx } from '@tollgate/shared/db/tx';
import type { LeaseId, RequestId } from '@tollgate/shared/domain/ids';
import fc from 'fast-check';
import { addAccount, bucketNumber, intentOf, priceOf, recordOf, type TestAccount } from './metering-harness.ts';

/** Amounts are in tokens. */
interface LeaseSpec {
  tokens: number;
  state: 'open' | 'quarantined' | 'closed';
}
interface RequestSpec {
  account: number;
  /** Index of a lease of the account; -1 = a lease nobody knows; -2 = a lease of the other account. */
  lease: number;
  estimates: number[];
  final: number | null;
  copies: number;
}
export interface Case {
  accounts: { credit: number; leases: LeaseSpec[] }[];
  requests: RequestSpec[];
  malformed: number;
  seed: number;
}

export const caseOf: fc.Arbitrary<Case> = fc.record({
  accounts: fc.tuple(accountSpec(), accountSpec()),
  requests: fc.array(
    fc.record({
      account: fc.integer({ min: 0, max: 1 }),
      lease: fc.integer({ min: -2, max: 2 }),
      estimates: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 2 }),
      final: fc.option(fc.integer({ min: 0, max: 60 })),
      copies: fc.integer({ min: 1, max: 2 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  malformed: fc.integer({ min: 0, max: 2 }),
  seed: fc.integer(),
});

function accountSpec() {
  return fc.record({
    credit: fc.integer({ min: 0, max: 200 }),
    leases: fc.array(
      fc.record({
        tokens: fc.integer({ min: 1, max: 80 }),
        state: fc.constantFrom<LeaseSpec['state']>('open', 'quarantined', 'closed'),
      }),
      { maxLength: 3 },
    ),
  });
}

export interface Delivery {
  bucket: number;
  text: string;
  /** null = no record. */
  requestId: RequestId | null;
}

/** A case under ids of its own. */
export interface Made {
  accounts: (TestAccount & { credit: bigint; leases: { id: LeaseId; spec: LeaseSpec }[] })[];
  /** `tokens` = what is to be billed in the end; null = nothing. `own` = the lease that pays, if it is the account's. */
  requests: { spec: RequestSpec; requestId: RequestId; own: { id: LeaseId } | undefined; tokens: number | null }[];
  deliveries: Delivery[];
}

let leases = 0;

/** Sets up the case's accounts under fresh ids and returns the texts of its records. */
export async function setUp(db: Db, { accounts, requests, malformed }: Case): Promise<Made> {
  const made: Made['accounts'] = [];
  for (const spec of accounts) {
    const credit = priceOf(spec.credit);
    const who: Made['accounts'][number] = { ...(await addAccount(db, credit)), credit, leases: [] };
    let left = spec.credit;
    let open = false;
    for (const lease of spec.leases) {
      // Only one lease is open at a time: the open one is made last.
      if (open || lease.tokens > left) continue;
      const id: LeaseId = `lease_c${++leases}`;
      const store = new LeaseStore(db);
      await tx(db, (trx) =>
        new LeaseStore(trx).open({
          id,
          accountId: who.account,
          bucket: bucketNumber(who.account),
          history: 'run:repl',
          era: 'era',
          amountNusd: priceOf(lease.tokens),
          expMs: 0,
        }),
      );
      if (lease.state !== 'open') await store.quarantine(who.account, id, 'history');
      if (lease.state === 'closed') await store.release(who.account, id, 0n);
      else left -= lease.tokens;
      open = lease.state === 'open';
      who.leases.push({ id, spec: lease });
    }
    made.push(who);
  }
  const deliveries: Delivery[] = [];
  const done = requests.map((spec, index) => {
    const who = made[spec.account]!;
    const other = made[1 - spec.account]!;
    const requestId: RequestId = `req_${who.account.slice(5)}x${index}`;
    const own = spec.lease >= 0 ? who.leases[spec.lease] : undefined;
    const leaseId = own?.id ?? (spec.lease === -2 ? other.leases[0]?.id : undefined) ?? (`lease_none` as const);
    const intent = intentOf(who, requestId, { leaseId, routerId: `router-${index % 2}` });
    const records = spec.estimates.map((tokens) => recordOf(intent, tokens, { final: false, outcome: 'router_lost' }));
    if (spec.final !== null) records.push(recordOf(intent, spec.final));
    for (const record of records) {
      for (let copy = 0; copy < spec.copies; copy++) {
        deliveries.push({ bucket: bucketNumber(who.account), text: encodeUsageRecord(record), requestId });
      }
    }
    const tokens = spec.final ?? (spec.estimates.length > 0 ? Math.max(...spec.estimates) : null);
    return { spec, requestId, own, tokens };
  });
  for (let index = 0; index < malformed; index++) {
    const text = ['', '{"version":1}', '{"amountNusd":1.5e14'][index % 3]!;
    deliveries.push({ bucket: bucketNumber(made[0]!.account), text, requestId: null });
  }
  return { accounts: made, requests: done, deliveries };
}

/** What the ledger must be, computed from the set alone. */
export function expected({ accounts, requests }: Made) {
  return accounts.map((who, account) => {
    const mine = requests.filter((each) => each.spec.account === account && each.tokens !== null);
    const posted = mine.reduce((sum, each) => sum + priceOf(each.tokens!), 0n);
    const rests = { open: 0n, quarantined: 0n, closed: 0n };
    for (const lease of who.leases) {
      if (lease.spec.state === 'closed') continue;
      const used = mine
        .filter((each) => each.own?.id === lease.id)
        .reduce((sum, each) => sum + priceOf(each.tokens!), 0n);
      const rest = priceOf(lease.spec.tokens) - used;
      if (rest > 0n) rests[lease.spec.state] += rest;
    }
    const spendable = who.credit - posted - rests.open - rests.quarantined;
    return {
      available: spendable > 0n ? spendable : 0n,
      leased: rests.open,
      quarantined: rests.quarantined,
      posted,
      credited: who.credit,
      receivable: 0n,
      uncollected: spendable < 0n ? -spendable : 0n,
    };
  });
}
