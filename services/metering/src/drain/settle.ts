/**
 * The fold: usage records over the ledger's state. Pure. It decides what each record means for money, and its result
 * depends on the set of records alone, not on their order or batching (MONEY.md 7):
 *  - a final beats an estimate, once, by posting the difference; of several estimates the largest counts;
 *  - anything met again changes nothing;
 *  - money comes from the lease's rest, then from available, then from uncollected, and goes back in reverse.
 */
import { type Balance, entriesBetween, postSpend } from '@tollgate/shared/db/balance';
import { type LeaseRow, restColumn, settleOnLease } from '@tollgate/shared/db/lease-money';
import type {
  DeadLetter,
  Settlement,
  SettlementPosting,
  SettlementState,
  SettlementWrite,
  SettlementWrites,
} from '@tollgate/shared/db/settlement-store';
import { costNusd, pricesAt, type UnitPrices } from '@tollgate/shared/domain/money';
import type { UsageRecord } from '@tollgate/shared/domain/usage';

/** A record on its way in. `source` is unique per delivery place, e.g. bucket, history and stream id. */
export interface Incoming {
  source: string;
  text: string;
  record: UsageRecord;
  streamId: string | null;
}

/** Things that are legal here but worth a counter and a log line: each means that another part is not as it should be. */
export type Finding =
  /** Billed above its hold: cut to the hold. */
  | 'clipped'
  /** The lease and available together did not cover it. */
  | 'uncollected'
  /** The amount is not what tokens and prices give. */
  | 'amount_mismatch'
  /** The price row is unknown or says something else. */
  | 'price_mismatch'
  /** The lease is unknown or another account's: paid from available. */
  | 'foreign_lease'
  /** A second, different final of the same request: the first one stands. */
  | 'conflict';

export interface FoldResult {
  writes: SettlementWrites;
  deadLetters: DeadLetter[];
  findings: { finding: Finding; requestId: string; amountNusd: bigint }[];
  posted: number;
  repeated: number;
}

