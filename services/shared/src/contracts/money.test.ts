import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { UsageRecord } from '../domain/usage.ts';
import { testSeed } from '../testkit/counts.ts';
import {
  encodeIntent,
  encodeProgress,
  encodeUsageRecord,
  encodeVerdict,
  MalformedText,
  parseIntent,
  parseProgress,
  parseUsageRecord,
  parseVerdict,
} from './money.ts';

const count = fc.nat(2_147_483_647);
const money = fc.bigInt({ min: 0n, max: 9_007_199_254_740_991n });
const time = fc.integer({ min: 0, max: Date.UTC(2199, 0, 1) });
const id = <P extends string>(prefix: P) =>
  fc.stringMatching(/^[0-9A-Za-z]{1,20}$/).map((text): `${P}_${string}` => `${prefix}_${text}`);
const text = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' });
const perhaps = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const record: fc.Arbitrary<UsageRecord> = fc.record({
  requestId: id('req'),
  accountId: id('acct'),
  keyId: id('key'),
  projectId: perhaps(text),
  userId: perhaps(text),
  model: text,
  leaseId: id('lease'),
  history: text,
  heldNusd: money,
  priceId: id('price'),
  prices: fc.record({ inputNusd: money, cachedInputNusd: money, outputNusd: money }),
  admittedAtMs: time,
  routerId: text,
  workerUrl: perhaps(text),
  promptBytes: count,
  stream: fc.boolean(),
  version: fc.constant(1 as const),
  final: fc.boolean(),
  outcome: fc.constantFrom('served' as const, 'router_lost' as const),
  status: count,
  finishReason: perhaps(text),
  promptTokens: count,
  cachedTokens: count,
  completionTokens: count,
  reasoningTokens: count,
  countSource: fc.constantFrom('engine' as const, 'heartbeat' as const, 'estimated' as const),
  amountNusd: money,
  clipped: fc.boolean(),
  absorbed: fc.constantFrom({}, { retry: 5 }, { resume: 1, router_lost: 2 }),
  finishedAtMs: time,
  queueMs: perhaps(count),
  firstTokenMs: perhaps(count),
  durationMs: count,
  endpoint: text,
  clientRequestId: perhaps(text),
});

describe('what crosses Redis', () => {
  test('record and intent come back as they went, amounts up to 2^53 exactly', () => {
    fc.assert(
      fc.property(record, (value) => {
        // NUL is the one character that Postgres does not store.
        fc.pre(!JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? '' : v)).includes('\\u0000'));
        expect(parseUsageRecord(encodeUsageRecord(value))).toEqual(value);
        expect(encodeIntent(parseIntent(encodeIntent(value)))).toBe(encodeIntent(value));
      }),
      { seed: testSeed() },
    );
  });

  test('whatever is broken is a MalformedText and nothing else; unknown fields are passed over', () => {
    const [good] = fc.sample(record, { numRuns: 1, seed: 1 });
    const fields = JSON.parse(encodeUsageRecord(good!)) as Record<string, unknown>;
    expect(parseUsageRecord(JSON.stringify({ ...fields, news: 1 }))).toEqual(good);
    const junk: unknown[] = [undefined, 1.5, -1, '1e3', '-1', {}, [], 1e300, '99999999999999999', true];
    for (const name of [
      'requestId',
      'amountNusd',
      'heldNusd',
      'promptTokens',
      'admittedAtMs',
      'prices',
      'version',
      'final',
    ]) {
      for (const value of junk) {
        // A fraction of a millisecond is cut off.
        if ((name === 'final' && value === true) || (name === 'admittedAtMs' && value === 1.5)) continue;
        expect(() => parseUsageRecord(JSON.stringify({ ...fields, [name]: value }))).toThrow(MalformedText);
      }
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (anything) => {
        expect(() => parseUsageRecord(anything)).toThrow(MalformedText);
      }),
      { seed: testSeed() },
    );
  });

  test('text that Postgres would refuse is made storable, not a reason to lose a bill', () => {
    const [good] = fc.sample(record, { numRuns: 1, seed: 2 });
    const odd = encodeUsageRecord({ ...good!, clientRequestId: 'a\0b\ud800c' });
    expect(parseUsageRecord(odd).clientRequestId).toBe('ab\ufffdc');
  });

  test('progress and verdict come back as they went', () => {
    const progress = { promptTokens: null, completionTokens: 5, source: 'engine' as const };
    expect(parseProgress(encodeProgress(progress))).toEqual(progress);
    const verdict = {
      version: 3n,
      leaseId: null,
      grantedNusd: 150_000_000_000_001n,
      returnedNusd: 0n,
      availableNusd: 1n,
      quarantinedNusd: 2n,
      atMs: 7,
    };
    expect(parseVerdict(encodeVerdict(verdict))).toEqual(verdict);
    expect(encodeVerdict(verdict)).toContain('"granted":"150000000000001"');
  });
});

test('a verdict tells balances beyond 2^53 exactly', () => {
  const verdict = {
    version: 1n,
    leaseId: null,
    grantedNusd: 0n,
    returnedNusd: 0n,
    availableNusd: 9_007_199_254_740_993n,
    quarantinedNusd: 999_999_999_999_999_999n,
    atMs: 1,
  };
  expect(parseVerdict(encodeVerdict(verdict))).toEqual(verdict);
});
