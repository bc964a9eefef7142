/**
 * The line in front of the fleet. A request gets a worker at once when one has room and nobody waits; else it waits here,
 * unbound, until one frees that suits it (late binding), in the order of `fair-queue.ts`. One line per model.
 *
 * Everything that may let somebody through (`wake`) and everything that time brings (`check`) ends in `serve`.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Offer, Placed } from '../fleet/fleet.ts';
import type { Ticket } from '../fleet/worker.ts';
import { DrainRate } from './drain-rate.ts';
import { FairQueue, type Lane, type Waiting } from './fair-queue.ts';
import { Entitled } from './headroom.ts';
import type { Claim } from './idle-room.ts';

export interface RoomOptions {
  /** Requests that may wait for one model, and of one account among them. */
  maxDepth: number;
  maxDepthPerAccount: number;
  batchPatienceMs: number;
  /** A request whose turn has come waits for the worker that holds its prefix while another has room, at most so long. */
  maxHoldMs: number;
}

/**
 * Who lets whom pass, within one account: warm conversations go before cold ones while workers are full. A cold prompt
 * evicts what the next turns of warm ones need; where more conversations are under way than the caches hold, serving the
 * warm ones first is what keeps the caches worth something (docs/adr/0015).
 */
export interface YieldRule {
  /** For each millisecond of prompt that has to be computed, a request lets those pass that come so much later. */
  perColdMs: number;
  /** At most, and never more than half of the time that it may wait. */
  mostMs: number;
}

export const YIELD_RULE: Readonly<YieldRule> = { perColdMs: 16, mostMs: 20_000 };

/** What an account may be behind the others and catch up, in the units of `work`: a prompt or two of the longest. */
const CREDIT_WORK = 60_000;

/** Why a request did not get through the line. */
export type Rejection = 'full' | 'account_full' | 'deadline' | 'no_worker' | 'left';

export interface RoomMetrics {
  queueDepth(model: string, depth: number): void;
  queueWaited(model: string, lane: Lane, waitMs: number): void;
  queueRejected(model: string, reason: Rejection): void;
}

/** What the line asks of the fleet. */
export interface RoomFleet {
  /**
   * Takes a worker with room; `mayHold`: a full one may be worth waiting for. To `batch` only idle room is room, and room
   * that is kept for others is none to an account that `isOverShare`.
   */
  offer(request: Placed, excluded: readonly string[], mayHold: boolean, claim: Claim, isOverShare: boolean): Offer;
  /** Milliseconds of computing what no worker holds of the prompt: at the one that holds most. */
  coldMs(request: Placed): number;
}

export interface Place {
  /** 1 = next. */
  position: number;
  /** null: nobody knows yet. */
  etaMs: number | null;
}

export interface PlaceListener {
  /** Called about once a second while the request waits, and at once when it begins to. */
  placed(place: Place): void;
}

/** A request that wants a worker. */
export interface Seeker {
  request: Placed;
  account: string;
  weight: number;
  work: number;
  lane: Lane;
  /** Workers that have failed it. */
  excluded: readonly string[];
  /** Monotonic. */
  deadlineMs: number;
  /** Waits also when there is no worker at all. */
  waitsForWorker: boolean;
  listener: PlaceListener | null;
}

/** A place in the line. */
export interface Seat {
  readonly ticket: Promise<Ticket>;
  /** Gives the place up; `ticket` rejects with the error. */
  leave(error: Error): void;
}

interface Entry extends Waiting {
  readonly seeker: Seeker;
  readonly resolve: (ticket: Ticket) => void;
  readonly reject: (error: Error) => void;
  toldMs: number;
  /** Since when it is held although there is room; null: its turn has not come. */
  heldMs: number | null;
}

interface Line {
  readonly model: string;
  readonly queue: FairQueue<Entry>;
  readonly rate: DrainRate;
  readonly entries: Set<Entry>;
  readonly entitled: Entitled;
}

/** Offers per turn: an offer costs a choice among all workers. */
const LOOK_AHEAD = 32;
const TELL_EVERY_MS = 1_000;
const UNKNOWN_RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;

export class WaitingRoom {
  private readonly lines = new Map<string, Line>();
  private readonly options: RoomOptions;
  private readonly fleet: RoomFleet;
  private readonly clock: Clock;
  private readonly metrics: RoomMetrics;
  private readonly yields: YieldRule;
  private waiting = 0;
  private isWoken = false;
  private toldMs = Number.NEGATIVE_INFINITY;

  constructor(options: RoomOptions, fleet: RoomFleet, clock: Clock, metrics: RoomMetrics, yields = YIELD_RULE) {
    this.options = options;
    this.fleet = fleet;
    this.clock = clock;
    this.metrics = metrics;
    this.yields = yields;
  }

