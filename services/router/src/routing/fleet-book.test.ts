import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FleetBook, type RoutingRequest } from './fleet-book.ts';
import { POLICIES } from './policies/index.ts';

const request = (id: string, blocks: number[], promptTokens = blocks.length * 256 + 40): RoutingRequest => ({
  id,
  tenant: 'acct_a',
  promptTokens,
  blocks,
  blockTokens: 256,
  maxOutputTokens: 512,
  session: null,
});

function fleet(count: number): FleetBook {
  const book = new FleetBook({ blockTokens: 256 });
  for (let i = 0; i < count; i++) book.addWorker({ url: `http://w${i}`, kvTokens: 100_000 });
  return book;
}

describe('fleet book', () => {
  test('every sum returns to exactly zero once every request has ended, in any order, once or twice', () => {
    const event = fc.record({ kind: fc.constantFrom('dispatch', 'first', 'end'), id: fc.nat(9), worker: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const book = fleet(3);
        const sent = new Set<string>();
        let now = 0;
        for (const { kind, id, worker } of events) {
          now += 5;
          const name = String(id);
          if (kind === 'dispatch' && !sent.has(name)) {
            sent.add(name);
            book.dispatch(request(name, [id, id + 1, id + 2]), worker, now);
          } else if (kind === 'first') book.firstToken(name, now);
          else if (kind === 'end') {
            sent.delete(name);
            book.end(name, { cachedTokens: null, outputTokens: 10 });
          }
        }
        for (const name of sent) book.end(name, { cachedTokens: null, outputTokens: null });
        expect(book.inFlight).toBe(0);
        for (const worker of book.workers) {
          expect([worker.running, worker.decoding, worker.pendingPrefillTokens, worker.heldTokens]).toEqual([
            0, 0, 0, 0,
          ]);
          expect(worker.pendingPrefillMs).toBe(0);
        }
      }),
    );
  });

  test('a prompt that a worker has answered counts as held there, and nowhere else', () => {
    const book = fleet(2);
    book.dispatch(request('a', [1, 2, 3, 4]), 1, 0);
    book.firstToken('a', 50);
    book.end('a', { cachedTokens: 0, outputTokens: 5 });
    expect([...book.hitTokens(request('b', [1, 2, 3, 9]))]).toEqual([0, 3 * 256]);
  });
});

describe('policies', () => {
  test.each(Object.keys(POLICIES) as (keyof typeof POLICIES)[])(
    '%s picks one of the candidates, never another',
    (name) => {
      fc.assert(
        fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), fc.nat(5), (draws, missing) => {
          const book = fleet(6);
          const policy = POLICIES[name]();
          const candidates = book.workers.filter((worker) => worker.index !== missing);
          const context = { nowMs: 1_000, random: () => draws.next().value as number };
          for (let i = 0; i < 20; i++) {
            const next = request(`r${i}`, [i % 3, 10 + (i % 3), 20 + i]);
            const worker = policy.pick(next, book, candidates, context);
            expect(candidates).toContain(worker);
            book.dispatch(next, worker.index, 1_000 + i);
            policy.onDispatch?.(next, worker);
          }
        }),
        { numRuns: 20 },
      );
    },
  );

  test('cost prefers the holder of a long prefix over an idle stranger, and an idle stranger over a buried holder', () => {
    const book = fleet(2);
    const prompt = Array.from({ length: 60 }, (_, i) => i);
    book.dispatch(request('a', prompt), 0, 0);
    book.firstToken('a', 300);
    book.end('a', { cachedTokens: 0, outputTokens: 20 });
    const policy = POLICIES.cost();
    const context = { nowMs: 60_000, random: () => 0 };
    expect(policy.pick(request('b', prompt), book, book.workers, context).index).toBe(0);
    for (let i = 0; i < 40; i++) book.dispatch(request(`x${i}`, [1000 + i * 100], 16_000), 0, 60_000);
    expect(policy.pick(request('c', prompt), book, book.workers, context).index).toBe(1);
  });
});
