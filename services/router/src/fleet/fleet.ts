/**
 * The fleet as this router sees it: which workers there are, whether they live, what runs there. Probes and the
 * drain set only ever change values here; choosing is `routing/`, acting is `upstream/`.
 */
import { type Engine, isAvailable, type WorkerSnapshot } from '@tollgate/shared/domain/worker';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { WorkerBook } from '../routing/fleet-book.ts';
import { type Asked, Picker, type Routed } from '../routing/picker.ts';
import type { PolicyName } from '../routing/policies/index.ts';
import type { EngineDialect } from '../schema-gate/dialect.ts';
import type { Pools } from '../upstream/pools.ts';
import { type BreakerPolicy, DEFAULT_BREAKER } from './breaker.ts';
import { dialectOf, readModels, VERSION_PATHS } from './identity.ts';
import { type Ticket, Worker, type WorkerSpec } from './worker.ts';
import { type EngineGauges, readGauges } from './worker-metrics.ts';

export interface FleetOptions {
  workers: readonly WorkerSpec[];
  probeEveryMs: number;
  probeTimeoutMs: number;
  breaker?: BreakerPolicy;
  /** How a worker is chosen among those that may serve. */
  policy: PolicyName;
  /** Context that the catalogue promises for a model; a worker with less gets no traffic. null = not sold. */
  promisedContext: (model: string) => number | null;
}

export interface FleetMetrics {
  workerUp(worker: string, up: boolean): void;
  workerGauges(worker: string, running: number, waiting: number, kvUsage: number | null): void;
  transition(worker: string, to: string): void;
  breaker(worker: string, to: string): void;
}

/** Probes that may fail in a row before a ready worker is taken out. */
const MISSES_TO_GONE = 3;
/** An answer within so many probe periods makes up for missed probes. */
const ALIVE_BY_ANSWER_PROBES = 3;
/** SGLang's /health generates a token, behind whatever waits there. */
const SGLANG_HEALTH_MS = 5_000;
/** `/v1/models` is asked on joining and then once per so many probes. */
const IDENTITY_EVERY = 15;

export class Fleet {
  private readonly workers = new Map<string, Worker>();
  private readonly picker: Picker;
  private readonly probing = new Set<Worker>();
  private readonly options: FleetOptions;
  private readonly pools: Pools;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: FleetMetrics;
  private draining: ReadonlySet<string> = new Set();
  private timer: Timer | null = null;
  private round = 0;

  constructor(
    options: FleetOptions,
    pools: Pools,
    clock: Clock,
    random: Pick<Random, 'float'>,
    logger: Logger,
    metrics: FleetMetrics,
  ) {
    this.options = options;
    const nowMs = () => clock.monotonicMs();
    this.picker = new Picker(options.policy, nowMs, () => random.float());
    this.pools = pools;
    this.clock = clock;
    this.logger = logger;
    this.metrics = metrics;
    const hooks = {
      transition: (worker: Worker, from: string, to: string, why: string) => {
        this.logger.info({ worker: worker.url, from, to, why }, 'worker changed state');
        this.metrics.transition(worker.url, to);
        this.metrics.workerUp(worker.url, to === 'ready' || to === 'draining');
        if (to === 'gone') this.picker.forget(worker.book);
      },
      breakerChanged: (worker: Worker, from: string, to: string) => {
        this.logger.warn({ worker: worker.url, from, to }, 'worker breaker changed');
        this.metrics.breaker(worker.url, to);
      },
    };
    for (const spec of options.workers) {
      const book = this.picker.addWorker(spec.url);
      const worker = new Worker(spec, book, options.breaker ?? DEFAULT_BREAKER, hooks, nowMs);
      this.workers.set(spec.url, worker);
      this.metrics.workerUp(spec.url, false);
    }
  }

  /** Probes once, then regularly until `stop`. */
  async start(): Promise<void> {
    await this.probeAll();
    this.timer = this.clock.setInterval(() => void this.probeAll(), this.options.probeEveryMs);
    this.timer.unref();
  }

  stop(): void {
    this.timer?.cancel();
  }

  snapshots(): WorkerSnapshot[] {
    return [...this.workers.values()].map((worker) => worker.snapshot());
  }

  /** True when some worker could take a request for the model now: lets a refusal cost nothing. */
  canServe(model: string): boolean {
    for (const worker of this.workers.values()) if (isAvailable(worker) && worker.models.includes(model)) return true;
    return false;
  }

  /** What the workers of a model speak: that of any of them; another one's is known once it is chosen. */
  dialectFor(model: string): EngineDialect {
    for (const worker of this.workers.values()) if (worker.models.includes(model)) return worker.dialect;
    return dialectOf('vllm', '');
  }

  /** The request as `take` wants it, for all its attempts: its prompt is hashed here, once, if that can matter. */
  route(asked: Asked): Routed {
    let serving = 0;
    for (const worker of this.workers.values()) if (worker.models.includes(asked.model)) serving++;
    return this.picker.route(asked, serving > 1);
  }

