import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { RequestId } from '../domain/ids.ts';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { RepeatStore, type RepeatTicket } from './repeat-store.ts';

const LIMITS = {
  ttlMs: 60_000,
  staleAfterMs: 1_000,
  lostAfterMs: 60_000,
  bytesPerAnswer: 1_000,
  bytesPerAccount: 2_000,
};
const entry = (digest = 'd1') => ({ accountId: 'acct_1' as const, digest });
const id = (n: number) => `req_${n}` as RequestId;

let redis: TestRedis;
let store: RepeatStore;
beforeAll(async () => {
  redis = await startRedis();
  store = new RepeatStore(redis.client, 4, LIMITS);
});
beforeEach(() => redis.client.flushall());
afterAll(() => redis.stop());

/** Makes the entry look silent for so long: tests do not wait. */
async function age(ms: number): Promise<void> {
  const [key] = await redis.client.keys('tg:*:repeat:d1');
  await redis.client.hincrby(key!, 'beat', -ms);
}

async function first(digest = 'd1', n = 1): Promise<RepeatTicket> {
  const begun = await store.begin(entry(digest), 'body', id(n), 'r1');
  if (begun.kind !== 'first') throw new Error(begun.kind);
  return begun.ticket;
}

test('the first runs, a repeat learns whose request it is, another body is told apart', async () => {
  const ticket = await first();
  expect(ticket).toMatchObject({ requestId: id(1), epoch: 1 });
  expect(await store.begin(entry(), 'body', id(2), 'r2')).toEqual({ kind: 'running', requestId: id(1) });
  expect(await store.begin(entry(), 'other', id(3), 'r2')).toEqual({ kind: 'other_body' });
  expect(await store.begin({ ...entry(), accountId: 'acct_2' }, 'other', id(4), 'r2')).toMatchObject({ kind: 'first' });
});

test('parts come back in order and once, however often a call is repeated', async () => {
  const ticket = await first();
  for (const text of ['a', 'a']) expect(await store.append(ticket, { index: 0, text }, 'p', false)).toBe('kept');
  await store.append(ticket, { index: 1, text: 'b' }, 'p', false);
  await store.append(ticket, { index: 0, text: 'a' }, 'p', false);
  expect(await store.read(entry(), id(1), 0)).toMatchObject({ state: 'running', parts: ['a', 'b'] });
  expect(await store.read(entry(), id(1), 1)).toMatchObject({ parts: ['b'] });
  for (let i = 0; i < 2; i++) expect(await store.append(ticket, { index: 2, text: 'c' }, 'p', true)).toBe('kept');
  expect(await store.read(entry(), id(1), 2)).toMatchObject({ state: 'done', parts: ['c'] });
  expect(await store.begin(entry(), 'body', id(2), 'r2')).toEqual({ kind: 'done', requestId: id(1) });
  expect(await store.read(entry(), id(9), 0)).toMatchObject({ state: 'gone', parts: [] });
});

test('a silent router loses the request to one survivor, and can add nothing any more', async () => {
  const old = await first();
  await store.append(old, { index: 0, text: 'a' }, 'far', false);
  await age(2_000);
  const taken = await store.begin(entry(), 'body', id(2), 'r2');
  expect(taken).toMatchObject({ kind: 'taken', parts: 1, progress: 'far', ticket: { requestId: id(1), epoch: 2 } });
  expect(await store.begin(entry(), 'body', id(3), 'r3')).toEqual({ kind: 'running', requestId: id(1) });
  expect(await store.append(old, { index: 1, text: 'late' }, '', false)).toBe('fenced');
  await store.drop(old);
  const ticket = (taken as { ticket: RepeatTicket }).ticket;
  expect(await store.append(ticket, { index: 1, text: 'b' }, '', true)).toBe('kept');
  expect(await store.read(entry(), id(1), 0)).toMatchObject({ state: 'done', parts: ['a', 'b'] });
});

test('nobody takes over what was silent for so long that its hold may be billed and forgotten', async () => {
  await first();
  await age(120_000);
  expect(await store.begin(entry(), 'body', id(2), 'r2')).toEqual({ kind: 'lost' });
});

test('a dropped request runs anew; an answer above its limit is not kept and does not run again', async () => {
  const ticket = await first();
  await store.append(ticket, { index: 0, text: 'a' }, '', false);
  await store.drop(ticket);
  expect(await redis.client.keys('tg:*:repeat*:d1')).toEqual([]);
  const again = await first('d1', 2);
  expect(await store.append(again, { index: 0, text: 'x'.repeat(1_001) }, '', false)).toBe('dropped');
  expect(await store.append(again, { index: 0, text: 'x' }, '', true)).toBe('dropped');
  expect(await store.begin(entry(), 'body', id(3), 'r1')).toEqual({ kind: 'dropped' });
});

test('an account keeps a bounded number of bytes: the oldest ended answers go first, running ones stay', async () => {
  const running = await first('d0', 100);
  await store.append(running, { index: 0, text: 'x'.repeat(500) }, '', false);
  for (let n = 1; n <= 5; n++) {
    const ticket = await first(`d${n}`, n);
    await store.append(ticket, { index: 0, text: 'x'.repeat(900) }, '', true);
  }
  await first('d9', 9);
  const states = await Promise.all([0, 1, 5].map((n) => store.read(entry(`d${n}`), id(n || 100), 0)));
  expect(states.map(({ state }) => state)).toEqual(['running', 'gone', 'done']);
  const [sizes] = await redis.client.keys('tg:*:repeat-sizes:*');
  const { total, ...each } = await redis.client.hgetall(sizes!);
  expect(Number(total)).toBe(Object.values(each).reduce((sum, bytes) => sum + Number(bytes), 0));
  expect(Number(total)).toBeLessThan(2_000 + 900);
});

test('what has expired is forgotten in the accounts too', async () => {
  const ticket = await first();
  await store.append(ticket, { index: 0, text: 'abc' }, '', true);
  const [index] = await redis.client.keys('tg:*:repeat-index:*');
  await redis.client.zadd(index!, 1, 'd1');
  await redis.client.del(...(await redis.client.keys('tg:*:repeat*:d1')));
  await first('d2', 2);
  const [sizes] = await redis.client.keys('tg:*:repeat-sizes:*');
  expect(await redis.client.hgetall(sizes!)).toEqual({ total: '0' });
});
