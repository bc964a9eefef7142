/** One worker as this router knows it: life cycle, breaker, and counters of what was sent there and has not ended. */
import type { Engine, WorkerSnapshot, WorkerState } from '@tollgate/shared/domain/worker';
import type { WorkerBook } from '../routing/fleet-book.ts';
import type { Booking, ClosingCounts } from '../routing/picker.ts';
import type { EngineDialect } from '../schema-gate/dialect.ts';
import { type Breaker, type BreakerEvent, type BreakerPolicy, CLOSED, isOpen, step } from './breaker.ts';
import { dialectOf } from './identity.ts';
import { type EngineGauges, NO_GAUGES } from './worker-metrics.ts';

/** One request at one worker. Each step happens at most once; `end` always comes. */
export interface Ticket extends Booking {
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

export interface WorkerHooks {
  transition(worker: Worker, from: WorkerState, to: WorkerState, why: string): void;
  breakerChanged(worker: Worker, from: Breaker['state'], to: Breaker['state']): void;
}

export class Worker {
  readonly url: string;
  /** What the policies see of it: counters of what was sent there and has not ended. */
  readonly book: WorkerBook;
  /** As configured, then as the worker itself says. */
  dialect: EngineDialect;
  state: WorkerState = 'joining';
  models: string[] = [];
  maxModelLen = 0;
  gauges: EngineGauges = NO_GAUGES;
  /** Probes that failed in a row. */
  missed = 0;
  /** When it last answered a request of ours (monotonic): better proof of life than any probe. */
  answeredMs = Number.NEGATIVE_INFINITY;
  breaker: Breaker = CLOSED;

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

  /** The only way a worker's state changes: counted and logged in one place. */
  transition(to: WorkerState, why: string): void {
    if (this.state === to) return;
    const from = this.state;
    this.state = to;
    this.hooks.transition(this, from, to, why);
  }

  /** The ticket of a request that is booked and about to be sent. */
  begin({ firstToken, assumeStarted, end }: Booking): Ticket {
    this.note('sent');
    let isOpen = true;
    return {
      worker: this.url,
      dialect: this.dialect,
      firstToken,
      assumeStarted,
      end: (counts: ClosingCounts | null) => {
        if (!isOpen) return;
        isOpen = false;
        end(counts);
        this.note('abandoned');
      },
    };
  }

  /** What became of a request or a probe. */
  note(event: BreakerEvent): void {
    if (event === 'succeeded') this.answeredMs = this.nowMs();
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
    };
  }
}
