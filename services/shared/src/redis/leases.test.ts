import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type MoneyFixture, moneyFixture } from '../testkit/money.ts';
import { channels } from './keys.ts';
import type { GrantInput } from './money-scripts.ts';

let f: MoneyFixture;
beforeAll(async () => {
  f = await moneyFixture();
});
beforeEach(() => f.reset());
afterAll(() => f.redis.stop());

/** A grant as a keeper would prepare it now. */
async function grantOf(seq: bigint, grantedNusd: bigint, more: Partial<GrantInput> = {}): Promise<GrantInput> {
  const { era, history, nowMs } = await f.money.ensureEra(f.bucket, `fresh${seq}`);
  return {
    accountId: f.account,
    leaseId: `lease_${seq}`,
    seq,
    history,
    era,
    grantedNusd,
    expMs: nowMs + 600_000,
    create: true,
    notAfterMs: nowMs + 5_000,
    caps: [],
    ...more,
  };
}

describe('grant', () => {
  test('creates a lease once; repeats and late totals add nothing twice', async () => {
    const input = await grantOf(1n, 100n);
    expect(await f.money.grant(input)).toMatchObject({ how: 'created', lease: { grantedNusd: 100n, freeNusd: 100n } });
    expect(await f.money.grant(input)).toMatchObject({ how: 'added', lease: { grantedNusd: 100n, freeNusd: 100n } });
    await f.admit('a', 30n);
    const more = { ...input, grantedNusd: 250n, create: false };
    expect(await f.money.grant(more)).toMatchObject({ how: 'added', lease: { grantedNusd: 250n, freeNusd: 220n } });
    expect(await f.money.grant(input)).toMatchObject({ how: 'added', lease: { grantedNusd: 250n, freeNusd: 220n } });
  });

  test('never makes a lease id again after its hash is gone: by DEL, by close, by a later lease', async () => {
    const first = await grantOf(1n, 100n);
    await f.money.grant(first);
    await f.redis.client.del(f.keys.lease(f.account));
    expect(await f.money.grant(first)).toEqual({ how: 'stale', lease: null });
    const second = await grantOf(2n, 50n);
    expect(await f.money.grant(second)).toMatchObject({ how: 'created' });
    expect(await f.money.grant(first)).toMatchObject({ how: 'stale', lease: { leaseId: 'lease_2', freeNusd: 50n } });
  });

  test('a creation that is delivered after a flush finds another era and makes nothing', async () => {
    const input = await grantOf(1n, 100n);
    await f.redis.client.flushall();
    expect(await f.money.grant(input)).toEqual({ how: 'no_era', lease: null });
    await f.money.ensureEra(f.bucket, 'another');
    expect(await f.money.grant(input)).toEqual({ how: 'no_era', lease: null });
    expect(await f.admit('a', 1n)).toMatchObject({ kind: 'need_lease' });
  });

  test('does nothing without the right to create, for another history, or too late', async () => {
    const input = await grantOf(1n, 100n);
    expect(await f.money.grant({ ...input, create: false })).toEqual({ how: 'stale', lease: null });
    expect(await f.money.grant({ ...input, history: 'other:history' })).toEqual({ how: 'stale', lease: null });
    expect(await f.money.grant({ ...input, notAfterMs: 1 })).toEqual({ how: 'stale', lease: null });
  });

  test('lifts exp, never lowers it', async () => {
    const input = await grantOf(1n, 100n);
    await f.money.grant(input);
    await f.money.grant({ ...input, expMs: input.expMs + 5 });
    expect(await f.money.grant({ ...input, expMs: input.expMs - 5 })).toMatchObject({
      lease: { expMs: input.expMs + 5 },
    });
    const ref = { accountId: f.account, leaseId: input.leaseId, history: input.history };
    expect(await f.money.extend({ ...ref, expMs: input.expMs + 9 })).toBe('extended');
    expect(await f.money.extend({ ...ref, expMs: input.expMs })).toBe('extended');
    expect((await f.money.readLease(f.account)).lease!.expMs).toBe(input.expMs + 9);
    expect(await f.money.extend({ ...ref, leaseId: 'lease_x', expMs: input.expMs + 99 })).toBe('stale');
    expect(await f.money.extend({ ...ref, history: 'other:history', expMs: input.expMs + 99 })).toBe('stale');
  });

  test('seeds the caps of a new lease and tells whoever waits', async () => {
    const heard: string[] = [];
    const listener = f.redis.connect();
    listener.on('message', (_channel, account) => heard.push(account));
    await listener.subscribe(channels.answer);
    const { nowMs } = await f.money.ensureEra(f.bucket, 'e');
    const now = new Date(nowMs);
    const day = Math.floor(nowMs / 86_400_000);
    const month = now.getUTCFullYear() * 12 + now.getUTCMonth();
    const cap = { keyId: f.key, day, dayNusd: 40n, month, monthNusd: 90n };
    await f.money.grant(await grantOf(1n, 100n, { caps: [cap] }));
    await listener.ping();
    expect(heard).toEqual([f.account]);
    expect(await f.admit('a', 61n, { capDayNusd: 100n })).toMatchObject({ kind: 'capped', usedNusd: 40n });
    expect(await f.admit('a', 11n, { capMonthNusd: 100n })).toMatchObject({ kind: 'capped', usedNusd: 90n });
    expect(await f.admit('a', 10n, { capDayNusd: 100n, capMonthNusd: 100n })).toMatchObject({ kind: 'ok' });
    listener.disconnect();
  });
});