  /** Chooses a worker and books the request there; null when none can take it. `excluded` have failed it already. */
  take(request: Routed, excluded: readonly string[]): Ticket | null {
    const open: WorkerBook[] = [];
    for (const worker of this.workers.values()) {
      if (isAvailable(worker) && worker.models.includes(request.model) && !excluded.includes(worker.url)) {
        open.push(worker.book);
      }
    }
    if (open.length === 0) return null;
    const chosen = this.picker.pick(request, open);
    return this.workers.get(chosen.url)!.begin(this.picker.dispatch(request, chosen));
  }

  /** Mean difference of predicted and reported prefix hits, in points of the prompt. */
  get hitErrorPoints(): number {
    return this.picker.hitErrorPoints;
  }

  succeeded(worker: string): void {
    this.workers.get(worker)?.note('succeeded');
  }

  failed(worker: string): void {
    this.workers.get(worker)?.note('failed');
  }

  /** URLs that an operator drains: they finish what they have and get nothing new. */
  setDraining(urls: ReadonlySet<string>): void {
    this.draining = urls;
    for (const worker of this.workers.values()) {
      if (worker.state === 'ready' && urls.has(worker.url)) worker.transition('draining', 'drained by an operator');
      if (worker.state === 'draining' && !urls.has(worker.url)) worker.transition('ready', 'drain ended');
    }
  }

  async probeAll(): Promise<void> {
    const withIdentity = this.round++ % IDENTITY_EVERY === 0;
    await Promise.all([...this.workers.values()].map((worker) => this.probe(worker, withIdentity)));
  }

  private async probe(worker: Worker, withIdentity: boolean): Promise<void> {
    if (this.probing.has(worker)) return;
    this.probing.add(worker);
    const timeoutMs = this.options.probeTimeoutMs;
    try {
      const healthMs = worker.engine === 'sglang' ? Math.max(timeoutMs, SGLANG_HEALTH_MS) : timeoutMs;
      const health = await this.pools.call(worker.url, { method: 'GET', path: '/health' }, healthMs);
      if (health.status !== 200) throw new Error(`/health answered ${health.status}`);
      if (withIdentity || worker.state === 'joining' || worker.state === 'gone') await this.identify(worker);
      const metrics = await this.pools.call(worker.url, { method: 'GET', path: '/metrics' }, timeoutMs);
      this.noteGauges(worker, readGauges(metrics.text, worker.engine));
      worker.missed = 0;
      this.admitWorker(worker);
    } catch (error) {
      this.missedProbe(worker, error instanceof Error ? error.message : 'probe failed');
    }
    this.probing.delete(worker);
    this.metrics.workerGauges(worker.url, worker.running, worker.waiting, worker.gauges.kvUsage);
  }

  private noteGauges(worker: Worker, gauges: EngineGauges): void {
    const before = worker.gauges.startedS;
    if (before !== null && gauges.startedS !== null && before !== gauges.startedS) this.picker.forget(worker.book);
    worker.gauges = gauges;
    worker.book.polledWaiting = gauges.waiting;
    worker.book.polledKvUsage = gauges.kvUsage;
    const model = worker.models[0];
    if (gauges.kvTokens !== null && model !== undefined) {
      this.picker.noteKvTokens(worker.book, gauges.kvTokens, model);
    }
  }

  /** Reads which models the worker serves; those with less context than promised do not count. */
  private async identify(worker: Worker): Promise<void> {
    const answer = await this.pools.call(
      worker.url,
      { method: 'GET', path: '/v1/models' },
      this.options.probeTimeoutMs,
    );
    if (answer.status !== 200) throw new Error(`/v1/models answered ${answer.status}`);
    const { models: served, engine } = readModels(answer.text);
    const models: string[] = [];
    for (const { id, maxModelLen: context } of served) {
      const promised = this.options.promisedContext(id);
      if (context !== null) worker.maxModelLen = context;
      if (promised !== null && context !== null && context < promised) {
        this.logger.error({ worker: worker.url, model: id, context, promised }, 'worker has less context than sold');
      } else models.push(id);
    }
    await this.learnDialect(worker, engine ?? worker.engine);
    worker.models = models;
  }

  private async learnDialect(worker: Worker, engine: Engine): Promise<void> {
    const request = { method: 'GET', path: VERSION_PATHS[engine] } as const;
    const answer = await this.pools.call(worker.url, request, this.options.probeTimeoutMs);
    const dialect = dialectOf(engine, answer.status === 200 ? answer.text : '');
    if (dialect.engine !== worker.engine) this.logger.info({ worker: worker.url, engine }, 'worker told its engine');
    worker.dialect = dialect;
  }

  private admitWorker(worker: Worker): void {
    if (worker.models.length === 0) worker.transition('joining', 'serves no model that is sold');
    else if (this.draining.has(worker.url)) worker.transition('draining', 'drained by an operator');
    else if (worker.state !== 'ready') worker.transition('ready', 'probe succeeded');
  }

  private missedProbe(worker: Worker, why: string): void {
    // A busy worker may be late with its probes while it answers requests.
    const answersMs = this.clock.monotonicMs() - worker.answeredMs;
    if (worker.state === 'ready' && answersMs < ALIVE_BY_ANSWER_PROBES * this.options.probeEveryMs) return;
    worker.missed++;
    const patience = worker.state === 'ready' || worker.state === 'draining' ? MISSES_TO_GONE : 1;
    if (worker.missed < patience || worker.state === 'joining') return;
    worker.transition('gone', why);
    this.pools.forgetIdle(worker.url);
  }
}
