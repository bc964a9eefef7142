import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LeaseStore } from '@tollgate/shared/db/lease-store';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { tx } from '@tollgate/shared/db/tx';
import type { AccountId, LeaseId } from '@tollgate/shared/domain/ids';
import { bucketKeys, bucketOf } from '@tollgate/shared/redis/keys';
import { BUCKETS, type Harness, startHarness } from '../testing/harness.ts';

let console_: Harness;
beforeAll(async () => {
  console_ = await startHarness({ database: 'postgres' });
});
afterAll(() => console_?.stop());

const USD = 1_000_000_000n;

async function newAccount(creditUsd?: string): Promise<AccountId> {
  const { body } = await console_.post('/api/accounts', { name: 'test' });
  if (creditUsd) await change(body.accountId, creditUsd);
  return body.accountId;
}
const change = (id: string, usd: unknown, more: object = {}) =>
  console_.post(`/api/accounts/${id}/credits`, { usd, reason: 'test', ...more });
const show = async (id: string) => (await console_.get(`/api/accounts/${id}/credits`)).body;

/** What the keeper does: set aside in Postgres, then grant to this Redis. */
async function lease(accountId: AccountId, amountNusd: bigint): Promise<LeaseId> {
  const { era, history, nowMs } = await console_.money.ensureEra(bucketOf(accountId, BUCKETS), 'era-1');
  const id: LeaseId = `lease_${accountId.slice(5)}`;
  const expMs = nowMs + 900_000;
  const opened = await tx(console_.db, async (trx) => {
    await new LedgerStore(trx).lockBalance(trx, accountId);
    return new LeaseStore(trx).open({
      id,
      accountId,
      bucket: bucketOf(accountId, BUCKETS),
      history,
      era,
      amountNusd,
      expMs,
    });
  });
  const granted = await console_.money.grant({
    accountId,
    leaseId: id,
    seq: opened.lease.seq,
    history,
    era,
    grantedNusd: amountNusd,
    expMs,
    create: true,
    notAfterMs: nowMs + 60_000,
    caps: [],
  });
  expect(granted.how).toBe('created');
  return id;
}

describe('granting credit', () => {
  test('adds it to the ledger with reason and actor, and tells the balance', async () => {
    const id = await newAccount();
    const { status, body } = await change(id, '12.345678901', { reason: 'a present' });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      creditedNusd: '12345678901',
      availableNusd: '12345678901',
      heldNusd: '0',
      repeated: false,
    });
    const { body: ledger } = await console_.get(`/api/accounts/${id}/ledger`);
    expect(ledger.data).toEqual([
      expect.objectContaining({
        kind: 'credit_grant',
        reason: 'a present',
        actor: 'admin-token',
        transactionId: body.transactionId,
      }),
    ]);
    const sum = ledger.data[0].entries.reduce(
      (total: bigint, e: { amountNusd: string }) => total + BigInt(e.amountNusd),
      0n,
    );
    expect(sum).toBe(0n);
  });

  test('clears the cached verdict before it returns', async () => {
    const id = await newAccount();
    await console_.money.setVerdict({ accountId: id, version: 0n, text: '{"available":"0"}', ttlMs: 60_000 });
    const name = bucketKeys(bucketOf(id, BUCKETS)).verdict(id);
    expect(await console_.redis.client.hget(name, 'text')).toBe('{"available":"0"}');
    await change(id, 1);
    expect((await console_.redis.client.hget(name, 'text')) || null).toBeNull();
  });

  test('with an idempotencyKey happens once; another amount under it is refused', async () => {
    const id = await newAccount();
    const all = await Promise.all([1, 2, 3, 4].map(() => change(id, '5', { idempotencyKey: 'pay-1' })));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(all.filter(({ body }) => !body.repeated)).toHaveLength(1);
    expect(new Set(all.map(({ body }) => body.transactionId)).size).toBe(1);
    expect((await show(id)).creditedNusd).toBe('5000000000');
    for (const usd of ['6', '-5']) {
      const other = await change(id, usd, { idempotencyKey: 'pay-1' });
      expect([other.status, other.body.error.code]).toEqual([409, 'conflict']);
    }
    const elsewhere = await change(await newAccount(), '5', { idempotencyKey: 'pay-1' });
    expect(elsewhere.body.repeated).toBe(false);
  });

  test.each([
    ['0', 400],
    ['1e3', 400],
    ['0.0000000001', 400],
    ['9000001', 400],
    [true, 400],
    [null, 400],
  ])('of %s is %s', async (usd, status) => {
    expect((await change(await newAccount(), usd)).status).toBe(status);
  });

  test('without a reason or to nobody is refused', async () => {
    expect((await console_.post(`/api/accounts/${await newAccount()}/credits`, { usd: '1' })).status).toBe(400);
    expect((await change('acct_00000000000000000000', '1')).status).toBe(404);
  });
});

