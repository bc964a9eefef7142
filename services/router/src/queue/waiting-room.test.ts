import { beforeEach, describe, expect, test } from '@jest/globals';
import { AppError } from '@tollgate/shared/domain/errors';
import { testSeed } from '@tollgate/shared/testkit/counts';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import fc from 'fast-check';
import type { Offer, Placed } from '../fleet/fleet.ts';
import type { Ticket } from '../fleet/worker.ts';
import type { Claim } from './idle-room.ts';
import { readQueueTerms } from './terms.ts';
import { type Place, type Rejection, type Seat, type Seeker, WaitingRoom } from './waiting-room.ts';

const OPTIONS = { maxDepth: 20, maxDepthPerAccount: 8, batchPatienceMs: 60_000, maxHoldMs: 5_000 };

/** A fleet of so many places; a request may prefer one worker and be held for it. */
class Places {
  free: number;
  isThere = true;
  /** What is free is idle: batch may have it. */
  isIdle = true;
  heldIds = new Set<string>();
  readonly given: string[] = [];
  /** Of what is free, so many places are kept from who is over its share. */
  kept = 0;
  /** By the letters of the request's id. */
  readonly colds = new Map<string, number>();

  constructor(free: number) {
    this.free = free;
  }

  offer(request: Placed, _excluded: readonly string[], mayHold: boolean, claim: Claim, isOverShare: boolean): Offer {
    if (!this.isThere) return { kind: 'none' };
    if (this.free <= (isOverShare ? this.kept : 0) || (claim === 'batch' && !this.isIdle)) return { kind: 'full' };
    if (mayHold && this.heldIds.has(request.id)) return { kind: 'held' };
    this.free--;
    this.given.push(request.id);
    return { kind: 'taken', ticket: { worker: request.id } as Ticket };
  }

  coldMs(request: Placed): number {
    return this.colds.get(request.id.replace(/\d+$/, '')) ?? 0;
  }
}

let clock: FakeClock;
let places: Places;
let room: WaitingRoom;
let rejected: Rejection[];
let nextId = 0;

beforeEach(() => {
  clock = fakeClock();
  rejected = [];
  nextId = 0;
});

function open(free: number, options: Partial<typeof OPTIONS> = {}): void {
  places = new Places(free);
  room = new WaitingRoom({ ...OPTIONS, ...options }, places, clock, {
    queueDepth() {},
    queueWaited() {},
    queueRejected: (_model, reason) => void rejected.push(reason),
  });
}

function seeker(account: string, more: Partial<Seeker> = {}): Seeker {
  return {
    request: { id: `${account}${nextId++}`, model: 'm' } as Placed,
    account,
    weight: 1,
    work: 10,
    lane: 'interactive',
    excluded: [],
    deadlineMs: clock.monotonicMs() + 30_000,
    waitsForWorker: false,
    listener: null,
    ...more,
  };
}

const isSeat = (taken: Ticket | Seat): taken is Seat => 'leave' in taken;
function wait(taken: Ticket | Seat): Seat {
  if (!isSeat(taken)) throw new Error('it did not have to wait');
  // Rejections are looked at later.
  taken.ticket.catch(() => {});
  return taken;
}
async function free(count = 1): Promise<void> {
  places.free += count;
  room.wake();
  await clock.advance(0);
}
const codeOf = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error instanceof AppError ? [error.code, error.metadata?.reason, error.retryAfterMs] : error;
  }
  return 'no error';
};