  /** Requests that wait, over all models. */
  get size(): number {
    return this.waiting;
  }

  /** A worker at once, or a place in the line. Throws `no_worker` and `queue_full`. */
  seat(seeker: Seeker): Ticket | Seat {
    const line = this.line(seeker.request.model);
    const nowMs = this.clock.monotonicMs();
    // For batch nothing is kept: it takes what is idle.
    const isUnder = seeker.lane !== 'batch' && line.queue.standing(seeker.account) === 'under';
    if (isUnder) line.entitled.note(seeker.account, nowMs);
    // Batch that waits for idle room does not stand before the others.
    const others = seeker.lane === 'batch' ? line.entries.size : line.queue.sizeBeforeBatch;
    if (others === 0 || seeker.lane === 'resumed') {
      // Who may not wait takes what there is.
      const mayHold = seeker.deadlineMs > nowMs;
      const offer = this.offer(line, seeker, mayHold, 0, nowMs);
      if (offer.kind === 'taken') {
        line.queue.charge(seeker);
        return offer.ticket;
      }
      if (offer.kind === 'none' && !seeker.waitsForWorker) throw this.refuse(line, 'no_worker', nowMs);
    }
    this.checkRoom(line, seeker, nowMs);
    return this.enter(line, seeker, nowMs);
  }

  /** A worker may have room now. Cheap when nobody waits. */
  wake(): void {
    if (this.waiting === 0 || this.isWoken) return;
    this.isWoken = true;
    queueMicrotask(() => {
      this.isWoken = false;
      this.serveAll();
    });
  }

  /** To be called some times a second (`relay/watch.ts`). */
  check(nowMs: number): void {
    if (this.waiting === 0) return;
    this.serveAll();
    for (const line of this.lines.values()) {
      for (const entry of line.entries) if (nowMs >= entry.seeker.deadlineMs) this.expire(line, entry, nowMs);
    }
    if (nowMs - this.toldMs < TELL_EVERY_MS) return;
    this.toldMs = nowMs;
    for (const line of this.lines.values()) this.tell(line, nowMs);
  }

  /** The work of a served request turned out to be another than its seeker said. */
  correct({ request, account, weight }: Seeker, more: number): void {
    this.lines.get(request.model)?.queue.correct(account, weight, more);
  }

  private line(model: string): Line {
    let line = this.lines.get(model);
    if (line === undefined) {
      const queue = new FairQueue<Entry>(this.options.batchPatienceMs, CREDIT_WORK);
      line = { model, queue, rate: new DrainRate(), entries: new Set(), entitled: new Entitled() };
      this.lines.set(model, line);
    }
    return line;
  }

  /** Throws when the line is too long, for all, for this account or for the time that the request has. */
  private checkRoom(line: Line, seeker: Seeker, nowMs: number): void {
    if (seeker.lane === 'resumed') return;
    const { maxDepth, maxDepthPerAccount } = this.options;
    const isBatch = seeker.lane === 'batch';
    const waiting = isBatch ? line.entries.size : line.queue.sizeBeforeBatch;
    if (waiting >= maxDepth) throw this.refuse(line, 'full', nowMs);
    const own = isBatch ? line.queue.sizeOf(seeker.account) : line.queue.sizeBeforeBatchOf(seeker.account);
    if (own >= maxDepthPerAccount) throw this.refuse(line, 'account_full', nowMs);
    if (seeker.deadlineMs <= nowMs) throw this.refuse(line, 'deadline', nowMs);
    const waitMs = isBatch ? null : line.rate.waitMs(line.queue.ahead(seeker.account, seeker.weight) + 1, nowMs);
    if (waitMs !== null && nowMs + waitMs > seeker.deadlineMs) throw this.refuse(line, 'deadline', nowMs, waitMs);
  }

  private refuse(line: Line, reason: Exclude<Rejection, 'left'>, nowMs: number, waitMs?: number): AppError {
    this.metrics.queueRejected(line.model, reason);
    if (reason === 'no_worker') return new AppError('no_worker', { retryAfterMs: UNKNOWN_RETRY_MS });
    const drainMs = waitMs ?? line.rate.waitMs(line.entries.size + 1, nowMs) ?? UNKNOWN_RETRY_MS;
    return new AppError('queue_full', {
      retryAfterMs: Math.min(MAX_RETRY_MS, Math.max(100, Math.round(drainMs))),
      metadata: { reason, queued: line.entries.size },
      message: MESSAGES[reason],
    });
  }

