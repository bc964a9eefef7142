import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type MoneyFixture, moneyFixture } from '../testkit/money.ts';
import { compareStreamIds } from './drain.ts';

let f: MoneyFixture;
beforeAll(async () => {
  f = await moneyFixture();
});
beforeEach(() => f.reset());
afterAll(() => f.redis.stop());

test('records come in order, leave when acknowledged, and their routers learn how far Postgres got', async () => {
  const settled = [];
  for (const [id, routerId] of [
    ['a', 'r1'],
    ['b', 'r2'],
    ['c', 'r1'],
    ['d', 'r2'],
  ] as const) {
    settled.push(await f.settle(id, 1n, { routerId, record: id }));
  }
  const read = await f.money.drainRead(f.bucket, 3);
  expect(read.entries.map((entry) => [entry.text, entry.routerId])).toEqual([
    ['a', 'r1'],
    ['b', 'r2'],
    ['c', 'r1'],
  ]);
  expect([read.length, read.history]).toEqual([4, settled[0]!.history]);
  expect(await f.money.drainAck(f.bucket, read.history, read.entries)).toBe('acked');
  expect((await f.money.drainRead(f.bucket, 10)).entries.map((entry) => entry.text)).toEqual(['d']);
  const buckets = [0, 1, 2, 3];
  expect(await f.money.readConfirmations('r1', buckets)).toEqual(
    new Map([[f.bucket, { history: read.history, streamId: settled[2]!.streamId }]]),
  );
  expect((await f.money.readConfirmations('r2', buckets)).get(f.bucket)?.streamId).toBe(settled[1]!.streamId);
  expect(await f.money.readConfirmations('r3', buckets)).toEqual(new Map());
});

test('an acknowledgement of another outbox, or of another history, removes and confirms nothing', async () => {
  await f.settle('a', 1n);
  const read = await f.money.drainRead(f.bucket, 10);
  await f.redis.client.flushall();
  await f.settle('b', 1n);
  expect(await f.money.drainAck(f.bucket, read.history, read.entries)).toBe('history_changed');
  const [, replid, outbox] = read.history.split(':');
  expect(await f.money.drainAck(f.bucket, `0000:${replid}:${outbox}`, read.entries)).toBe('history_changed');
  expect((await f.money.drainRead(f.bucket, 10)).length).toBe(1);
  expect(await f.money.readConfirmations('router1', [f.bucket])).toEqual(new Map());
});

test('a confirmation never goes back within one history; ids are numbers, not text', async () => {
  await f.settle('a', 1n);
  const { history } = await f.money.drainRead(f.bucket, 10);
  const ack = (id: string) => f.money.drainAck(f.bucket, history, [{ id, text: '', routerId: 'r' }]);
  const confirmed = async () => (await f.money.readConfirmations('r', [f.bucket])).get(f.bucket)?.streamId;
  const seen = [];
  for (const id of ['9-1', '10-0', '9-5', '10-9', '10-10', '10-9']) {
    await ack(id);
    seen.push(await confirmed());
  }
  expect(seen).toEqual(['9-1', '10-0', '10-0', '10-9', '10-10', '10-10']);
});

test('a confirmation of another history is replaced, whatever its id', async () => {
  await f.redis.client.hset(f.keys.confirm, 'router1', 'old:history:outbox|9999999999999-0');
  const { streamId } = await f.settle('a', 1n);
  const read = await f.money.drainRead(f.bucket, 10);
  await f.money.drainAck(f.bucket, read.history, read.entries);
  expect((await f.money.readConfirmations('router1', [f.bucket])).get(f.bucket)).toEqual({
    history: read.history,
    streamId,
  });
});

test('an empty outbox gives nothing and acknowledges nothing', async () => {
  const read = await f.money.drainRead(f.bucket, 10);
  expect(read).toMatchObject({ entries: [], length: 0 });
});

test('stream ids compare as pairs of numbers', () => {
  const part = fc.bigInt(0n, 2n ** 53n);
  fc.assert(
    fc.property(part, part, part, part, (a, b, c, d) => {
      const expected = a === c ? (b < d ? -1 : b > d ? 1 : 0) : a < c ? -1 : 1;
      expect(compareStreamIds(`${a}-${b}`, `${c}-${d}`)).toBe(expected);
    }),
  );
});
