import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { H100_FP8, prefillMs, stepMs } from './estimates.ts';
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
  const book = new FleetBook();
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

describe('a worker is learned from its answers:', () => {
  const prompt = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
  const serve = (book: FleetBook, next: RoutingRequest, cachedTokens: number | null, ttftMs = 100, nowMs = 0) => {
    book.dispatch(next, 0, nowMs);
    book.firstToken(next.id, nowMs + ttftMs);
    book.end(next.id, { cachedTokens, outputTokens: 5 });
  };

  test('one that finds much less than promised gets a smaller mirror, down to a floor; true hits let it grow', () => {
    const book = fleet(1);
    const full = book.index.capacity(0);
    serve(book, request('first', prompt(40)), 0);
    serve(book, request('hit', prompt(40)), 40 * 256);
    expect(book.index.capacity(0)).toBe(full);
    serve(book, request('miss', prompt(40)), 3 * 256);
    expect(book.index.capacity(0)).toBe(Math.floor(full * 0.9));
    for (let i = 0; i < 100; i++) serve(book, request(`m${i}`, prompt(40)), 0);
    expect(book.index.capacity(0)).toBe(Math.floor(full * 0.2));
    for (let i = 0; i < 1_000; i++) serve(book, request(`h${i}`, prompt(40)), 40 * 256);
    expect(book.index.capacity(0)).toBe(full);
  });

  test('the blocks that it had lost are gone from the mirror when their prompt was never computed', () => {
    const book = fleet(1);
    serve(book, request('first', prompt(8)), 0);
    serve(book, request('hit', prompt(8)), 8 * 256);
    book.dispatch(request('lost', prompt(8)), 0, 0);
    book.end('lost', { cachedTokens: 3 * 256, outputTokens: null, promptTokens: 8 * 256 + 40 });
    expect(book.hitTokens(request('next', prompt(8)))[0]).toBe(3 * 256);
  });

  test('zeros of a worker that never tells cached tokens change nothing', () => {
    const book = fleet(1);
    const full = book.index.capacity(0);
    for (let i = 0; i < 20; i++) serve(book, request(`r${i}`, prompt(40)), 0);
    expect([book.index.capacity(0), book.hitErrorShare]).toEqual([full, 0]);
  });

  test('two prompts with one start at once: the second finds nothing yet, and that is no eviction', () => {
    const book = fleet(1);
    const full = book.index.capacity(0);
    serve(book, request('first', prompt(4)), 0);
    serve(book, request('hit', prompt(4)), 4 * 256);
    book.dispatch(request('a', prompt(40, 100)), 0, 0);
    book.dispatch(request('b', prompt(40, 100)), 0, 0);
    for (const id of ['a', 'b']) book.firstToken(id, 100);
    for (const id of ['a', 'b']) book.end(id, { cachedTokens: 0, outputTokens: 5 });
    expect(book.index.capacity(0)).toBe(full);
  });

  test('the error of the promised hits is what the reports say it is', () => {
    const book = fleet(1);
    serve(book, request('first', prompt(4), 1_024), 0);
    serve(book, request('half', [...prompt(2), 8, 9], 1_024), 512);
    serve(book, request('less', [...prompt(2), 18, 19], 1_024), 256);
    expect(book.hitErrorShare).toBeCloseTo(0.125);
  });

  test('a worker that is always three times as slow alone is expected to be so', () => {
    const book = fleet(1);
    let nowMs = 0;
    for (let i = 0; i < 300; i++) {
      const next = request(`r${i}`, prompt(20, i * 20));
      nowMs += 60_000;
      book.dispatch(next, 0, nowMs);
      book.firstToken(next.id, nowMs + 3 * firstTokenMs(next));
      book.end(next.id, { cachedTokens: 0, outputTokens: 1 });
    }
    const next = request('next', prompt(20, 1_000_000));
    expect(book.dispatch(next, 0, nowMs) / firstTokenMs(next)).toBeCloseTo(3, 1);
  });

  test('slowness in company, or on a prompt that tells nothing, teaches no pace', () => {
    const book = fleet(1);
    const before = book.workers[0]!.estimate;
    for (let i = 0; i < 20; i++) {
      book.dispatch(request(`a${i}`, prompt(20, i * 100)), 0, 0);
      book.dispatch(request(`b${i}`, prompt(20, i * 100 + 50)), 0, 0);
      for (const id of [`a${i}`, `b${i}`]) book.firstToken(id, 90_000);
      for (const id of [`a${i}`, `b${i}`]) book.end(id, { cachedTokens: 0, outputTokens: 1 });
      serve(book, request(`s${i}`, [i + 900_000], 300), 0, 90_000);
      serve(book, request(`u${i}`, [], 9_000), 0, 90_000);
    }
    expect(book.workers[0]!.estimate).toBe(before);
  });

  test('a restart empties its mirror, another size cuts it, and other workers keep theirs', () => {
    const book = fleet(2);
    for (const worker of [0, 1]) {
      book.dispatch(request(`w${worker}`, prompt(10)), worker, 0);
      book.firstToken(`w${worker}`, 10);
      book.end(`w${worker}`, { cachedTokens: 0, outputTokens: 1 });
    }
    book.forget(0);
    expect([...book.hitTokens(request('next', prompt(10)))]).toEqual([0, 10 * 256]);
    book.setKvTokens(1, 1_024);
    expect([...book.hitTokens(request('next', prompt(10)))]).toEqual([0, 4 * 256]);
  });

  test('an answer that comes whole leaves the prefill queue when its first token is due', () => {
    const book = fleet(1);
    book.dispatch(request('plain', prompt(10)), 0, 0);
    book.assumeFirstToken('plain');
    expect(book.workers[0]).toMatchObject({ running: 1, decoding: 1, pendingPrefillTokens: 0 });
    expect(book.workers[0]!.health.read(0)).toBe(1);
    book.end('plain', { cachedTokens: null, outputTokens: 3 });
    expect(book.workers[0]).toMatchObject({ running: 0, decoding: 0, pendingPrefillTokens: 0, heldTokens: 0 });
  });

  test('running requests pin what they share of a cache once, and what they will answer; batch pins nothing', () => {
    const book = fleet(1);
    const pinned = () => book.workers[0]!.pinnedTokens;
    const send = (id: string, blocks: number[], more: Partial<RoutingRequest> = {}) =>
      book.dispatch({ ...request(id, blocks), ...more }, 0, 0);
    // 10 blocks, the 40 tokens behind them, and 70 % of an answer as long as those of strangers.
    send('first', prompt(10));
    const own = 40 + Math.round(0.7 * 256);
    expect(pinned()).toBe(10 * 256 + own);
    send('second', [...prompt(9), 777]);
    expect(pinned()).toBe(11 * 256 + 2 * own);
    send('batch', [555, 556], { isBatch: true });
    // Nobody hashed it: it may share all of its prompt.
    send('unhashed', [], { promptTokens: 20_000 });
    expect(pinned()).toBe(11 * 256 + 2 * own + Math.round(0.7 * 256));
    for (const id of ['first', 'unhashed', 'batch']) book.end(id, { cachedTokens: null, outputTokens: null });
    expect(pinned()).toBe(10 * 256 + own);
    book.end('second', { cachedTokens: null, outputTokens: null });
    expect(pinned()).toBe(0);
  });

  function firstTokenMs({ promptTokens }: RoutingRequest): number {
    return prefillMs(H100_FP8, promptTokens, promptTokens) + stepMs(H100_FP8, 1, 0);
  }
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
