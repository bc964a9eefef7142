/** One worker as this router knows it: life cycle, breaker, and counters of what was sent there and has not ended. */
import type { Engine, WorkerCounters, WorkerSnapshot, WorkerState } from '@tollgate/shared/domain/worker';
import { type Capacity, isFull, UNKNOWN_CAPACITY } from '../queue/capacity.ts';
import { isLaden, type Room } from '../queue/headroom.ts';
import { type Claim, hasIdleRoom } from '../queue/idle-room.ts';
import type { WorkerBook } from '../routing/fleet-book.ts';
import { Conduct } from '../routing/outliers.ts';
import type { Booking, ClosingCounts, Routed } from '../routing/picker.ts';
import type { EngineDialect } from '../schema-gate/dialect.ts';
import { type Breaker, type BreakerEvent, type BreakerPolicy, CLOSED, isOpen, step } from './breaker.ts';
import { dialectOf } from './identity.ts';
import { Pace, RequestPace } from './pace.ts';
import { type EngineGauges, NO_GAUGES } from './worker-metrics.ts';

/** One request at one worker. `end` always comes. Counts of tokens are of all choices, and of all workers of an answer. */
export interface Ticket extends Omit<Booking, 'firstToken'> {
  /** `tokens` so far; a first chunk may bring several. */
  firstToken(tokens?: number): void;
  /** To be called some times a second while tokens come. */
  progress(tokens: number): void;
  /** The client made it wait, not the worker: the time until now tells nothing. */
  heldUp(tokens: number): void;
  readonly worker: string;
  /** What the worker speaks. */
  readonly dialect: EngineDialect;
}

/** A worker as configured. */
export interface WorkerSpec {
  url: string;
  engine: Engine;
  maxConcurrency: number | null;
}

/** What a request needs of a worker beside its model. */
export interface Need {
  workerPath: string;
  engines: readonly Engine[];
}

/** The path that every worker serves. */
export const CHAT_PATH = '/v1/chat/completions';
export const CHAT_NEED: Need = { workerPath: CHAT_PATH, engines: ['vllm', 'sglang'] };

export interface WorkerHooks {
  transition(worker: Worker, from: WorkerState, to: WorkerState, why: string): void;
  breakerChanged(worker: Worker, from: Breaker['state'], to: Breaker['state']): void;
  /** A request there has ended, or has its first token: it may have room for another. */
  freed(): void;
}

/** Weight of one more gap between two ends. */
const GAP_WEIGHT = 0.1;

export class Worker {
  readonly url: string;
  /** What the policies see of it: counters of what was sent there and has not ended. */
  readonly book: WorkerBook;
  /** As configured, then as the worker itself says. */
  dialect: EngineDialect;
  state: WorkerState = 'joining';
  models: string[] = [];
  /** Paths that it serves beside chat, of those that were asked about. */
  paths: ReadonlySet<string> = new Set();
  maxModelLen = 0;
  gauges: EngineGauges = NO_GAUGES;
  /** When they were read, ms since 1970; null = never. */
  polledAtMs: number | null = null;
  /** Probes that failed in a row. */
  missed = 0;
  /** When it last answered a request of ours (monotonic): better proof of life than any probe. */
  answeredMs = Number.NEGATIVE_INFINITY;
  breaker: Breaker = CLOSED;
  /** What its answers have been lately, beside failures in a row. */
  readonly conduct = new Conduct();
  capacity: Capacity = UNKNOWN_CAPACITY;
  /** How fast its tokens come, held against what is expected of it. */
  readonly pace = new Pace();
  /** Time between two ends there, on average; 0 while nobody knows. */
  gapMs = 0;
  private endedMs: number | null = null;
  /** Batch requests of this router there. */
  private readonly batch = { running: 0, heldTokens: 0 };

  readonly maxConcurrency: number | null;
  private readonly policy: BreakerPolicy;
  private readonly hooks: WorkerHooks;
  private readonly nowMs: () => number;

  /** `nowMs` is monotonic. */
  constructor(spec: WorkerSpec, book: WorkerBook, policy: BreakerPolicy, hooks: WorkerHooks, nowMs: () => number) {
    this.url = spec.url;
    this.book = book;
    this.dialect = dialectOf(spec.engine, '');
    this.maxConcurrency = spec.maxConcurrency;
    this.policy = policy;
    this.hooks = hooks;
    this.nowMs = nowMs;
  }

  get engine(): Engine {
    return this.dialect.engine;
  }

  serves(model: string, { workerPath, engines }: Need): boolean {
    if (!this.models.includes(model)) return false;
    return workerPath === CHAT_PATH || (this.paths.has(workerPath) && engines.includes(this.engine));
  }

  /** Requests that this router sent there and that have not ended. */
  get running(): number {
    return this.book.running - this.book.others.running;
  }

