import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type MoneyFixture, moneyFixture, reqId } from '../testkit/money.ts';
import { scopeNames } from './keys.ts';

let f: MoneyFixture;
beforeAll(async () => {
  f = await moneyFixture();
});
beforeEach(() => f.reset());
afterAll(() => f.redis.stop());

const outbox = async () => (await f.money.drainRead(f.bucket, 100)).entries.map((entry) => entry.text);
const live = () =>
  Promise.all(scopeNames(f.key, f.account, f.model).map((scope) => f.redis.client.scard(f.keys.live(scope))));

describe('settle', () => {
  test('spends the amount, frees the rest, writes the record and empties every list, in one step', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    expect(await live()).toEqual([1, 1, 1]);
    expect(await f.settle('a', 25n)).toMatchObject({ how: 'settled' });
    expect(await f.totals()).toEqual([75n, 0n, 25n, 0n]);
    expect(await outbox()).toEqual(['{"requestId":"req_a"}']);
    expect(await live()).toEqual([0, 0, 0]);
    expect((await f.money.readHolds(f.bucket)).holds).toEqual([]);
  });

  test('repeated, answers the same stream id and moves nothing', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    const first = await f.settle('a', 25n);
    expect(await f.settle('a', 25n)).toEqual({ ...first, how: 'repeated' });
    expect(await f.settle('a', 60n)).toEqual({ ...first, how: 'repeated' });
    expect(await f.totals()).toEqual([75n, 0n, 25n, 0n]);
    expect(await outbox()).toHaveLength(1);
  });

  test('repeated after its record was drained, says that Postgres has it, also without any confirmation', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    expect(await f.settle('a', 25n)).toMatchObject({ how: 'settled', confirmed: false });
    expect(await f.settle('a', 25n)).toMatchObject({ how: 'repeated', confirmed: false });
    const { history, entries } = await f.money.drainRead(f.bucket, 10);
    await f.money.drainAck(f.bucket, history, entries);
    await f.redis.client.del(f.keys.confirm);
    expect(await f.settle('a', 25n)).toMatchObject({ how: 'repeated', confirmed: true });
  });

  test('an amount above the hold spends the hold and no more', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    await f.settle('a', 61n);
    expect(await f.totals()).toEqual([40n, 0n, 60n, 0n]);
  });

  test('without a hold only appends, and a late admit of that id is refused', async () => {
    await f.lease(100n);
    expect(await f.settle('a', 25n)).toMatchObject({ how: 'appended' });
    expect(await f.admit('a', 60n)).toMatchObject({ kind: 'resolved' });
    expect(await f.totals()).toEqual([100n, 0n, 0n, 0n]);
    expect(await outbox()).toHaveLength(1);
  });

  test('a hold of a lease that was replaced only appends', async () => {
    const old = await f.lease(100n);
    await f.admit('a', 60n);
    await f.lease(50n);
    expect(await f.settle('a', 25n, { leaseId: old })).toMatchObject({ how: 'appended' });
    expect(await f.totals()).toEqual([50n, 0n, 0n, 0n]);
  });

  test('a record of another lease than the hold`s gives the hold`s money back', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    expect(await f.settle('a', 25n, { leaseId: 'lease_elsewhere' })).toMatchObject({ how: 'appended' });
    expect(await f.totals()).toEqual([100n, 0n, 0n, 0n]);
  });

  test('after the reaper or a void appends the true record as well', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    await f.admit('b', 10n);
    const { history } = await f.money.readHolds(f.bucket);
    const dead = {
      accountId: f.account,
      keyId: f.key,
      model: f.model,
      requestId: reqId('a'),
      tokens: 0,
      leaseId,
      history,
    };
    await f.money.reap({ ...dead, routerId: 'router1', expectedBeats: 0, amountNusd: 20n, record: '{"estimated":1}' });
    await f.voidHold('b');
    expect(await f.settle('a', 25n)).toMatchObject({ how: 'appended' });
    expect(await f.settle('b', 5n)).toMatchObject({ how: 'appended' });
    expect(await f.settle('b', 5n)).toMatchObject({ how: 'repeated' });
    expect(await outbox()).toEqual(['{"estimated":1}', '{"requestId":"req_a"}', '{"requestId":"req_b"}']);
    expect(await f.totals()).toEqual([80n, 0n, 20n, 0n]);
  });

  test('a lost outbox is noticed: its id changes and a repeat writes the record again', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    const first = await f.settle('a', 25n);
    await f.redis.client.del(f.keys.outbox);
    await f.settle('b', 1n);
    const again = await f.settle('a', 25n);
    expect(again.how).toBe('appended');
    expect(again.history).not.toBe(first.history);
    expect(again.history.split(':').slice(0, 2)).toEqual(first.history.split(':').slice(0, 2));
    expect(await outbox()).toHaveLength(2);
    await f.redis.client.flushall();
    expect((await f.settle('c', 1n)).history).not.toBe(again.history);
  });
});

