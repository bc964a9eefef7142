import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../runtime/clock.ts';
import { eventually } from '../testkit/eventually.ts';
import { fakeClock } from '../testkit/fake-clock.ts';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { BREAKER_CLOSED, BREAKER_DEFAULTS, type BreakerState, breakerStep } from './breaker.ts';
import { asUnavailable, createRedis, type RedisClient, RedisGuard, waitUntilReady } from './client.ts';
import { Subscriber } from './subscriber.ts';

describe('breaker', () => {
  const run = (state: BreakerState, steps: ['ask' | 'ok' | 'failed', number][]) =>
    steps.map(([event, nowMs]) => {
      const step = breakerStep(state, event, nowMs);
      state = step.state;
      return event === 'ask' ? step.allowed : state.kind;
    });

  test('opens after five failures in a row; one answer between them starts the count anew', () => {
    const four: ['failed', number][] = Array.from({ length: 4 }, () => ['failed', 0]);
    expect(run(BREAKER_CLOSED, [...four, ['ok', 0], ...four, ['ask', 0]]).at(-1)).toBe(true);
    expect(run(BREAKER_CLOSED, [...four, ['failed', 0], ['ask', 249]]).slice(-2)).toEqual(['open', false]);
  });

  test('lets one probe through at a time; its answer closes, its failure doubles the pause up to a bound', () => {
    const open: BreakerState = { kind: 'open', untilMs: 250, openMs: 250 };
    expect(
      run(open, [
        ['ask', 250],
        ['ask', 250],
        ['ok', 251],
        ['ask', 251],
      ]),
    ).toEqual([true, false, 'closed', true]);
    expect(
      run(open, [
        ['ask', 250],
        ['failed', 300],
        ['ask', 799],
        ['ask', 800],
      ]),
    ).toEqual([true, 'open', false, true]);
    let state: BreakerState = open;
    for (let i = 0; i < 9; i++) {
      state = breakerStep(state, 'ask', 1e9 * (i + 1)).state;
      state = breakerStep(state, 'failed', 1e9 * (i + 1)).state;
    }
    expect(state).toMatchObject({ openMs: BREAKER_DEFAULTS.mostOpenMs });
  });
});

test('a guarded call fails at its deadline, and an open breaker asks nobody', async () => {
  const clock = fakeClock();
  const guard = new RedisGuard({ clock });
  let asked = 0;
  const hang = () => {
    asked++;
    return new Promise<never>(() => {});
  };
  for (let i = 0; i < 5; i++) {
    const failed = expect(guard.guard(hang)).rejects.toMatchObject({ reason: 'deadline' });
    await clock.advance(50);
    await failed;
  }
  await expect(guard.guard(hang)).rejects.toMatchObject({ reason: 'breaker_open' });
  expect(asked).toBe(5);
  await clock.advance(250);
  expect(await guard.guard(async () => 7)).toBe(7);
  expect(guard.state).toEqual(BREAKER_CLOSED);
  await clock.advance(50);
  expect(clock.pendingTimers).toBe(0);
});

test('an answer about the command is no failure of Redis; an unfit server is', () => {
  const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
  expect(asUnavailable(reply('OOM command not allowed'))).toBeNull();
  expect(asUnavailable(reply('ERR user_script:1'))).toBeNull();
  expect(asUnavailable(new RangeError('x'))).toBeNull();
  expect(asUnavailable(reply('READONLY You can`t write'))).toMatchObject({ reason: 'server' });
  expect(asUnavailable(reply('LOADING Redis is loading'))).toMatchObject({ reason: 'server' });
  expect(asUnavailable(new Error('Connection is closed.'))).toMatchObject({ reason: 'connection' });
});

describe('with a real Redis', () => {
  let redis: TestRedis;
  let client: RedisClient;
  beforeAll(async () => {
    redis = await startRedis();
    client = createRedis({ url: redis.url, name: 'test' });
    await waitUntilReady(client);
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  test('a frozen server costs the deadline; a killed one fails what is under way at once and nothing is sent twice', async () => {
    const guard = new RedisGuard({ clock: systemClock });
    redis.freeze();
    await expect(guard.guard(() => client.incr('n'))).rejects.toMatchObject({ reason: 'deadline' });
    const pending = client.incr('n').catch((error: Error) => error);
    await redis.kill9();
    expect(await pending).toBeInstanceOf(Error);
    await expect(client.incr('n')).rejects.toThrow();
    await redis.start();
    await waitUntilReady(client);
    expect(await client.get('n')).toBeNull();
  });

  test('a subscriber tells when messages may be lost, and hears again by itself', async () => {
    const heard: string[] = [];
    const states: boolean[] = [];
    const subscriber = new Subscriber({
      url: redis.url,
      name: 'test-sub',
      clock: systemClock,
      handlers: { channel: (payload) => heard.push(payload) },
      onState: (up) => states.push(up),
      pingMs: 20,
    });
    try {
      await eventually('subscribed', () => subscriber.up);
      await client.publish('channel', 'one');
      await eventually('heard', () => heard.length === 1);
      await redis.kill9();
      await eventually('down', () => !subscriber.up);
      await redis.start();
      await eventually('up again', () => subscriber.up);
      // A peer that is silent, not gone.
      redis.freeze();
      await eventually('down', () => !subscriber.up);
      redis.thaw();
      await eventually('up again', () => subscriber.up);
      await waitUntilReady(client);
      await client.publish('channel', 'two');
      await eventually('heard', () => heard.length === 2);
      expect(heard).toEqual(['one', 'two']);
      expect(states).toEqual([true, false, true, false, true]);
    } finally {
      subscriber.close();
    }
  });
});