describe('batch and idle room', () => {
  test('an interactive request passes all batch requests that wait for idle room, however many', async () => {
    open(3, { maxDepth: 4, maxDepthPerAccount: 4 });
    places.isIdle = false;
    for (let i = 0; i < 4; i++) wait(room.seat(seeker('a', { lane: 'batch' })));
    expect(await codeOf(() => room.seat(seeker('a', { lane: 'batch' })))).toEqual(['queue_full', 'full', 2_000]);
    // At once, of the same account, and while the fleet is full into a line of its own length.
    for (let i = 0; i < 3; i++) expect(isSeat(room.seat(seeker('a')))).toBe(false);
    for (let i = 0; i < 4; i++) wait(room.seat(seeker('a')));
    expect(rejected).toEqual(['full']);
    places.given.length = 0;
    await free(4);
    expect(places.given).toHaveLength(4);
    expect(room.size).toBe(4);
  });

  test('batch gets idle room when there is some, and any room once it has waited long enough', async () => {
    open(2);
    places.isIdle = false;
    const [first, second] = ['a', 'b'].map((account) =>
      wait(room.seat(seeker(account, { lane: 'batch', deadlineMs: Number.POSITIVE_INFINITY }))),
    );
    room.check(clock.monotonicMs());
    expect(room.size).toBe(2);
    places.isIdle = true;
    places.free = 1;
    await free(0);
    expect((await first!.ticket).worker).toBe('a0');
    places.isIdle = false;
    places.free = 1;
    await clock.advance(OPTIONS.batchPatienceMs - 1);
    room.check(clock.monotonicMs());
    expect(room.size).toBe(1);
    await clock.advance(1);
    room.check(clock.monotonicMs());
    expect((await second!.ticket).worker).toBe('b1');
  });
});