describe('taking credit back', () => {
  test('takes what is available; more than was ever given is refused', async () => {
    const id = await newAccount('10');
    expect((await change(id, '-4')).body).toMatchObject({ creditedNusd: '6000000000', availableNusd: '6000000000' });
    const refused = await change(id, '-7');
    expect([refused.status, refused.body.error.code]).toEqual([409, 'conflict']);
    expect((await show(id)).creditedNusd).toBe('6000000000');
  });

  test('recalls the free part of the lease first, Redis before Postgres', async () => {
    const id = await newAccount('10');
    await lease(id, 8n * USD);
    expect(await show(id)).toMatchObject({ availableNusd: '10000000000', leasedNusd: '8000000000', heldNusd: '0' });
    expect((await change(id, '-9')).body).toMatchObject({
      creditedNusd: '1000000000',
      availableNusd: '1000000000',
      leasedNusd: '1000000000',
      receivableNusd: '0',
    });
    const { lease: view } = await console_.money.readLease(id);
    expect(view).toMatchObject({ freeNusd: USD, returnedNusd: 7n * USD, grantedNusd: 8n * USD });
  });

  test('what running requests hold becomes receivable, and the next credit repays it', async () => {
    const id = await newAccount('10');
    const leaseId = await lease(id, 10n * USD);
    const none = { requestsPerMinute: null, tokensPerMinute: null, concurrency: null };
    const admitted = await console_.money.admit({
      accountId: id,
      keyId: 'key_1',
      model: 'm',
      requestId: 'req_1',
      amountNusd: 6n * USD,
      limits: { key: none, account: none, model: none },
      tokenCharge: { key: 0, account: 0, model: 0 },
      capDayNusd: null,
      capMonthNusd: null,
      outboxBound: 1_000,
      lowWaterNusd: 0n,
    });
    expect(admitted).toMatchObject({ kind: 'ok', leaseId });
    expect(await show(id)).toMatchObject({
      heldNusd: '6000000000',
      availableNusd: '4000000000',
      creditedNusd: '10000000000',
    });
    expect((await change(id, '-9')).body).toMatchObject({
      creditedNusd: '1000000000',
      availableNusd: '0',
      heldNusd: '6000000000',
      receivableNusd: '5000000000',
    });
    expect((await change(id, '7')).body).toMatchObject({ availableNusd: '2000000000', receivableNusd: '0' });
  });
});

describe('showing credit', () => {
  test('credited = posted + held + available, with a lease or without', async () => {
    const id = await newAccount('3');
    await lease(id, 2n * USD);
    const body = await show(id);
    const [credited, posted, held, available] = ['credited', 'posted', 'held', 'available'].map((name) =>
      BigInt(body[`${name}Nusd`]),
    );
    expect(posted! + held! + available!).toBe(credited);
  });

  test('counts a lease of a lost Redis as held, and says when Redis cannot be read', async () => {
    const id = await newAccount('3');
    await lease(id, 2n * USD);
    await console_.redis.client.del(bucketKeys(bucketOf(id, BUCKETS)).lease(id));
    expect(await show(id)).toMatchObject({ heldNusd: '2000000000', availableNusd: '1000000000', leaseKnown: true });
    await console_.redis.kill9();
    expect(await show(id)).toMatchObject({ heldNusd: '2000000000', availableNusd: '1000000000', leaseKnown: false });
    const refused = await change(id, '5');
    expect([refused.status, refused.body.error.code]).toEqual([503, 'store_unavailable']);
    expect((await show(id)).creditedNusd).toBe('3000000000');
    // Taking back must not wait for Redis: what cannot be recalled becomes receivable.
    expect((await change(id, '-2')).body).toMatchObject({
      creditedNusd: '1000000000',
      receivableNusd: '1000000000',
      leaseKnown: false,
    });
    await console_.redis.start();
  });
});