export function foldBatch(
  state: SettlementState,
  items: readonly Incoming[],
  prices: ReadonlyMap<string, UnitPrices>,
): FoldResult {
  const balances = new Map(state.balances);
  const leases = new Map(state.leases);
  const settlements = new Map(state.settlements);
  const postings: SettlementPosting[] = [];
  const writes = new Map<string, SettlementWrite>();
  const changedBalances = new Map<string, Balance>();
  const changedLeases = new Map<string, LeaseRow>();
  const spend = new Map<string, { keyId: string; day: string; deltaNusd: bigint }>();
  const result: Omit<FoldResult, 'writes'> = { deadLetters: [], findings: [], posted: 0, repeated: 0 };

  for (const item of items) {
    const { record } = item;
    const find = (finding: Finding, amountNusd = 0n) =>
      result.findings.push({ finding, requestId: record.requestId, amountNusd });
    const refuse = (error: string) => result.deadLetters.push({ source: item.source, text: item.text, error });

    const before = balances.get(record.accountId);
    if (!before) {
      refuse('unknown account');
      continue;
    }
    const old = settlements.get(record.requestId);
    if (old && old.accountId !== record.accountId) {
      refuse('the request id belongs to another account');
      continue;
    }
    const amount = smaller(record.amountNusd, record.heldNusd);
    const verdict = supersedes(old, record.final, amount);
    if (verdict === 'conflict') {
      find('conflict', amount);
      refuse('a different final record of this request was posted before');
      continue;
    }
    if (verdict === 'repeated') {
      result.repeated++;
      continue;
    }

    checkPrices(record, prices, find);
    if (record.clipped || record.amountNusd > record.heldNusd) find('clipped', record.amountNusd);

    let after = before;
    const move = (leaseId: string, delta: bigint) => {
      const lease = leases.get(leaseId);
      if (!lease || lease.account_id !== record.accountId) {
        if (delta > 0n) find('foreign_lease', delta);
        after = postSpend(after, delta, 0n, 'leased');
        return;
      }
      const { lease: changed, fromLease } = settleOnLease(lease, delta);
      after = postSpend(after, delta, fromLease, restColumn(lease));
      leases.set(leaseId, changed);
      changedLeases.set(leaseId, changed);
    };
    if (old && old.leaseId !== record.leaseId) {
      move(old.leaseId, -old.amountNusd);
      move(record.leaseId, amount);
    } else {
      move(record.leaseId, amount - (old?.amountNusd ?? 0n));
    }
    if (after.uncollected > before.uncollected) find('uncollected', after.uncollected - before.uncollected);

    const revision = old ? old.revision + 1 : 0;
    const isFinalOfEstimate = record.final && old !== undefined;
    postings.push({
      kind: isFinalOfEstimate ? 'settlement_final' : 'settlement',
      idemKey: isFinalOfEstimate || revision === 0 ? record.requestId : `${record.requestId}#${revision}`,
      accountId: record.accountId,
      entries: entriesBetween(before, after),
    });
    after = { ...after, version: before.version + 1n };
    balances.set(record.accountId, after);
    changedBalances.set(record.accountId, after);

    const settlement: Settlement = {
      requestId: record.requestId,
      accountId: record.accountId,
      leaseId: record.leaseId,
      state: record.final ? 'final' : 'estimated',
      revision,
      amountNusd: amount,
      keyId: record.keyId,
      admittedAtMs: record.admittedAtMs,
    };
    settlements.set(record.requestId, settlement);
    writes.set(record.requestId, {
      record,
      state: settlement.state,
      revision,
      amountNusd: amount,
      clipped: record.clipped || record.amountNusd > record.heldNusd,
      streamId: item.streamId,
    });
    // The key and the day that the first record named stay: a later one of the same request names the same.
    addSpend(
      spend,
      old?.keyId ?? record.keyId,
      old?.admittedAtMs ?? record.admittedAtMs,
      amount - (old?.amountNusd ?? 0n),
    );
    result.posted++;
  }

  return {
    ...result,
    writes: {
      postings,
      settlements: [...writes.values()],
      leases: [...changedLeases.values()],
      balances: changedBalances,
      spend: [...spend.values()].filter((each) => each.deltaNusd !== 0n),
    },
  };
}

const smaller = (a: bigint, b: bigint) => (a < b ? a : b);

/** Whether a record is news after what is known of its request. */
function supersedes(old: Settlement | undefined, final: boolean, amount: bigint): 'news' | 'repeated' | 'conflict' {
  if (!old) return 'news';
  if (old.state === 'final') return final && amount !== old.amountNusd ? 'conflict' : 'repeated';
  if (final) return 'news';
  return amount > old.amountNusd ? 'news' : 'repeated';
}

/** Recomputes what the record claims (MONEY.md 3.2). The record is posted all the same: a difference is for people. */
function checkPrices(
  record: UsageRecord,
  prices: ReadonlyMap<string, UnitPrices>,
  find: (finding: Finding, amountNusd?: bigint) => void,
): void {
  const whole = prices.get(record.priceId);
  const row = whole && pricesAt(whole, record.pricePercent ?? 100);
  if (
    !row ||
    row.inputNusd !== record.prices.inputNusd ||
    row.cachedInputNusd !== record.prices.cachedInputNusd ||
    row.outputNusd !== record.prices.outputNusd
  ) {
    find('price_mismatch');
  }
  const expected = smaller(costNusd(record, record.prices), record.heldNusd);
  if (expected !== record.amountNusd) find('amount_mismatch', record.amountNusd - expected);
}

function addSpend(
  spend: Map<string, { keyId: string; day: string; deltaNusd: bigint }>,
  keyId: string,
  admittedAtMs: number,
  deltaNusd: bigint,
): void {
  const day = new Date(admittedAtMs).toISOString().slice(0, 10);
  const id = `${keyId} ${day}`;
  const known = spend.get(id);
  if (known) known.deltaNusd += deltaNusd;
  else spend.set(id, { keyId, day, deltaNusd });
}
