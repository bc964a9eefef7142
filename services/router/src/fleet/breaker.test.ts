import { describe, expect, test } from '@jest/globals';
import { FleetBook } from '../routing/fleet-book.ts';
import { Picker } from '../routing/picker.ts';
import { type Breaker, CLOSED, DEFAULT_BREAKER, isOpen, step } from './breaker.ts';
import { Worker } from './worker.ts';

const policy = DEFAULT_BREAKER;
const fail = (breaker: Breaker, nowMs: number) => step(breaker, 'failed', nowMs, policy);

describe('a breaker', () => {
  test('opens after three failures in a row, not after three with a success between', () => {
    let breaker = fail(fail(CLOSED, 0), 0);
    expect(isOpen(breaker, 0)).toBe(false);
    expect(isOpen(fail(breaker, 0), 0)).toBe(true);
    breaker = fail(step(breaker, 'succeeded', 0, policy), 0);
    expect(isOpen(breaker, 0)).toBe(false);
  });

  test('lets one request through after its pause, and closes when that one succeeds', () => {
    const open = fail(fail(fail(CLOSED, 0), 0), 0);
    expect(isOpen(open, 1_999)).toBe(true);
    expect(isOpen(open, 2_000)).toBe(false);
    const probing = step(open, 'sent', 2_000, policy);
    expect(isOpen(probing, 9_999_999)).toBe(true);
    expect(step(probing, 'succeeded', 2_001, policy)).toEqual(CLOSED);
  });

  test('pauses twice as long after each relapse, a minute at most', () => {
    let breaker = fail(fail(fail(CLOSED, 0), 0), 0);
    const pauses: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 8; i++) {
      pauses.push(breaker.state === 'open' ? breaker.pauseMs : 0);
      nowMs += 100_000;
      breaker = fail(step(breaker, 'sent', nowMs, policy), nowMs);
    }
    expect(pauses).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('does not stay closed to all when the request that probed told nothing', () => {
    let nowMs = 0;
    const hooks = { transition() {}, breakerChanged() {}, freed() {} };
    const spec = { url: 'http://w', engine: 'vllm', maxConcurrency: null } as const;
    const book = new FleetBook().addWorker({ url: spec.url, kvTokens: 1_000 });
    const worker = new Worker(spec, book, policy, hooks, () => nowMs);
    for (let i = 0; i < 3; i++) worker.note('failed');
    nowMs = 2_000;
    const ticket = worker.begin({ firstToken() {}, assumeStarted() {}, end() {} }, 'interactive', { promptTokens: 1 });
    expect(worker.snapshot().breakerOpen).toBe(true);
    ticket.end(null);
    expect(worker.snapshot().breakerOpen).toBe(false);
  });
});

test("a worker's counters return to 0, however often and in whatever order a request ends", () => {
  const hooks = { transition() {}, breakerChanged() {}, freed() {} };
  const picker = new Picker(
    'cost',
    () => 0,
    () => 0,
  );
  const spec = { url: 'http://w', engine: 'vllm', maxConcurrency: null } as const;
  const worker = new Worker(spec, picker.addWorker(spec.url), policy, hooks, () => 0);
  const begin = (id: string, promptBytes: number) => {
    const text = { tools: null, messages: '[]' };
    const asked = { id, model: 'm', accountId: 'acct_a', text, promptBytes, maxOutputTokens: 10, salt: 's' };
    return worker.begin(picker.dispatch(picker.route(asked, false), worker.book), 'interactive', { promptTokens: 1 });
  };
  const [a, b] = [begin('a', 400), begin('b', 200)];
  expect(worker.snapshot()).toMatchObject({ running: 2, waiting: 2, pendingPrefillTokens: 150 });
  a.firstToken();
  a.firstToken();
  expect(worker.snapshot()).toMatchObject({ running: 2, waiting: 1, pendingPrefillTokens: 50 });
  b.end(null);
  a.end(null);
  a.end(null);
  b.firstToken();
  expect(worker.snapshot()).toMatchObject({ running: 0, waiting: 0, pendingPrefillTokens: 0 });
});
