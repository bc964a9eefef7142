import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { UNCOUNTED } from '../domain/limits.ts';
import { MAX_LEASE_NUSD } from '../domain/money.ts';
import { limitsOf, type MoneyFixture, moneyFixture } from '../testkit/money.ts';
import { channels } from './keys.ts';
import { compileScript, runScript } from './script-loader.ts';

let f: MoneyFixture;
beforeAll(async () => {
  f = await moneyFixture();
});
beforeEach(() => f.reset());
afterAll(() => f.redis.stop());

const NO_CHARGE = { key: 0, account: 0, model: 0 };
const none = limitsOf({});

describe('credit', () => {
  test('a hold moves exactly its amount from free to held, to the nano-USD near 1.5e14 and 2^53', async () => {
    await f.lease(150_000_000_000_001n);
    expect(await f.admit('a', 1n)).toMatchObject({ kind: 'ok' });
    expect(await f.totals()).toEqual([150_000_000_000_000n, 1n, 0n, 0n]);
    await f.settle('a', 1n);
    expect(await f.totals()).toEqual([150_000_000_000_000n, 0n, 1n, 0n]);

    const most = 9_007_199_254_740_991n;
    await f.reset();
    await f.lease(most);
    expect(await f.admit('b', most - 1n)).toMatchObject({ kind: 'ok' });
    expect(await f.totals()).toEqual([1n, most - 1n, 0n, 0n]);
    await f.settle('b', most - 2n);
    expect(await f.totals()).toEqual([2n, 0n, most - 2n, 0n]);
    await expect(f.admit('c', most + 1n)).rejects.toThrow(RangeError);
  });

  test('the last nano-USD is admitted, one more is not', async () => {
    await f.lease(100n);
    expect(await f.admit('a', 101n)).toMatchObject({ kind: 'need_lease', why: 'short' });
    expect(await f.admit('b', 100n)).toMatchObject({ kind: 'ok' });
    expect(await f.admit('c', 1n)).toMatchObject({ kind: 'need_lease', why: 'short' });
    expect(await f.totals()).toEqual([0n, 100n, 0n, 0n]);
  });

  test('the same id while held gets the same answer and no second hold', async () => {
    await f.lease(100n);
    const first = await f.admit('a', 60n);
    const again = await f.admit('a', 60n);
    expect(first).toMatchObject({ kind: 'ok' });
    expect(again).toMatchObject({ ...first, kind: 'held', limits: expect.anything() });
    expect(await f.totals()).toEqual([40n, 60n, 0n, 0n]);
  });

  test('a call that only asks gets the answer that a request would get, and changes nothing', async () => {
    const everything = async () => {
      const keys = (await f.redis.client.keys('*')).sort();
      return Promise.all(keys.map(async (key) => [key, await f.redis.client.dump(key)]));
    };
    const ask = (amountNusd: bigint, requestsPerMinute: number | null = null) =>
      f.money.wouldAdmit({
        accountId: f.account,
        keyId: f.key,
        model: f.model,
        amountNusd,
        limits: { key: limitsOf({ requestsPerMinute }), account: none, model: none },
        tokenCharge: NO_CHARGE,
        capDayNusd: null,
        capMonthNusd: null,
        outboxBound: 1000,
        lowWaterNusd: 1_000n,
      });
    const empty = await everything();
    expect(await ask(1n)).toMatchObject({ kind: 'need_lease', why: 'missing' });
    expect(await everything()).toEqual(empty);
    await f.lease(100n);
    await f.admit('a', 60n, { limits: { key: limitsOf({ requestsPerMinute: 1 }), account: none, model: none } });
    const before = await everything();
    expect(await ask(40n)).toMatchObject({ kind: 'ok' });
    expect(await ask(41n)).toMatchObject({ kind: 'need_lease', why: 'short' });
    expect(await ask(1n, 1)).toMatchObject({ kind: 'limited', scope: 'key', limit: 'requests' });
    expect(await everything()).toEqual(before);
  });

  test('an id that ended is never admitted again', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    await f.settle('a', 10n);
    await f.admit('b', 60n);
    await f.voidHold('b');
    expect(await f.admit('a', 60n)).toMatchObject({ kind: 'resolved' });
    expect(await f.admit('b', 60n)).toMatchObject({ kind: 'resolved' });
    expect(await f.totals()).toEqual([90n, 0n, 10n, 0n]);
  });

  test('a lease of another history, an expired one and none at all spend nothing and say which', async () => {
    expect(await f.admit('a', 1n)).toMatchObject({ kind: 'need_lease', why: 'missing', lease: null });
    await f.lease(100n, { expInMs: -1 });
    expect(await f.admit('a', 1n)).toMatchObject({ kind: 'need_lease', why: 'expired', lease: { freeNusd: 100n } });
    await f.lease(100n);
    await f.redis.client.hset(f.keys.lease(f.account), 'history', 'other:history');
    expect(await f.admit('a', 1n)).toMatchObject({ kind: 'need_lease', why: 'history' });
    expect(await f.totals()).toEqual([100n, 0n, 0n, 0n]);
  });

  test('what lacked is left for the keeper, the largest of several, and announced', async () => {
    const heard: string[] = [];
    const listener = f.redis.connect();
    listener.on('message', (_channel, account) => heard.push(account));
    await listener.subscribe(channels.need);
    await f.admit('a', 70n);
    await f.admit('b', 90n);
    await f.admit('c', 80n);
    expect(await f.money.takeNeeds(f.bucket)).toEqual(new Map([[f.account, 90n]]));
    expect(await f.money.takeNeeds(f.bucket)).toEqual(new Map());
    await listener.ping();
    expect(heard).toEqual([f.account, f.account, f.account]);
    listener.disconnect();
  });

  test('the keeper is never asked for more than the largest lease', async () => {
    await f.admit('a', 9_007_199_254_740_991n);
    expect(await f.money.takeNeeds(f.bucket)).toEqual(new Map([[f.account, MAX_LEASE_NUSD]]));
  });

  test('running low asks the keeper once, not with every admission', async () => {
    const heard: string[] = [];
    const listener = f.redis.connect();
    listener.on('message', (_channel, account) => heard.push(account));
    await listener.subscribe(channels.need);
    await f.lease(100n);
    for (const id of ['a', 'b', 'c', 'd']) await f.admit(id, 20n, { lowWaterNusd: 50n });
    await listener.ping();
    expect(heard).toEqual([f.account]);
    expect(await f.money.takeNeeds(f.bucket)).toEqual(new Map([[f.account, 0n]]));
    listener.disconnect();
  });

  test('the keeper`s verdict comes with the refusal', async () => {
    await f.money.setVerdict({ accountId: f.account, version: 7n, text: '{"v":7}', ttlMs: 60_000 });
    expect(await f.admit('a', 1n)).toMatchObject({ verdict: { version: 7n, text: '{"v":7}' } });
    await f.money.clearVerdict(f.account, 8n);
    expect(await f.admit('a', 1n)).toMatchObject({ verdict: null });
  });
});

