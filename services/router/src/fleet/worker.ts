/** One worker as this router knows it: life cycle, breaker, and counters of what was sent there and has not ended. */
import type { Engine, WorkerSnapshot, WorkerState } from '@tollgate/shared/domain/worker';
import type { EngineDialect } from '../schema-gate/dialect.ts';
import { type Breaker, type BreakerEvent, type BreakerPolicy, CLOSED, isOpen, step } from './breaker.ts';
import { dialectOf } from './identity.ts';
import type { EngineGauges } from './worker-metrics.ts';

/** What one request adds to a worker's counters. Each step happens at most once; `end` always comes. */
export interface Ticket {
  readonly worker: string;
  /** What the worker speaks. */
  readonly dialect: EngineDialect;
  firstToken(): void;
  end(): void;
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
  /** As configured, then as the worker itself says. */
  dialect: EngineDialect;
  state: WorkerState = 'joining';
  models: string[] = [];
  maxModelLen = 0;
  gauges: EngineGauges = { running: null, waiting: null, kvUsage: null };
  /** Probes that failed in a row. */
  missed = 0;
  /** When it last answered a request of ours (monotonic): better proof of life than any probe. */
  answeredMs = Number.NEGATIVE_INFINITY;
  running = 0;
  waiting = 0;
  pendingPrefillTokens = 0;
  breaker: Breaker = CLOSED;

  private readonly maxConcurrency: number | null;
  private readonly policy: BreakerPolicy;
  private readonly hooks: WorkerHooks;
  private readonly nowMs: () => number;

  /** `nowMs` is monotonic. */
  constructor(spec: WorkerSpec, policy: BreakerPolicy, hooks: WorkerHooks, nowMs: () => number) {
    this.url = spec.url;
    this.dialect = dialectOf(spec.engine, '');
    this.maxConcurrency = spec.maxConcurrency;
    this.policy = policy;
    this.hooks = hooks;
    this.nowMs = nowMs;
  }

  get engine(): Engine {
    return this.dialect.engine;
  }

  /** The only way a worker's state changes: counted and logged in one place. */
  transition(to: WorkerState, why: string): void {
    if (this.state === to) return;
    const from = this.state;
    this.state = to;
    this.hooks.transition(this, from, to, why);
  }

  /** Books a request that is about to be sent. */
  begin(promptTokens: number): Ticket {
    this.running++;
    this.waiting++;
    this.pendingPrefillTokens += promptTokens;
    this.note('sent');
    let prefilling = true;
    let open = true;
    const firstToken = (): void => {
      if (!prefilling) return;
      prefilling = false;
      this.waiting--;
      this.pendingPrefillTokens -= promptTokens;
    };
    return {
      worker: this.url,
      dialect: this.dialect,
      firstToken,
      end: () => {
        if (!open) return;
        open = false;
        firstToken();
        this.running--;
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
      breakerOpen: isOpen(this.breaker, this.nowMs()),
      running: this.running,
      waiting: this.waiting,
      pendingPrefillTokens: this.pendingPrefillTokens,
      kvUsage: this.gauges.kvUsage,
      maxConcurrency: this.maxConcurrency,
    };
  }
}
