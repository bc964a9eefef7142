import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Beat } from '@tollgate/shared/redis/money-scripts';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { Heartbeats, type LiveHold } from './heartbeats.ts';
import { Voids } from './voids.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
let clock: FakeClock;
let sent: string[][];
let up: boolean;
let beats: Heartbeats;

beforeEach(() => {
  clock = fakeClock();
  sent = [];
  up = true;
  const port = {
    bucketCount: 1,
    async heartbeat(_bucket: number, list: readonly Beat[]) {
      if (!up) throw new Error('down');
      sent.push(list.map((beat) => beat.requestId));
      return list.map(() => 'held' as const);
    },
  };
  beats = new Heartbeats({ everyMs: 10_000, firstWithinMs: 100, giveUpAfterMs: 60_000 }, port, clock, logger);
  beats.start();
});

const hold = (id: string, cut: () => void = () => {}): LiveHold => ({
  accountId: 'acct_a',
  beat: () => ({ requestId: id }) as unknown as Beat,
  cut,
});

describe('a running request', () => {
  test('is renewed soon after dispatch, then every 10 s, all of a bucket in one call', async () => {
    const [a, b] = [hold('a'), hold('b')];
    const kepts = [beats.add(a), beats.add(b)];
    await clock.advance(100);
    expect(sent).toEqual([['a', 'b']]);
    await clock.advance(19_900);
    expect(sent).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ]);
    for (const kept of kepts) kept.leave();
    await clock.advance(30_000);
    expect(sent).toHaveLength(3);
    expect(beats.live).toBe(0);
  });

  test('that ends within the first batch costs no call', async () => {
    beats.add(hold('a')).leave();
    await clock.advance(1_000);
    expect(sent.flat()).toEqual([]);
  });

  test('is cut when its hold could not be renewed for H, not before', async () => {
    let cuts = 0;
    beats.add(hold('a', () => void cuts++));
    await clock.advance(20_000);
    up = false;
    await clock.advance(50_000);
    expect(cuts).toBe(0);
    await clock.advance(20_000);
    expect(cuts).toBe(1);
    expect(beats.live).toBe(0);
  });
});

test('a hold is given back again and again until Redis took it', async () => {
  let failures = 3;
  const given: string[] = [];
  const voids = new Voids(
    {
      async voidHold(input) {
        if (failures-- > 0) throw new Error('down');
        given.push(input.requestId);
        return 'voided';
      },
    },
    clock,
    logger,
  );
  voids.start();
  voids.give({ accountId: 'acct_a', keyId: 'key_a', model: 'm', requestId: 'req_a', tokens: 0 });
  expect(voids.size).toBe(1);
  await clock.advance(5_000);
  expect(given).toEqual(['req_a']);
  expect(voids.size).toBe(0);
});