describe('metering behind', () => {
  test('stops admissions when the outbox is past its bound, and when memory is marked full', async () => {
    await f.lease(100n);
    for (const id of ['a', 'b', 'c']) {
      expect(await f.admit(id, 1n, { outboxBound: 2 })).toMatchObject({ kind: 'ok' });
      await f.settle(id, 1n);
    }
    expect(await f.admit('d', 1n, { outboxBound: 2 })).toMatchObject({ kind: 'metering_behind' });
    await f.money.setFull(f.bucket, true);
    expect(await f.admit('d', 1n)).toMatchObject({ kind: 'metering_behind' });
    await f.money.setFull(f.bucket, false);
    expect(await f.admit('d', 1n)).toMatchObject({ kind: 'ok' });
  });

  test('a Redis at maxmemory admits nothing, and still settles, voids and renews', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 10n);
    await f.admit('b', 10n);
    await f.redis.client.config('SET', 'maxmemory', '1');
    try {
      expect(await f.admit('c', 10n)).toMatchObject({ kind: 'metering_behind', limits: { requests: null } });
      expect(await f.beat('a', leaseId, 10n)).toBe('held');
      expect(await f.settle('a', 4n)).toMatchObject({ how: 'settled' });
      expect(await f.voidHold('b')).toBe('voided');
    } finally {
      await f.redis.client.config('SET', 'maxmemory', '0');
    }
    expect(await f.totals()).toEqual([96n, 0n, 4n, 0n]);
  });
});

