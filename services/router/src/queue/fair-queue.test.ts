import { describe, expect, test } from '@jest/globals';
import { testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { FairQueue, type Lane, type Waiting } from './fair-queue.ts';

interface Item extends Waiting {
  id: number;
}

const PATIENCE_MS = 1_000;
let nextId = 0;
const item = (account: string, more: Partial<Item> = {}): Item => ({
  id: nextId++,
  account,
  weight: 1,
  work: 10,
  lane: 'interactive',
  sinceMs: 0,
  ...more,
});

/** Serves one at a time until nothing waits; what came out, in order. */
function drain(queue: FairQueue<Item>, nowMs = 0): Item[] {
  const out: Item[] = [];
  for (;;) {
    let taken = false;
    queue.serve(
      (entry) => {
        if (taken) return 'stop';
        taken = true;
        out.push(entry);
        return true;
      },
      nowMs,
      1_000,
    );
    if (!taken) return out;
  }
}

const entryArbitrary = fc.record({
  account: fc.constantFrom('a', 'b', 'c', 'd'),
  work: fc.integer({ min: 1, max: 1_000 }),
  lane: fc.constantFrom<Lane>('resumed', 'interactive', 'batch'),
});
const WEIGHTS: Record<string, number> = { a: 1, b: 2, c: 5, d: 1 };

describe('a fair queue', () => {
  test('two accounts with much to do take turns, whoever came first with however many', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    for (let i = 0; i < 4; i++) queue.push(item('hog'));
    for (let i = 0; i < 2; i++) queue.push(item('small'));
    expect(drain(queue).map(({ account }) => account)).toEqual(['hog', 'small', 'hog', 'small', 'hog', 'hog']);
  });

  test('a weight of three gets three times as much', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    for (let i = 0; i < 40; i++) {
      queue.push(item('gold', { weight: 3 }));
      queue.push(item('free'));
    }
    const first = drain(queue).slice(0, 40);
    expect(first.filter(({ account }) => account === 'gold').length).toBeGreaterThanOrEqual(29);
  });

  test('what was sent without waiting counts: a hog does not begin anew when it has to wait', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    queue.charge(item('hog', { work: 100 }));
    queue.push(item('hog'));
    queue.push(item('new'));
    expect(drain(queue).map(({ account }) => account)).toEqual(['new', 'hog']);
  });

  test('an account that was away has neither credit nor debt', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    for (let i = 0; i < 50; i++) queue.charge(item('busy'));
    for (let i = 0; i < 4; i++) {
      queue.push(item('busy'));
      queue.push(item('away'));
    }
    // Level from the start, not fifty turns for the one that was away.
    expect(
      drain(queue)
        .slice(0, 4)
        .filter(({ account }) => account === 'busy').length,
    ).toBeGreaterThanOrEqual(1);
  });

  test('an account that asks for little may be behind by its credit, and no more', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS, 40);
    for (let i = 0; i < 50; i++) queue.charge(item('busy'));
    expect([queue.standing('busy'), queue.standing('away')]).toEqual(['over', 'under']);
    for (let i = 0; i < 12; i++) {
      queue.push(item('busy'));
      queue.push(item('away'));
    }
    const order = drain(queue).map(({ account }) => account);
    // Four turns' credit and the turn that both stand at, then one each.
    expect(order.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => 'away'));
    expect(order.slice(0, 12).filter((account) => account === 'busy').length).toBeGreaterThanOrEqual(3);
  });

  test('of two that ask for all there is, neither stands under its share', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS, 40);
    for (let i = 0; i < 20; i++) for (const account of ['a', 'b']) queue.charge(item(account));
    for (const account of ['a', 'b']) expect(queue.standing(account)).not.toBe('under');
  });

  test('a correction moves an account back or forth', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    for (const account of ['a', 'b']) queue.push(item(account));
    expect(drain(queue).map(({ account }) => account)).toEqual(['a', 'b']);
    queue.correct('a', 1, 1_000);
    for (const account of ['a', 'a', 'b', 'b', 'b']) queue.push(item(account));
    expect(drain(queue).map(({ account }) => account)).toEqual(['b', 'b', 'b', 'a', 'a']);
  });

  test('lanes come before accounts, and batch that has waited long stands among the interactive', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    const [old, batch, usual, again] = [
      item('a', { lane: 'batch', sinceMs: 0 }),
      item('b', { lane: 'batch', sinceMs: 1_500 }),
      item('c', { sinceMs: 1_600 }),
      item('d', { lane: 'resumed', sinceMs: 1_700 }),
    ];
    for (const entry of [old, batch, usual, again]) queue.push(entry);
    expect(drain(queue, 2_000)).toEqual([again, old, usual, batch]);
  });

  test('within its account, who yields lets those pass that come in that time, and nobody later', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    queue.push(item('a', { id: 1, sinceMs: 0, yieldsMs: 100 }));
    queue.push(item('a', { id: 2, sinceMs: 99 }));
    queue.push(item('a', { id: 3, sinceMs: 100 }));
    queue.push(item('a', { id: 4, sinceMs: 50, yieldsMs: 60 }));
    queue.push(item('b', { id: 5, sinceMs: 80 }));
    const ids = drain(queue).map(({ id }) => id);
    expect(ids.filter((id) => id !== 5)).toEqual([2, 1, 3, 4]);
    // Another account's turn is what it was.
    expect(ids.indexOf(5)).toBeLessThanOrEqual(1);
  });

  test('a request that waits for a worker of its own holds up nobody', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    const held = item('a');
    const free = [item('a'), item('b')];
    for (const entry of [held, ...free]) queue.push(entry);
    const out: Item[] = [];
    queue.serve((entry) => entry !== held && out.push(entry) > 0, 0, 100);
    expect(out.map(({ id }) => id).sort()).toEqual(free.map(({ id }) => id).sort());
    expect(queue.size).toBe(1);
  });

  test('none is lost or doubled, accounts keep their own order within a lane, sizes are right', () => {
    fc.assert(
      fc.property(
        fc.array(entryArbitrary, { maxLength: 60 }),
        fc.array(fc.nat(59), { maxLength: 10 }),
        (many, leave) => {
          const queue = new FairQueue<Item>(PATIENCE_MS);
          const items = many.map((entry) => item(entry.account, { ...entry, weight: WEIGHTS[entry.account]! }));
          for (const entry of items) queue.push(entry);
          const left = new Set(leave.filter((i) => i < items.length).map((i) => items[i]!));
          for (const entry of left) expect(queue.remove(entry)).toBe(true);
          for (const entry of left) expect(queue.remove(entry)).toBe(false);
          const stays = items.filter((entry) => !left.has(entry));
          expect(queue.size).toBe(stays.length);
          expect(queue.order(0).length).toBe(stays.length);
          const out = drain(queue);
          expect(out.length).toBe(stays.length);
          expect(new Set(out)).toEqual(new Set(stays));
          for (const account of Object.keys(WEIGHTS)) {
            expect(queue.sizeOf(account)).toBe(0);
            for (const lane of ['resumed', 'interactive', 'batch']) {
              const mine = (entry: Item) => entry.account === account && entry.lane === lane;
              expect(out.filter(mine)).toEqual(stays.filter(mine));
            }
          }
        },
      ),
      { seed: testSeed(), numRuns: 300 },
    );
  });

  test('while two accounts wait, what they are given differs by at most one request of each and the credit, by weight', () => {
    const work = fc.integer({ min: 1, max: 1_000 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), work), { minLength: 10, maxLength: 120 }),
        fc.constantFrom(0, 500, 5_000),
        fc.nat(20_000),
        (many, credit, before) => {
          const queue = new FairQueue<Item>(PATIENCE_MS, credit);
          // One of them has had much already.
          queue.charge(item('a', { work: before }));
          queue.charge(item('a', { work: 1 }));
          const left: Record<string, number> = { a: 0, b: 0, c: 0 };
          for (const [account, amount] of many) {
            left[account]!++;
            queue.push(item(account, { work: amount, weight: WEIGHTS[account]! }));
          }
          const most: Record<string, number> = { a: 0, b: 0, c: 0 };
          for (const [account, amount] of many) most[account] = Math.max(most[account]!, amount / WEIGHTS[account]!);
          const given: Record<string, number> = { a: 0, b: 0, c: 0 };
          for (const entry of drain(queue)) {
            const waiting = Object.keys(left).filter((account) => left[account]! > 0);
            given[entry.account]! += entry.work / entry.weight;
            left[entry.account]!--;
            for (const x of waiting) {
              for (const y of waiting) {
                const bound = most[x]! + most[y]! + credit + (y === 'a' ? 1 : 0);
                expect(given[x]! - given[y]!).toBeLessThanOrEqual(bound + 1e-6);
              }
            }
            // Bounds hold for accounts that wait: one that has nothing left is not owed anything.
            for (const account of Object.keys(left)) if (left[account] === 0) delete left[account];
          }
        },
      ),
      { seed: testSeed(), numRuns: 300 },
    );
  });

  test('nobody starves: however many others come, a request is served within its turn', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 20, maxLength: 60 }), (works) => {
        const queue = new FairQueue<Item>(PATIENCE_MS, 100);
        const patient = item('patient', { work: 50 });
        queue.push(item('hog', { work: works[0]! }));
        queue.push(patient);
        let turns = 0;
        let servedWork = 0;
        for (const work of works) {
          // Two new ones of the hog for each that is served.
          queue.push(item('hog', { work }));
          queue.push(item('hog', { work }));
          const served: Item[] = [];
          queue.serve((entry) => (served.length === 0 ? served.push(entry) > 0 : 'stop'), 0, 10);
          turns++;
          if (served[0] === patient) break;
          servedWork += served[0]!.work;
        }
        expect(queue.sizeOf('patient')).toBe(0);
        expect(servedWork).toBeLessThanOrEqual(100 + 50 + 100);
        expect(turns).toBeLessThan(works.length);
      }),
      { seed: testSeed(), numRuns: 200 },
    );
  });

  test('what stands ahead is told about right', () => {
    const queue = new FairQueue<Item>(PATIENCE_MS);
    for (let i = 0; i < 10; i++) queue.push(item('hog'));
    expect(queue.ahead('hog', 1)).toBe(10);
    expect(queue.ahead('new', 1)).toBe(1);
    expect(queue.ahead('new', 0.5)).toBe(2);
  });
});