describe('void', () => {
  test('frees the whole hold, once, and writes no record', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    expect(await f.voidHold('a')).toBe('voided');
    expect(await f.voidHold('a')).toBe('resolved');
    expect(await f.totals()).toEqual([100n, 0n, 0n, 0n]);
    expect(await outbox()).toEqual([]);
    expect(await live()).toEqual([0, 0, 0]);
  });

  test('before the admit arrives leaves a tombstone that it obeys', async () => {
    await f.lease(100n);
    expect(await f.voidHold('a')).toBe('absent');
    expect(await f.admit('a', 60n)).toMatchObject({ kind: 'resolved' });
    const ttlMs = await f.redis.client.pttl(f.keys.hold('req_a'));
    expect(ttlMs).toBeGreaterThan(590_000);
    expect(ttlMs).toBeLessThanOrEqual(600_000);
  });

  test('of a settled request changes nothing', async () => {
    await f.lease(100n);
    await f.admit('a', 60n);
    await f.settle('a', 25n);
    expect(await f.voidHold('a')).toBe('resolved');
    expect(await f.totals()).toEqual([75n, 0n, 25n, 0n]);
  });
});

describe('heartbeat and reap', () => {
  const reapInput = (leaseId: string, history: string, expectedBeats: number, record: string | null) => ({
    accountId: f.account,
    keyId: f.key,
    model: f.model,
    requestId: reqId('a'),
    tokens: 0,
    leaseId: leaseId as `lease_${string}`,
    history,
    routerId: 'router1',
    expectedBeats,
    amountNusd: 20n,
    record,
  });

  test('beats carry intent and progress into the hold, where the reaper reads them', async () => {
    const leaseId = await f.lease(100n);
    const admitted = await f.admit('a', 60n);
    expect(await f.beat('a', leaseId, 60n)).toBe('held');
    expect(await f.beat('a', leaseId, 60n)).toBe('held');
    const { holds, history } = await f.money.readHolds(f.bucket);
    if (admitted.kind !== 'ok') throw new Error(admitted.kind);
    expect(holds).toEqual([
      {
        requestId: 'req_a',
        accountId: f.account,
        keyId: f.key,
        model: f.model,
        leaseId,
        history,
        amountNusd: 60n,
        admittedAtMs: admitted.admittedAtMs,
        beats: 2,
        recreated: false,
        intent: '{"i":1}',
        progress: '{"p":1}',
      },
    ]);
  });

  test('a beat since the reaper looked saves the hold', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    const { history } = await f.money.readHolds(f.bucket);
    await f.beat('a', leaseId, 60n);
    expect(await f.money.reap(reapInput(leaseId, history, 0, null))).toBe('moved');
    expect(await f.totals()).toEqual([40n, 60n, 0n, 0n]);
    expect(await f.money.reap(reapInput(leaseId, history, 1, '{"r":1}'))).toBe('reaped');
    expect(await f.totals()).toEqual([80n, 0n, 20n, 0n]);
    expect(await f.money.reap(reapInput(leaseId, history, 1, '{"r":1}'))).toBe('resolved');
    expect(await outbox()).toEqual(['{"r":1}']);
  });

  test('reaping is for one history and one lease', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    const { history } = await f.money.readHolds(f.bucket);
    expect(await f.money.reap(reapInput(leaseId, 'other:history', 0, null))).toBe('moved');
    expect(await f.money.reap(reapInput('lease_other', history, 0, null))).toBe('moved');
    expect(await f.money.reap(reapInput(leaseId, history, 0, null))).toBe('voided');
    expect(await f.totals()).toEqual([100n, 0n, 0n, 0n]);
    expect(await outbox()).toEqual([]);
  });

  test('after a flush a beat stands the hold up again, with its places, without any money', async () => {
    const old = await f.lease(100n);
    await f.admit('a', 60n);
    await f.redis.client.flushall();
    expect(await f.beat('a', old, 60n)).toBe('recreated');
    expect(await live()).toEqual([1, 1, 1]);
    const { holds } = await f.money.readHolds(f.bucket);
    expect(holds).toMatchObject([{ recreated: true, leaseId: old, history: 'h', admittedAtMs: 5, amountNusd: 60n }]);
    await f.lease(50n);
    expect(await f.settle('a', 25n, { leaseId: old })).toMatchObject({ how: 'appended' });
    expect(await f.totals()).toEqual([50n, 0n, 0n, 0n]);
    expect(await live()).toEqual([0, 0, 0]);
  });

  test('a beat that comes after everything has forgotten its request makes no money', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    await f.voidHold('a');
    await f.redis.client.del(f.keys.hold('req_a'));
    expect(await f.beat('a', leaseId, 60n)).toBe('recreated');
    expect(await f.voidHold('a')).toBe('voided');
    expect(await f.totals()).toEqual([100n, 0n, 0n, 0n]);
  });

  test('a hold made again after a loss is not taken for the one that was lost', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    await f.beat('a', leaseId, 60n);
    const { history } = await f.money.readHolds(f.bucket);
    await f.redis.client.flushall();
    await f.beat('a', leaseId, 60n);
    expect(await f.money.reap(reapInput(leaseId, history, 1, null))).toBe('moved');
  });

  test('a beat also mends lists that were lost', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    await f.redis.client.del(f.keys.holds, ...scopeNames(f.key, f.account, f.model).map(f.keys.live));
    expect(await f.beat('a', leaseId, 60n)).toBe('held');
    expect(await live()).toEqual([1, 1, 1]);
    expect((await f.money.readHolds(f.bucket)).holds).toHaveLength(1);
  });

  test('an ended request stays ended', async () => {
    const leaseId = await f.lease(100n);
    await f.admit('a', 60n);
    await f.settle('a', 25n);
    expect(await f.beat('a', leaseId, 60n)).toBe('resolved');
    expect(await live()).toEqual([0, 0, 0]);
  });

  test('hundreds of beats of a bucket are answered in order', async () => {
    const leaseId = await f.lease(1000n);
    const names = Array.from({ length: 150 }, (_, i) => `n${i}`);
    for (const name of names.slice(0, 100)) await f.admit(name, 1n);
    for (const name of names.slice(0, 50)) await f.settle(name, 1n);
    const beats = names.map((name) => ({
      accountId: f.account,
      keyId: f.key,
      model: f.model,
      requestId: reqId(name),
      leaseId,
      history: 'h',
      admittedAtMs: 1,
      amountNusd: 1n,
      intent: '{}',
      progress: '{}',
    }));
    const answers = await f.money.heartbeat(f.bucket, beats);
    expect(answers).toEqual(names.map((_, i) => (i < 50 ? 'resolved' : i < 100 ? 'held' : 'recreated')));
    expect(await f.money.heartbeat(f.bucket, [])).toEqual([]);
  });

  test('an id whose hold is gone is told apart and taken off the list', async () => {
    await f.lease(100n);
    await f.admit('a', 10n);
    await f.admit('b', 10n);
    await f.redis.client.del(f.keys.hold('req_a'));
    const { holds, orphans } = await f.money.readHolds(f.bucket);
    expect([holds.map((hold) => hold.requestId), orphans]).toEqual([['req_b'], ['req_a']]);
    await f.money.dropOrphans(f.bucket, [reqId('a'), reqId('b')]);
    expect(await f.redis.client.zrange(f.keys.holds, 0, '-1')).toEqual(['req_b']);
  });
});