  private enter(line: Line, seeker: Seeker, nowMs: number): Seat {
    const { promise, resolve, reject } = Promise.withResolvers<Ticket>();
    const { account, weight, work, lane } = seeker;
    const times = { sinceMs: nowMs, toldMs: nowMs, heldMs: null, yieldsMs: this.yieldsMs(seeker, nowMs) };
    const entry: Entry = { account, weight, work, lane, ...times, seeker, resolve, reject };
    line.queue.push(entry);
    line.entries.add(entry);
    this.waiting++;
    this.serve(line, nowMs);
    if (line.entries.has(entry)) {
      this.metrics.queueDepth(line.model, line.entries.size);
      if (seeker.listener !== null) this.tell(line, nowMs, entry);
    }
    return {
      ticket: promise,
      leave: (error) => {
        if (!this.drop(line, entry)) return;
        this.metrics.queueRejected(line.model, 'left');
        reject(error);
      },
    };
  }

  private yieldsMs({ request, lane, deadlineMs }: Seeker, nowMs: number): number {
    if (lane === 'resumed') return 0;
    const { perColdMs, mostMs } = this.yields;
    return Math.min(mostMs, (deadlineMs - nowMs) / 2, perColdMs * this.fleet.coldMs(request));
  }

  private serveAll(): void {
    const nowMs = this.clock.monotonicMs();
    for (const line of this.lines.values()) if (line.entries.size > 0) this.serve(line, nowMs);
  }

  private serve(line: Line, nowMs: number): void {
    const bind = (entry: Entry): boolean | 'stop' => {
      const { seeker, sinceMs, lane, heldMs } = entry;
      const mayHold = nowMs - (heldMs ?? nowMs) < this.options.maxHoldMs;
      const offer = this.offer(line, seeker, mayHold, nowMs - sinceMs, nowMs);
      if (offer.kind === 'taken') {
        line.entries.delete(entry);
        this.waiting--;
        // How fast batch gets idle room tells nothing of how soon a place frees for the others.
        if (lane !== 'batch') line.rate.note(nowMs);
        this.metrics.queueDepth(line.model, line.entries.size);
        this.metrics.queueWaited(line.model, lane, nowMs - sinceMs);
        entry.resolve(offer.ticket);
        return true;
      }
      if (offer.kind === 'held') entry.heldMs ??= nowMs;
      // With no room for this one there is none for those behind it, unless it alone may not go everywhere.
      return (offer.kind === 'full' || offer.kind === 'none') && seeker.excluded.length === 0 ? 'stop' : false;
    };
    line.queue.serve(bind, nowMs, LOOK_AHEAD);
  }

  private offer(line: Line, seeker: Seeker, mayHold: boolean, waitedMs: number, nowMs: number): Offer {
    const { request, excluded, account, lane } = seeker;
    // An answer that lost its worker has had its turn.
    const isOver =
      lane !== 'resumed' && line.queue.standing(account) === 'over' && line.entitled.hasOthersThan(account, nowMs);
    return this.fleet.offer(request, excluded, mayHold, this.claimOf(seeker, waitedMs), isOver);
  }

  /** Batch takes idle room only, unless it has waited too long. */
  private claimOf({ lane }: Seeker, waitedMs: number): Claim {
    if (lane !== 'batch') return 'interactive';
    return waitedMs < this.options.batchPatienceMs ? 'batch' : 'late_batch';
  }

  private expire(line: Line, entry: Entry, nowMs: number): void {
    if (!this.drop(line, entry)) return;
    const { seeker, sinceMs } = entry;
    const isThere = this.offer(line, seeker, false, nowMs - sinceMs, nowMs);
    if (isThere.kind === 'taken') {
      // Room came in this very moment.
      entry.resolve(isThere.ticket);
      return;
    }
    entry.reject(this.refuse(line, isThere.kind === 'none' ? 'no_worker' : 'deadline', nowMs));
  }

  private drop(line: Line, entry: Entry): boolean {
    if (!line.entries.delete(entry)) return false;
    line.queue.remove(entry);
    this.waiting--;
    this.metrics.queueDepth(line.model, line.entries.size);
    return true;
  }

  /** Tells those that want to know (or one alone) where they stand. */
  private tell(line: Line, nowMs: number, only?: Entry): void {
    if (only === undefined && ![...line.entries].some(({ seeker }) => seeker.listener !== null)) return;
    for (const [i, entry] of line.queue.order(nowMs).entries()) {
      if (only === undefined ? nowMs - entry.toldMs < TELL_EVERY_MS / 2 : entry !== only) continue;
      entry.toldMs = nowMs;
      entry.seeker.listener?.placed({ position: i + 1, etaMs: line.rate.waitMs(i + 1, nowMs) });
    }
  }
}

const MESSAGES: Record<Exclude<Rejection, 'left' | 'no_worker'>, string> = {
  full: 'All workers are busy and the queue is full.',
  account_full: 'All workers are busy and this account has too many requests in the queue.',
  deadline: 'All workers are busy, and none frees up in the time that this request may wait.',
};
