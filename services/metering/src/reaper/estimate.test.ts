import { describe, expect, test } from '@jest/globals';
import { encodeIntent, encodeProgress, encodeUsageRecord, parseUsageRecord } from '@tollgate/shared/contracts/money';
import type { Intent, Progress } from '@tollgate/shared/domain/usage';
import { estimateRecord } from './estimate.ts';

const INTENT: Intent = {
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
  prices: { inputNusd: 2_000_000n, cachedInputNusd: 1_000_000n, outputNusd: 3_000_000n },
  admittedAtMs: 5_000,
  routerId: 'r',
  workerUrl: null,
  promptBytes: 41,
  stream: true,
};
const estimate = (progress: Progress, intent = INTENT) =>
  estimateRecord({ intent: encodeIntent(intent), progress: encodeProgress(progress) }, 65_000);

describe('what a lost router is billed', () => {
  test('what its last heartbeat showed, the prompt at the full price, not final', () => {
    const record = estimate({ promptTokens: 10, completionTokens: 7, source: 'engine' })!;
    expect(record).toMatchObject({
      final: false,
      outcome: 'router_lost',
      amountNusd: 41n,
      countSource: 'heartbeat',
      durationMs: 60_000,
    });
    expect(parseUsageRecord(encodeUsageRecord(record))).toEqual(record);
  });

  test('bytes / 4 when no engine told the prompt, flagged as estimated', () => {
    expect(estimate({ promptTokens: null, completionTokens: 1, source: 'engine' })).toMatchObject({
      promptTokens: 11,
      countSource: 'estimated',
      amountNusd: 25n,
    });
  });

  test('never more than the hold', () => {
    const record = estimate({ promptTokens: 10, completionTokens: 700, source: 'engine' });
    expect(record).toMatchObject({ amountNusd: 1_000n, clipped: true });
  });

  test('nothing delivered, or nothing readable: void', () => {
    expect(estimate({ promptTokens: 10, completionTokens: 0, source: 'engine' })).toBeNull();
    expect(estimateRecord({ intent: null, progress: null }, 1)).toBeNull();
    expect(estimateRecord({ intent: '{"requestId":1}', progress: '{}' }, 1)).toBeNull();
  });
});