describe('reclaim and close', () => {
  test('takes what is free, up to a cumulative total, and a repeat takes no more', async () => {
    const input = await grantOf(1n, 100n);
    await f.money.grant(input);
    await f.admit('a', 30n);
    const ref = { accountId: f.account, leaseId: input.leaseId, history: input.history };
    for (let i = 0; i < 2; i++) {
      expect(await f.money.reclaim({ ...ref, returnedNusd: 50n })).toMatchObject({
        how: 'reclaimed',
        lease: { freeNusd: 20n, heldNusd: 30n, returnedNusd: 50n },
      });
    }
    expect(await f.money.reclaim({ ...ref, returnedNusd: 100n })).toMatchObject({
      lease: { freeNusd: 0n, heldNusd: 30n, returnedNusd: 70n },
    });
    expect(await f.money.reclaim({ ...ref, history: 'other:history', returnedNusd: 100n })).toMatchObject({
      how: 'stale',
    });
    expect(await f.money.reclaim({ ...ref, leaseId: 'lease_x', returnedNusd: 100n })).toMatchObject({ how: 'stale' });
  });

  test('a lease closes only when nothing is free and nothing held, tells its totals, and stays closed', async () => {
    const input = await grantOf(1n, 100n);
    await f.money.grant(input);
    await f.admit('a', 30n);
    const ref = { accountId: f.account, leaseId: input.leaseId, history: input.history };
    expect(await f.money.closeLease(ref)).toMatchObject({ how: 'busy' });
    await f.money.reclaim({ ...ref, returnedNusd: 100n });
    expect(await f.money.closeLease(ref)).toMatchObject({ how: 'busy', lease: { heldNusd: 30n } });
    await f.settle('a', 10n, { leaseId: input.leaseId });
    await f.money.reclaim({ ...ref, returnedNusd: 100n });
    expect(await f.money.closeLease(ref)).toMatchObject({
      how: 'closed',
      lease: { spentNusd: 10n, returnedNusd: 90n },
    });
    expect(await f.money.closeLease(ref)).toEqual({ how: 'stale', lease: null });
    expect(await f.money.grant({ ...input, grantedNusd: 500n })).toEqual({ how: 'stale', lease: null });
  });

  test('a quarantined lease is discarded by its id alone', async () => {
    await f.lease(100n);
    expect(await f.money.discardLease({ accountId: f.account, leaseId: 'lease_other' })).toBe('absent');
    const { lease } = await f.money.readLease(f.account);
    expect(await f.money.discardLease({ accountId: f.account, leaseId: lease!.leaseId })).toBe('discarded');
    expect((await f.money.readLease(f.account)).lease).toBeNull();
  });
});

describe('era and verdict', () => {
  test('an era is made once, lost only with the bucket, and never the same again, even by the same call', async () => {
    const first = await f.money.ensureEra(f.bucket, 'one');
    expect(first).toMatchObject({ era: expect.stringMatching(/^one@\d+\.\d+$/), created: true });
    expect(await f.money.ensureEra(f.bucket, 'two')).toMatchObject({ era: first.era, created: false });
    expect(await f.money.readLease(f.account)).toMatchObject({ era: first.era, role: 'master', lease: null });
    await f.redis.client.flushall();
    expect((await f.money.readLease(f.account)).era).toBeNull();
    const second = await f.money.ensureEra(f.bucket, 'one');
    expect(second).toMatchObject({ era: expect.stringMatching(/^one@/), created: true });
    expect(second.era).not.toBe(first.era);
  });

  test('an older verdict never replaces a newer one, nor survives a credit', async () => {
    const set = (version: bigint) =>
      f.money.setVerdict({ accountId: f.account, version, text: `v${version}`, ttlMs: 60_000 });
    const seen = async () => {
      const answer = await f.admit('a', 1n);
      return answer.kind === 'need_lease' ? answer.verdict?.text : undefined;
    };
    expect([await set(10n), await set(9n), await seen()]).toEqual([true, false, 'v10']);
    await f.money.clearVerdict(f.account, 10n);
    expect(await seen()).toBe('v10');
    await f.money.clearVerdict(f.account, 12n);
    expect([await seen(), await set(11n), await seen(), await set(12n), await seen()]).toEqual([
      undefined,
      false,
      undefined,
      true,
      'v12',
    ]);
  });
});