describe('the waiting room', () => {
  test('gives a free worker at once, and the next one to whoever waits, in fair order', async () => {
    open(1);
    expect(isSeat(room.seat(seeker('hog')))).toBe(false);
    const seats = ['hog', 'hog', 'hog', 'small'].map((account) => wait(room.seat(seeker(account))));
    expect(room.size).toBe(4);
    await free();
    await free();
    expect(places.given).toEqual(['hog0', 'small4', 'hog1']);
    await free(5);
    expect(await Promise.all(seats.map(async ({ ticket }) => (await ticket).worker))).toEqual([
      'hog1',
      'hog2',
      'hog3',
      'small4',
    ]);
    expect(room.size).toBe(0);
  });

  test('nobody passes those who wait, even when a place is free in that moment', async () => {
    open(0);
    const first = wait(room.seat(seeker('a')));
    places.free = 1;
    wait(room.seat(seeker('b')));
    expect((await first.ticket).worker).toBe('a0');
    expect(places.given).toEqual(['a0']);
  });

  test('a request is held for the worker that suits it while others pass, but not for ever', async () => {
    open(0);
    const held = seeker('a');
    places.heldIds.add(held.request.id);
    const seat = wait(room.seat(held));
    wait(room.seat(seeker('b')));
    await free(2);
    expect(places.given).toEqual(['b1']);
    await clock.advance(5_000);
    room.check(clock.monotonicMs());
    expect((await seat.ticket).worker).toBe('a0');
  });

  test('it is held from its turn on, however long the line before it took', async () => {
    open(0);
    const held = seeker('a');
    places.heldIds.add(held.request.id);
    const seat = wait(room.seat(held));
    await clock.advance(20_000);
    await free();
    room.check(clock.monotonicMs());
    expect(places.given).toEqual([]);
    await clock.advance(4_999);
    room.check(clock.monotonicMs());
    expect(room.size).toBe(1);
    await clock.advance(1);
    room.check(clock.monotonicMs());
    expect((await seat.ticket).worker).toBe('a0');
  });

  test('room is kept for accounts that use less than their share while they come, and for nobody else', async () => {
    const work = 40_000;
    open(6);
    places.kept = 2;
    // Alone, an account may have all.
    for (let i = 0; i < 6; i++) expect(isSeat(room.seat(seeker('hog', { work })))).toBe(false);
    places.free = 3;
    expect(isSeat(room.seat(seeker('small')))).toBe(false);
    const hogs = [1, 2].map(() => wait(room.seat(seeker('hog', { work }))));
    // It finds the place that was kept, past those that wait.
    const small = seeker('small');
    expect((await wait(room.seat(small)).ticket).worker).toBe(small.request.id);
    expect([room.size, places.free]).toEqual([2, 1]);
    // None of them has come for a while: nothing is kept any more.
    await clock.advance(10_000);
    room.check(clock.monotonicMs());
    expect([room.size, places.free]).toEqual([1, 0]);
    await free();
    await Promise.all(hogs.map(({ ticket }) => ticket));
    // An answer that lost its worker takes what there is.
    places.free = 1;
    room.seat(seeker('small'));
    places.free = 1;
    expect(isSeat(room.seat(seeker('hog', { work, lane: 'resumed' })))).toBe(false);
  });

  test('a cold conversation lets warm ones of its account pass, for at most half of its time', async () => {
    open(0);
    places.colds.set('a', 500);
    const cold = wait(room.seat(seeker('a', { deadlineMs: clock.monotonicMs() + 10_000 })));
    places.colds.set('a', 1);
    await clock.advance(4_900);
    const warm = wait(room.seat(seeker('a')));
    await clock.advance(101);
    const late = wait(room.seat(seeker('a')));
    await free(3);
    await Promise.all([cold.ticket, warm.ticket, late.ticket]);
    expect(places.given).toEqual(['a1', 'a0', 'a2']);
  });

  test('who may not wait is not held for a better worker', () => {
    open(1);
    const hurried = seeker('a', { deadlineMs: 0 });
    places.heldIds.add(hurried.request.id);
    expect(isSeat(room.seat(hurried))).toBe(false);
  });

  test('an answer that lost its worker goes before all others', async () => {
    open(0);
    for (let i = 0; i < 3; i++) wait(room.seat(seeker('a')));
    const resumed = wait(room.seat(seeker('b', { lane: 'resumed' })));
    await free();
    expect((await resumed.ticket).worker).toBe('b3');
  });

  test('a deadline that passes is 503 with the time that the line takes', async () => {
    open(1);
    const seat = wait(room.seat(seeker('first')) && room.seat(seeker('a', { deadlineMs: 1_000 })));
    await clock.advance(999);
    room.check(clock.monotonicMs());
    expect(room.size).toBe(1);
    await clock.advance(1);
    room.check(clock.monotonicMs());
    expect(await codeOf(() => seat.ticket)).toEqual(['queue_full', 'deadline', 2_000]);
    expect([room.size, rejected]).toEqual([0, ['deadline']]);
  });

  test('who may not wait as long as the line takes is told at once', async () => {
    open(0);
    for (let i = 0; i < 8; i++) wait(room.seat(seeker(`a${i}`)));
    for (let i = 0; i < 4; i++) {
      await clock.advance(1_000);
      await free();
    }
    // One a second goes, four still wait.
    expect(await codeOf(() => room.seat(seeker('hurried', { deadlineMs: clock.monotonicMs() + 500 })))).toEqual([
      'queue_full',
      'deadline',
      expect.any(Number),
    ]);
    expect(isSeat(room.seat(seeker('patient')))).toBe(true);
    expect(await codeOf(() => room.seat(seeker('none', { deadlineMs: clock.monotonicMs() })))).toEqual([
      'queue_full',
      'deadline',
      expect.any(Number),
    ]);
  });

  test('has a bound for all and for each account', async () => {
    open(0);
    for (let i = 0; i < 8; i++) wait(room.seat(seeker('hog')));
    expect(await codeOf(() => room.seat(seeker('hog')))).toEqual(['queue_full', 'account_full', 2_000]);
    for (let i = 0; i < 12; i++) wait(room.seat(seeker(`a${i}`)));
    expect(await codeOf(() => room.seat(seeker('late')))).toEqual(['queue_full', 'full', 2_000]);
    expect(room.size).toBe(20);
  });

  test('who leaves is gone, and its place goes to the next', async () => {
    open(0);
    const [leaver, stayer] = [wait(room.seat(seeker('a'))), wait(room.seat(seeker('a')))];
    leaver.leave(new Error('left'));
    leaver.leave(new Error('twice'));
    expect([room.size, rejected]).toEqual([1, ['left']]);
    await free();
    expect((await stayer.ticket).worker).toBe('a1');
    await expect(leaver.ticket).rejects.toThrow('left');
    stayer.leave(new Error('too late'));
    expect(rejected).toEqual(['left']);
  });

  test('without any worker it is 503 at once, unless the model starts from zero', async () => {
    open(0);
    places.isThere = false;
    expect(await codeOf(() => room.seat(seeker('a')))).toEqual(['no_worker', undefined, 2_000]);
    const first = wait(room.seat(seeker('a', { waitsForWorker: true })));
    await clock.advance(10_000);
    places.isThere = true;
    await free();
    expect((await first.ticket).worker).toBe('a1');
    places.isThere = false;
    const never = wait(room.seat(seeker('a', { waitsForWorker: true })));
    await clock.advance(30_000);
    room.check(clock.monotonicMs());
    expect(await codeOf(() => never.ticket)).toEqual(['no_worker', undefined, 2_000]);
  });

  test('tells places at the beginning and each second, with the time that it will take once that is known', async () => {
    open(0);
    const told: Place[] = [];
    wait(room.seat(seeker('a')));
    wait(room.seat(seeker('b', { listener: { placed: (place) => void told.push(place) } })));
    expect(told).toEqual([{ position: 2, etaMs: null }]);
    wait(room.seat(seeker('a')));
    await clock.advance(1_000);
    room.check(clock.monotonicMs());
    await clock.advance(500);
    room.check(clock.monotonicMs());
    expect(told.length).toBe(2);
    for (let i = 0; i < 3; i++) wait(room.seat(seeker(`c${i}`)));
    expect(told.at(-1)).toEqual({ position: 2, etaMs: null });
  });

  test('under any traffic none is lost or doubled, and every one that may be served is', async () => {
    const event = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('come' as const), account: fc.constantFrom('a', 'b', 'c') }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('free' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), which: fc.nat(30) }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 9_000 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 60 }), fc.nat(3), async (events, atFirst) => {
        clock = fakeClock();
        rejected = [];
        open(atFirst);
        let came = 0;
        let refused = 0;
        const settled: string[] = [];
        const seats: Seat[] = [];
        for (const step of events) {
          if (step.kind === 'come') {
            came++;
            try {
              const taken = room.seat(seeker(step.account));
              if (isSeat(taken)) {
                seats.push(taken);
                taken.ticket.then(
                  ({ worker }) => settled.push(worker),
                  () => refused++,
                );
              } else settled.push(taken.worker);
            } catch {
              refused++;
            }
          } else if (step.kind === 'free') await free();
          else if (step.kind === 'leave') seats[step.which]?.leave(new Error('left'));
          else {
            await clock.advance(step.ms);
            room.check(clock.monotonicMs());
          }
          await clock.advance(0);
          // Nobody waits while there is room.
          expect(room.size === 0 || places.free === 0).toBe(true);
        }
        expect(settled.length + refused + room.size).toBe(came);
        expect(new Set(settled).size).toBe(settled.length);
        expect(settled.slice().sort()).toEqual(places.given.slice().sort());
        expect(refused).toBe(rejected.length);
      }),
      { seed: testSeed(), numRuns: 150 },
    );
  });
});

describe('what a client says of waiting', () => {
  const read = (headers: Record<string, string>) => readQueueTerms((name) => headers[name]);

  test('is read from three headers', () => {
    expect(read({})).toEqual({ maxQueueMs: null, lane: 'interactive', wantsUpdates: false });
    expect(
      read({ 'x-tollgate-max-queue-ms': '0', 'x-tollgate-priority': 'batch', 'x-tollgate-queue-updates': '1' }),
    ).toEqual({ maxQueueMs: 0, lane: 'batch', wantsUpdates: true });
  });

  test.each([
    { 'x-tollgate-max-queue-ms': '-1' },
    { 'x-tollgate-max-queue-ms': '1.5' },
    { 'x-tollgate-priority': 'high' },
    { 'x-tollgate-queue-updates': 'yes' },
  ])('%j is 400', (headers) => {
    expect(() => read(headers as never)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