describe('limits', () => {
  const key = (rpm: number | null, tpm: number | null = null, concurrency: number | null = null) => ({
    limits: {
      key: { requestsPerMinute: rpm, tokensPerMinute: tpm, concurrency },
      account: none,
      model: none,
    },
  });
  const limitKey = () => f.keys.limit(f.key);

  test('exactly rpm requests pass in a burst; the refusal tells the time of the next and charges nothing', async () => {
    await f.lease(1000n);
    for (let i = 0; i < 7; i++) expect(await f.admit(`a${i}`, 1n, key(7))).toMatchObject({ kind: 'ok' });
    const refused = await f.admit('b', 1n, key(7));
    expect(refused).toMatchObject({
      kind: 'limited',
      scope: 'key',
      limit: 'requests',
      limits: { requests: { limit: 7, remaining: 0 } },
    });
    if (refused.kind !== 'limited') throw new Error();
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(8572);
    // As if that time had passed.
    const tat = Number(await f.redis.client.hget(limitKey(), 'tat'));
    await f.redis.client.hset(limitKey(), 'tat', tat - refused.retryAfterMs * 1000);
    expect(await f.admit('b', 1n, key(7))).toMatchObject({ kind: 'ok' });
    expect(await f.totals()).toEqual([992n, 8n, 0n, 0n]);
  });

  test.each([
    ['requests', key(60)],
    ['tokens', key(null, 60)],
  ])('a scope that is in use is never forgotten: %s', async (_limit, rates) => {
    await f.lease(1000n);
    const { client } = f.redis;
    await f.admit('a', 1n, rates);
    expect(await client.pttl(limitKey())).toBeGreaterThan(3_590_000);
    // As if the last request had been a quarter of an hour ago: the time to live begins anew.
    const [tat, at] = (await client.hmget(limitKey(), 'tat', 'at')).map(Number) as [number, number];
    if (tat > 0) await client.hset(limitKey(), 'tat', tat - 900e6);
    if (at > 0) await client.hset(limitKey(), 'at', at - 900e3);
    await client.pexpire(limitKey(), 60_000);
    await f.admit('b', 1n, rates);
    expect(await client.pttl(limitKey())).toBeGreaterThan(3_590_000);
  });

  test('a clock that steps back costs at most one minute of rate', async () => {
    await f.lease(1000n);
    const nowUs = Number((await f.redis.client.time())[0]) * 1e6;
    await f.redis.client.hset(
      limitKey(),
      'tat',
      nowUs + 86_400e6,
      'lvl',
      0,
      'at',
      nowUs / 1000 + 86_400_000,
      'tpm',
      60,
    );
    const requests = await f.admit('a', 1n, key(60));
    expect(requests).toMatchObject({ kind: 'limited', limit: 'requests' });
    if (requests.kind === 'limited') expect(requests.retryAfterMs).toBeLessThanOrEqual(1000);
    const tokens = await f.admit('b', 1n, { ...key(null, 60), tokenCharge: { ...NO_CHARGE, key: 60 } });
    expect(tokens).toMatchObject({ kind: 'limited', limit: 'tokens', retryAfterMs: 60_000 });
  });

  test('a clock that steps ahead gives at most one minute of rate', async () => {
    await f.lease(1000n);
    await f.redis.client.hset(limitKey(), 'tat', 1, 'lvl', -60 * 60_000, 'at', 1, 'tpm', 60);
    const input = { ...key(60, 60), tokenCharge: { ...NO_CHARGE, key: 1 } };
    expect(await f.admit('a', 1n, input)).toMatchObject({ kind: 'limited', limit: 'tokens', retryAfterMs: 1000 });
  });

  test('tokens are charged, refilled per ms, and the wait is exact', async () => {
    await f.lease(1000n);
    const of = (tokens: number) => ({ ...key(null, 6000), tokenCharge: { ...NO_CHARGE, key: tokens } });
    expect(await f.admit('a', 1n, of(5000))).toMatchObject({
      kind: 'ok',
      limits: { tokens: { limit: 6000, remaining: 1000, resetMs: 50_000 } },
    });
    const refused = await f.admit('b', 1n, of(3000));
    // 2000 tokens lack, 100 come per second; some ms have passed.
    expect(refused).toMatchObject({ kind: 'limited', limit: 'tokens' });
    if (refused.kind !== 'limited') throw new Error();
    expect(refused.retryAfterMs).toBeGreaterThan(10_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(20_000);
    const at = Number(await f.redis.client.hget(limitKey(), 'at'));
    await f.redis.client.hset(limitKey(), 'at', at - refused.retryAfterMs);
    expect(await f.admit('b', 1n, of(3000))).toMatchObject({ kind: 'ok' });
  });

  test('a charge above the bucket is the bucket; settlement corrects it, with a debt of at most one bucket', async () => {
    await f.lease(1000n);
    const input = { ...key(null, 1000), tokenCharge: { ...NO_CHARGE, key: 50_000 } };
    expect(await f.admit('a', 1n, input)).toMatchObject({ kind: 'ok', limits: { tokens: { remaining: 0 } } });
    await f.settle('a', 1n, { tokens: 90_000 });
    const lvl = Number(await f.redis.client.hget(limitKey(), 'lvl'));
    expect(lvl).toBe(-1000 * 60_000);
    const refused = await f.admit('b', 1n, { ...input, tokenCharge: { ...NO_CHARGE, key: 1000 } });
    if (refused.kind !== 'limited') throw new Error(refused.kind);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(120_000);
    expect(refused.retryAfterMs).toBeGreaterThan(100_000);
  });

  test('settlement gives back what was charged too much, a void all but what it keeps', async () => {
    await f.lease(1000n);
    const input = { ...key(null, 100_000), tokenCharge: { ...NO_CHARGE, key: 60_000 } };
    const remaining = async () =>
      (
        await f.money.peekLimits(
          {
            keyId: f.key,
            accountId: f.account,
            limits: input.limits.key,
            accountLimits: none,
            modelLimits: {},
          } as never,
          f.model,
        )
      ).limits.tokens!.remaining;
    await f.admit('a', 1n, input);
    await f.settle('a', 1n, { tokens: 20_000 });
    const afterSettle = await remaining();
    expect(afterSettle).toBeGreaterThanOrEqual(80_000);
    expect(afterSettle).toBeLessThan(82_000);
    await f.admit('b', 1n, input);
    await f.voidHold('b', 50_000);
    expect(await remaining()).toBeLessThan(33_000);
    await f.reset();
    await f.lease(1000n);
    await f.admit('c', 1n, input);
    await f.voidHold('c', 0);
    expect(await remaining()).toBe(100_000);
  });

  test('concurrency is the number of live holds, per scope, and frees with settle and void', async () => {
    await f.lease(1000n);
    const most2 = key(null, null, 2);
    await f.admit('a', 1n, most2);
    await f.admit('b', 1n, most2);
    expect(await f.admit('c', 1n, most2)).toMatchObject({
      kind: 'limited',
      scope: 'key',
      limit: 'concurrency',
      retryAfterMs: 1000,
    });
    await f.settle('a', 1n);
    expect(await f.admit('c', 1n, most2)).toMatchObject({ kind: 'ok' });
    await f.voidHold('b');
    expect(
      await f.admit('d', 1n, { limits: { key: none, account: limitsOf({ concurrency: 2 }), model: none } }),
    ).toMatchObject({ kind: 'ok' });
    expect(
      await f.admit('e', 1n, { limits: { key: none, account: none, model: limitsOf({ concurrency: 2 }) } }),
    ).toMatchObject({ kind: 'limited', scope: 'model' });
  });

  test('what a service does for an account takes none of its places, not even when it is renewed', async () => {
    const leaseId = await f.lease(1000n);
    const one = limitsOf({ concurrency: 1 });
    const acting = { limits: { key: none, account: limitsOf({ concurrency: UNCOUNTED }), model: none } };
    for (const id of ['a', 'b']) expect(await f.admit(id, 1n, acting)).toMatchObject({ kind: 'ok' });
    expect(await f.beat('a', leaseId, 1n)).toBe('held');
    expect(await f.admit('c', 1n, { limits: { key: one, account: one, model: one } })).toMatchObject({ kind: 'ok' });
    for (const id of ['a', 'b', 'c']) await f.settle(id, 1n);
    expect(await f.totals()).toEqual([997n, 0n, 3n, 0n]);
  });

  test('all or nothing: what one scope refuses is charged to none, and the wait is that of the slowest', async () => {
    await f.lease(1000n);
    const input = {
      limits: {
        key: limitsOf({ requestsPerMinute: 60, tokensPerMinute: 600 }),
        account: limitsOf({ requestsPerMinute: 1 }),
        model: limitsOf({ tokensPerMinute: 60 }),
      },
      tokenCharge: { key: 60, account: 0, model: 60 },
    };
    expect(await f.admit('a', 1n, input)).toMatchObject({ kind: 'ok' });
    const refused = await f.admit('b', 1n, input);
    expect(refused).toMatchObject({
      kind: 'limited',
      scope: 'account',
      limit: 'requests',
      limits: { requests: { limit: 1, remaining: 0 }, tokens: { limit: 60, remaining: 0 } },
    });
    if (refused.kind === 'limited') expect(refused.retryAfterMs).toBeGreaterThan(59_000);
    const state = await f.redis.client.hgetall(limitKey());
    await f.admit('c', 1n, input);
    expect(await f.redis.client.hgetall(limitKey())).toEqual(state);
    expect(await f.totals()).toEqual([999n, 1n, 0n, 0n]);
  });

  test('a refusal for credit or for a cap charges no rate', async () => {
    await f.lease(10n);
    const input = key(60);
    expect(await f.admit('a', 11n, input)).toMatchObject({
      kind: 'need_lease',
      limits: { requests: { remaining: 60 } },
    });
    expect(await f.admit('a', 5n, { ...input, capDayNusd: 4n })).toMatchObject({ kind: 'capped' });
    expect(await f.admit('a', 5n, input)).toMatchObject({ kind: 'ok', limits: { requests: { remaining: 59 } } });
  });

  test('a limit of 0 lets nothing pass', async () => {
    await f.lease(10n);
    expect(await f.admit('a', 1n, key(0))).toMatchObject({ kind: 'limited', limit: 'requests', retryAfterMs: 60_000 });
    expect(await f.admit('a', 1n, key(null, 0))).toMatchObject({ kind: 'limited', limit: 'tokens' });
    expect(await f.admit('a', 1n, key(null, null, 0))).toMatchObject({ kind: 'limited', limit: 'concurrency' });
  });
});

describe('spend caps', () => {
  test('count holds and spent money of the key, per UTC day and month, and are put right by settlement', async () => {
    await f.lease(1000n);
    const capped = { capDayNusd: 100n, capMonthNusd: 150n };
    await f.admit('a', 100n, capped);
    const refused = await f.admit('b', 1n, capped);
    expect(refused).toMatchObject({ kind: 'capped', cap: 'day', usedNusd: 100n });
    if (refused.kind === 'capped') expect(refused.resetsInMs).toBeLessThanOrEqual(86_400_000);
    await f.settle('a', 30n);
    expect(await f.admit('b', 70n, capped)).toMatchObject({ kind: 'ok' });
    await f.voidHold('b');
    expect(await f.admit('c', 70n, { ...capped, capMonthNusd: 99n })).toMatchObject({
      kind: 'capped',
      cap: 'month',
      usedNusd: 30n,
    });
  });

  test('another day counts from nothing, and a late settlement of yesterday does not touch it', async () => {
    await f.lease(1000n);
    await f.admit('a', 100n, { capDayNusd: 100n });
    const today = Number(await f.redis.client.hget(f.keys.lease(f.account), `cdd:${f.key}`));
    // As if `a` had been admitted yesterday.
    await f.redis.client.hset(f.keys.lease(f.account), `cdd:${f.key}`, today - 1);
    await f.redis.client.hset(f.keys.hold('req_a'), 'day', today - 1);
    expect(await f.admit('b', 100n, { capDayNusd: 100n })).toMatchObject({ kind: 'ok' });
    await f.settle('a', 1n);
    expect(await f.admit('c', 1n, { capDayNusd: 100n })).toMatchObject({ kind: 'capped', usedNusd: 100n });
  });

  test('day and month of any time from 1970 to 2200 are the calendar`s', async () => {
    const script = compileScript(
      'calendar-test',
      'local unused\n--- KEYS: none\n--- ARGV: times\n--- RETURNS: day, month per time\n--- @include calendar\n' +
        'local out = {}\nfor i, ms in ipairs(ARGV) do\n  local day, month = calendar(tonumber(ms))\n' +
        '  out[i] = {day, month, day_left_ms(tonumber(ms)), month_left_ms(tonumber(ms))}\nend\nreturn out\n',
    );
    const times: number[] = [];
    for (let year = 1970; year <= 2200; year++) {
      for (const [month, day] of [
        [0, 1],
        [1, 28],
        [1, 29],
        [2, 1],
        [11, 31],
        [6, 15],
      ] as const) {
        times.push(Date.UTC(year, month, day), Date.UTC(year, month, day) + 86_399_999);
      }
    }
    const rows = (await runScript(f.redis.client, script, [], times)) as number[][];
    const wrong = times.filter((ms, i) => {
      const date = new Date(ms);
      const day = Math.floor(ms / 86_400_000);
      const month = date.getUTCFullYear() * 12 + date.getUTCMonth();
      const nextMonth = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
      const expected = [day, month, (day + 1) * 86_400_000 - ms, nextMonth - ms];
      return expected.some((value, at) => value !== rows[i]![at]);
    });
    expect(wrong).toEqual([]);
  });
});