  /** Of these, those without a first token. */
  get waiting(): number {
    return this.running - (this.book.decoding - this.book.others.decoding);
  }

  get breakerOpen(): boolean {
    return isOpen(this.breaker, this.nowMs());
  }

  /** It may get requests, if it has room. */
  get isOpen(): boolean {
    return this.state === 'ready' && !this.breakerOpen;
  }

  /** Whether it has no such room for one more request. `isHashed`: what prompts share, and so what they take, is known. */
  isFull(room: Room, isHashed: boolean): boolean {
    const { book, maxConcurrency } = this;
    const { requestShare } = room;
    if (maxConcurrency !== null && this.running > 0 && this.running >= maxConcurrency * requestShare) return true;
    if (isFull(this.capacity, book.running, requestShare)) return true;
    return isHashed && isLaden(book, room);
  }

  /** Whether a batch request with a prompt of so many tokens may start here without an interactive one noticing. */
  hasIdleRoom(promptTokens: number): boolean {
    const { batchRunning, batchHeldTokens } = this.book.others;
    const running = this.batch.running + batchRunning;
    return hasIdleRoom(this.book, { running, heldTokens: this.batch.heldTokens + batchHeldTokens }, promptTokens);
  }

  /** Another process answers at its address: what the one before did is forgotten. */
  beginAnew(): void {
    this.conduct.reset();
    this.pace.reset();
  }

  /** The only way a worker's state changes: counted and logged in one place. */
  transition(to: WorkerState, why: string): void {
    if (this.state === to) return;
    const from = this.state;
    this.state = to;
    this.hooks.transition(this, from, to, why);
  }

  /** The ticket of a request that is booked and about to be sent. */
  begin(
    { firstToken, assumeStarted, end }: Booking,
    claim: Claim,
    { promptTokens, choices = 1 }: Pick<Routed, 'promptTokens'> & { choices?: number },
  ): Ticket {
    const batchTokens = claim === 'interactive' ? null : promptTokens;
    this.note('sent');
    this.countBatch(1, batchTokens);
    let isOpen = true;
    const pace = new RequestPace(this.pace, this.book, this.nowMs());
    return {
      worker: this.url,
      dialect: this.dialect,
      firstToken: (tokens = 1) => {
        pace.firstToken(tokens / choices, this.nowMs());
        firstToken();
        this.hooks.freed();
      },
      progress: (tokens) => pace.progress(tokens / choices, this.nowMs()),
      heldUp: (tokens) => pace.heldUp(tokens / choices, this.nowMs()),
      assumeStarted,
      end: (counts: ClosingCounts | null) => {
        if (!isOpen) return;
        isOpen = false;
        end(counts);
        this.countBatch(-1, batchTokens);
        this.note('abandoned');
        if (counts?.final) pace.whole(counts.completionTokens / choices, this.nowMs());
        this.noteEnd();
        this.hooks.freed();
      },
    };
  }

  private countBatch(step: 1 | -1, promptTokens: number | null): void {
    if (promptTokens === null) return;
    this.batch.running += step;
    this.batch.heldTokens += step * promptTokens;
  }

  private noteEnd(): void {
    const nowMs = this.nowMs();
    if (this.endedMs !== null) {
      const gapMs = nowMs - this.endedMs;
      this.gapMs = this.gapMs === 0 ? gapMs : this.gapMs + GAP_WEIGHT * (gapMs - this.gapMs);
    }
    this.endedMs = this.book.running > 0 ? nowMs : null;
  }

  /** What became of a request or a probe. */
  note(event: BreakerEvent): void {
    if (event === 'succeeded') this.answeredMs = this.nowMs();
    if (event === 'succeeded' || event === 'failed') this.conduct.note(event === 'succeeded', this.nowMs());
    const before = this.breaker;
    this.breaker = step(before, event, this.nowMs(), this.policy);
    if (before.state !== this.breaker.state) this.hooks.breakerChanged(this, before.state, this.breaker.state);
  }

  snapshot(): WorkerSnapshot {
    return {
      url: this.url,
      engine: this.engine,
      models: this.models,
      maxModelLen: this.maxModelLen,
      state: this.state,
      breakerOpen: this.breakerOpen,
      running: this.running,
      waiting: this.waiting,
      pendingPrefillTokens: this.book.pendingPrefillTokens - this.book.others.pendingPrefillTokens,
      kvUsage: this.gauges.kvUsage,
      maxConcurrency: this.maxConcurrency,
      counters: this.counters(),
    };
  }

  private counters(): WorkerCounters | null {
    const { promptTokens, completionTokens, requests, startedS } = this.gauges;
    if (promptTokens === null || completionTokens === null || this.polledAtMs === null) return null;
    return { promptTokens, completionTokens, requests: requests ?? 0, startedS, atMs: this.polledAtMs };
  }
}
