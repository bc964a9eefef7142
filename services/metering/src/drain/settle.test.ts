import { describe, expect, test } from '@jest/globals';
import { type Balance, credit, EMPTY_BALANCE, leaseOut } from '@tollgate/shared/db/balance';
import type { LeaseRow } from '@tollgate/shared/db/lease-money';
import type { SettlementState } from '@tollgate/shared/db/settlement-store';
import type { UnitPrices } from '@tollgate/shared/domain/money';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { foldBatch, type Incoming } from './settle.ts';

const PRICES: UnitPrices = { inputNusd: 2_000_000n, cachedInputNusd: 1_000_000n, outputNusd: 3_000_000n };
const KNOWN = new Map([['price_1', PRICES]]);

const BASE: UsageRecord = {
  requestId: 'req_1',
  accountId: 'acct_1',
  keyId: 'key_1',
  projectId: null,
  userId: null,
  model: 'm',
  leaseId: 'lease_1',
  history: 'h',
  heldNusd: 1_000n,
  priceId: 'price_1',
  prices: PRICES,
  admittedAtMs: Date.UTC(2026, 10, 20, 23, 59, 59),
  routerId: 'r',
  workerUrl: null,
  promptBytes: 0,
  stream: true,
  version: 1,
  final: true,
  outcome: 'served',
  status: 200,
  finishReason: 'stop',
  promptTokens: 5,
  cachedTokens: 0,
  completionTokens: 10,
  reasoningTokens: 0,
  countSource: 'engine',
  amountNusd: 40n,
  clipped: false,
  absorbed: {},
  finishedAtMs: Date.UTC(2026, 10, 21, 0, 0, 5),
  queueMs: null,
  firstTokenMs: null,
  durationMs: 5,
  endpoint: '/v1/chat/completions',
  clientRequestId: null,
};

const item = (part: Partial<UsageRecord> = {}, source = 's'): Incoming => ({
  source,
  text: 't',
  streamId: '1-1',
  record: { ...BASE, ...part },
});
const tokens = (completionTokens: number): Partial<UsageRecord> => ({
  promptTokens: 0,
  completionTokens,
  amountNusd: BigInt(completionTokens) * 3n,
});

function stateOf(creditNusd: bigint, leasedNusd: bigint): SettlementState {
  let balance: Balance = credit(EMPTY_BALANCE, creditNusd);
  if (leasedNusd > 0n) balance = leaseOut(balance, leasedNusd);
  const lease = {
    id: 'lease_1',
    account_id: 'acct_1',
    state: 'open',
    granted: leasedNusd,
    returned: 0n,
    released: 0n,
    settled: 0n,
    overdrawn: 0n,
  } as LeaseRow;
  return {
    balances: new Map([['acct_1', balance]]),
    leases: new Map(leasedNusd > 0n ? [['lease_1', lease]] : []),
    settlements: new Map(),
  };
}
const fold = (state: SettlementState, items: Incoming[]) => foldBatch(state, items, KNOWN);
const after = (result: ReturnType<typeof foldBatch>) => result.writes.balances.get('acct_1')!;

describe('the fold', () => {
  test('a record is posted from its lease; the input state is left alone', () => {
    const state = stateOf(100n, 60n);
    const result = fold(state, [item()]);
    expect(after(result)).toMatchObject({ posted: 40n, leased: 20n, available: 40n, version: 1n });
    expect(result.writes.postings).toEqual([
      {
        kind: 'settlement',
        idemKey: 'req_1',
        accountId: 'acct_1',
        entries: [
          { bucket: 'leased', amountNusd: -40n },
          { bucket: 'posted', amountNusd: 40n },
        ],
      },
    ]);
    expect(result.findings).toEqual([]);
    expect(state.settlements.size).toBe(0);
    expect(state.leases.get('lease_1')!.settled).toBe(0n);
  });

  test('funding goes lease, available, uncollected, and the shortage is counted', () => {
    const result = fold(stateOf(30n, 10n), [item()]);
    expect(after(result)).toMatchObject({ posted: 40n, leased: 0n, available: 0n, uncollected: 10n });
    expect(result.findings).toEqual([{ finding: 'uncollected', requestId: 'req_1', amountNusd: 10n }]);
  });

  test('estimate, larger estimate, final, in one batch: one settlement, differences posted, spend of the key exact', () => {
    const state = stateOf(1_000n, 500n);
    const estimate = { final: false, outcome: 'router_lost' as const };
    const result = fold(state, [
      item({ ...tokens(10), ...estimate }),
      item({ ...tokens(20), ...estimate }),
      item({ ...tokens(15), ...estimate }),
      item(tokens(12)),
      item({ ...tokens(99), ...estimate }),
      item(tokens(12)),
    ]);
    expect(after(result)).toMatchObject({ posted: 36n, leased: 464n, version: 3n });
    expect(result.writes.postings.map(({ kind, idemKey }) => [kind, idemKey])).toEqual([
      ['settlement', 'req_1'],
      ['settlement', 'req_1#1'],
      ['settlement_final', 'req_1'],
    ]);
    expect(result.writes.settlements).toHaveLength(1);
    expect(result.writes.settlements[0]).toMatchObject({ state: 'final', revision: 2, amountNusd: 36n });
    // The day of admission, not the one of the end.
    expect(result.writes.spend).toEqual([{ keyId: 'key_1', day: '2026-11-20', deltaNusd: 36n }]);
    expect(result).toMatchObject({ posted: 3, repeated: 3, deadLetters: [] });
  });

  test('above the hold: cut to it and counted', () => {
    const result = fold(stateOf(5_000n, 3_000n), [item({ ...tokens(400), amountNusd: 1_200n })]);
    expect(after(result).posted).toBe(1_000n);
    expect(result.findings.map((each) => each.finding)).toContain('clipped');
  });

  test('an amount or a price that does not compute is told, and posted all the same', () => {
    const wrong = fold(stateOf(100n, 60n), [item({ amountNusd: 41n })]);
    expect(wrong.findings).toEqual([{ finding: 'amount_mismatch', requestId: 'req_1', amountNusd: 1n }]);
    expect(after(wrong).posted).toBe(41n);
    const unknown = fold(stateOf(100n, 60n), [item({ priceId: 'price_2' })]);
    expect(unknown.findings.map((each) => each.finding)).toEqual(['price_mismatch']);
  });

  test('a second, different final changes nothing and is kept as a dead letter', () => {
    const result = fold(stateOf(1_000n, 500n), [item(tokens(10), 'a'), item(tokens(11), 'b')]);
    expect(after(result).posted).toBe(30n);
    expect(result.deadLetters.map((letter) => letter.source)).toEqual(['b']);
    expect(result.findings.map((each) => each.finding)).toEqual(['conflict']);
  });

  test('a lease of another account pays nothing; an unknown account is a dead letter', () => {
    const state = stateOf(100n, 60n);
    const foreign = { ...state.leases.get('lease_1')!, account_id: 'acct_2' };
    const result = fold({ ...state, leases: new Map([['lease_1', foreign]]) }, [item()]);
    expect(after(result)).toMatchObject({ available: 0n, leased: 60n, posted: 40n });
    expect(result.writes.leases).toEqual([]);
    const nobody = fold(state, [item({ accountId: 'acct_9' })]);
    expect(nobody.deadLetters).toHaveLength(1);
    expect(nobody.writes.postings).toEqual([]);
  });
});
