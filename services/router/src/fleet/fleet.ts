/**
 * The fleet as this router sees it: which workers there are, whether they live, what runs there. Probes and the
 * drain set only ever change values here; choosing is `routing/`, acting is `upstream/`.
 */
import type { WorkerSnapshot } from '@tollgate/shared/domain/worker';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { FoundWorker } from '../discovery/source.ts';
import { learnCapacity } from '../queue/capacity.ts';
import { OUTPUT_TOKEN_WORK } from '../queue/fair-queue.ts';
import { OVER_SHARE_ROOM, ROOM } from '../queue/headroom.ts';
import type { Claim } from '../queue/idle-room.ts';
import type { CandidateScore } from '../route-explain.ts';
import { prefillMs, stepMs } from '../routing/estimates.ts';
import { OUTLIER_DEFAULTS, sweep, withoutOutliers } from '../routing/outliers.ts';
import { type Asked, type BookEvents, Picker, type Routed } from '../routing/picker.ts';
import type { PolicyName } from '../routing/policies/index.ts';
import type { BookSink } from '../routing/replicas/inbox.ts';
import type { EngineDialect } from '../schema-gate/dialect.ts';
import type { Pools } from '../upstream/pools.ts';
import { type BreakerPolicy, DEFAULT_BREAKER } from './breaker.ts';
import { Departed } from './departed.ts';
import { identify } from './identify.ts';
import { dialectOf } from './identity.ts';
import { ModelLoad, type ModelLoadMetrics } from './model-load.ts';
import { tempos } from './pace.ts';
import { CHAT_NEED, type Need, type Ticket, Worker, type WorkerHooks } from './worker.ts';
import { type EngineGauges, readGauges } from './worker-metrics.ts';

export interface FleetOptions {
  /** Requests of this router at one worker at the same time. */
  maxConcurrency: number | null;
  probeEveryMs: number;
  probeTimeoutMs: number;
  breaker?: BreakerPolicy;
  /** How a worker is chosen among those that may serve. */
  policy: PolicyName;
  /** Context that the catalogue promises for a model; a worker with less gets no traffic. null = not sold. */
  promisedContext: (model: string) => number | null;
  /** Paths that workers may serve beside chat; each is asked. */
  paths?: readonly string[];
}

/** A request on its way to a worker, and what that worker must have. */
export interface Placed extends Routed {
  readonly need: Need;
  /** Answers that it asks for at once; 1 unless told. */
  readonly choices?: number;
}

export interface FleetMetrics extends ModelLoadMetrics {
  workerUp(worker: string, up: boolean): void;
  /** It left the fleet: what it is now has no line any more. */
  workerLeft(worker: string): void;
  /** It left a while ago: what it did has no line any more either. */
  workerForgotten(worker: string): void;
  workerGauges(worker: string, running: number, waiting: number, engine: EngineGauges): void;
  transition(worker: string, to: string): void;
  breaker(worker: string, to: string): void;
}

/** What became of the wish for a worker. `held`: another has room, and waiting for a full one is cheaper. */
export type Offer = { kind: 'taken'; ticket: Ticket } | { kind: 'held' } | { kind: 'full' } | { kind: 'none' };

const HELD: Offer = { kind: 'held' };
const FULL: Offer = { kind: 'full' };
const NONE: Offer = { kind: 'none' };

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
  /** First probes of workers that were found while it runs. */
  private readonly firstProbes = new Set<Promise<void>>();
  private readonly options: FleetOptions;
  private readonly pools: Pools;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: FleetMetrics;
  private readonly hooks: WorkerHooks;
  /** What the sources say of each worker; those that are not in it have left. */
  private found = new Map<string, FoundWorker>();
  private draining: ReadonlySet<string> = new Set();
  private readonly modelLoad: ModelLoad;
  private readonly departed = new Departed();
  private timer: Timer | null = null;
  private round = 0;
  /** Told whenever a worker may have room for one more. */
  onRoom: () => void = () => {};

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
    this.modelLoad = new ModelLoad((model) => options.promisedContext(model) !== null, metrics);
    this.hooks = {
      transition: (worker, from, to, why) => {
        this.logger.info({ worker: worker.url, from, to, why }, 'worker changed state');
        this.metrics.transition(worker.url, to);
        this.metrics.workerUp(worker.url, to === 'ready' || to === 'draining');
        if (to === 'gone') this.picker.forget(worker.book);
        if (to === 'ready' && from !== 'draining') {
          worker.book.start.begin(this.clock.monotonicMs());
          worker.beginAnew();
        }
        this.onRoom();
      },
      breakerChanged: (worker, from, to) => {
        this.logger.warn({ worker: worker.url, from, to }, 'worker breaker changed');
        this.metrics.breaker(worker.url, to);
        if (to === 'closed') worker.book.start.begin(this.clock.monotonicMs());
        this.onRoom();
      },
      freed: () => this.onRoom(),
    };
  }

  /**
   * Makes these the fleet. New ones are probed at once and serve when they pass; those that are not named any more get
   * nothing new, finish what they have and are then forgotten.
   */
  setWorkers(workers: readonly FoundWorker[]): void {
    this.found = new Map(workers.map((worker) => [worker.url, worker]));
    for (const found of workers) {
      const known = this.workers.get(found.url);
      if (known === undefined) this.add(found);
      else if (known.state === 'gone') void this.probe(known, true);
      else this.refresh(known);
    }
    for (const worker of [...this.workers.values()]) {
      if (this.found.has(worker.url)) continue;
      worker.transition('gone', 'no source names it any more');
      this.forgetIfIdle(worker);
    }
  }

  private add({ url, engine }: FoundWorker): void {
    const book = this.picker.addWorker(url);
    const spec = { url, engine, maxConcurrency: this.options.maxConcurrency };
    const nowMs = () => this.clock.monotonicMs();
    const worker = new Worker(spec, book, this.options.breaker ?? DEFAULT_BREAKER, this.hooks, nowMs);
    this.workers.set(url, worker);
    this.departed.cameBack(url);
    this.metrics.workerUp(url, false);
    if (this.timer === null) return;
    const probe = this.probe(worker, true).finally(() => this.firstProbes.delete(probe));
    this.firstProbes.add(probe);
  }

  private forgetIfIdle(worker: Worker): void {
    if (worker.running > 0 || this.probing.has(worker)) return;
    this.workers.delete(worker.url);
    this.picker.removeWorker(worker.book);
    this.pools.forgetIdle(worker.url);
    this.metrics.workerLeft(worker.url);
    this.departed.left(worker.url, this.clock.monotonicMs());
  }

  /** Who is told of what this router does, so that others can count it. */
  shareWith(events: BookEvents): void {
    this.picker.tell(events);
  }

  /** Where the events of other routers go. */
  get others(): BookSink {
    return this.picker.others;
  }

  /** Probes once, then regularly until `stop`. Who is found meanwhile is probed at once. */
  async start(): Promise<void> {
    this.timer = this.clock.setInterval(() => void this.probeAll(), this.options.probeEveryMs);
    this.timer.unref();
    await this.probeAll();
  }

  /** Resolves when everybody who has been found by now was asked once, whatever came of it. */
  async examined(): Promise<void> {
    await Promise.all(this.firstProbes);
  }

  stop(): void {
    this.timer?.cancel();
  }

  snapshots(): WorkerSnapshot[] {
    return [...this.workers.values()].map((worker) => worker.snapshot());
  }

  /** True when some worker could take a request for the model now: lets a refusal cost nothing. */
  canServe(model: string, need: Need = CHAT_NEED): boolean {
    for (const worker of this.workers.values()) if (worker.isOpen && worker.serves(model, need)) return true;
    return false;
  }

  /** True when workers of the model are there and none of them has what is needed: waiting would not help. */
  lacks(model: string, need: Need): boolean {
    let isKnown = false;
    for (const worker of this.workers.values()) {
      if (worker.serves(model, need)) return false;
      isKnown ||= worker.state !== 'gone' && worker.models.includes(model);
    }
    return isKnown;
  }

  /** What the workers of a model speak: that of any of them; another one's is known once it is chosen. */
  dialectFor(model: string): EngineDialect {
    for (const worker of this.workers.values()) if (worker.models.includes(model)) return worker.dialect;
    return dialectOf('vllm', '');
  }

  /** The request as `take` wants it, for all its attempts: its prompt is hashed here, once, if that can matter. */
  route(asked: Asked, need: Need = CHAT_NEED): Placed {
    let serving = 0;
    for (const worker of this.workers.values()) if (worker.serves(asked.model, need)) serving++;
    return { ...this.picker.route(asked, serving > 1), need };
  }

  /**
   * Milliseconds until the first token at the worker that would be soonest, were nothing of the prompt cached; null when
   * none is there. Nothing is booked.
   */
  expectedFirstTokenMs({ model, promptTokens, need }: Placed): number | null {
    const nowMs = this.clock.monotonicMs();
    let soonest: number | null = null;
    for (const worker of this.workers.values()) {
      if (!worker.isOpen || !worker.serves(model, need)) continue;
      const { estimate, pendingPrefillMs, decoding, heldTokens, health } = worker.book;
      const computeMs = prefillMs(estimate, promptTokens, promptTokens) + stepMs(estimate, decoding + 1, heldTokens);
      const ms = (pendingPrefillMs + computeMs) * health.read(nowMs);
      if (soonest === null || ms < soonest) soonest = ms;
    }
    return soonest;
  }

  /** Milliseconds of computing what no worker holds of the prompt: at the one that holds most. 0 where nobody knows. */
  coldMs(request: Placed): number {
    if (request.blocks.length === 0) return 0;
    const hits = this.picker.hitsByIndex(request);
    let least = Number.POSITIVE_INFINITY;
    for (const worker of this.workers.values()) {
      if (!worker.isOpen || !worker.serves(request.model, request.need)) continue;
      const uncached = request.promptTokens - hits[worker.book.index]!;
      least = Math.min(least, prefillMs(worker.book.estimate, uncached, request.promptTokens));
    }
    return Number.isFinite(least) ? least : 0;
  }

  /**
   * Chooses a worker and books the request there. `excluded` have failed it already. Where the one that suits it best is
   * full and `mayHold`, another is taken only if that is cheaper than to wait. Batch is never held. One whose account
   * `isOverShare` gets no room that is kept for others.
   */
  offer(
    request: Placed,
    excluded: readonly string[],
    mayHold: boolean,
    claim: Claim = 'interactive',
    isOverShare = false,
  ): Offer {
    const available: Worker[] = [];
    let pool = 0;
    for (const worker of this.workers.values()) {
      if (!worker.serves(request.model, request.need)) continue;
      pool++;
      if (worker.isOpen && !excluded.includes(worker.url)) available.push(worker);
    }
    if (available.length === 0) return NONE;
    const candidates = withoutOutliers(available, pool, this.clock.monotonicMs());
    // With one worker the prompt was not hashed: what of it is cached there is not known.
    const isHashed = pool > 1;
    const room = isOverShare ? OVER_SHARE_ROOM : ROOM;
    const hasRoom = (worker: Worker) => claim !== 'batch' || worker.hasIdleRoom(request.promptTokens);
    const open = candidates.filter((worker) => !worker.isFull(room, isHashed) && hasRoom(worker));
    if (open.length === 0) return FULL;
    const chosen = this.choose(request, candidates, open, mayHold && claim !== 'batch');
    if (chosen === null) return HELD;
    const sent = claim === 'interactive' ? request : { ...request, isBatch: true };
    return { kind: 'taken', ticket: chosen.begin(this.picker.dispatch(sent, chosen.book), claim, request) };
  }

  /** One of `open`; null: a full one of `candidates` that holds more of the prompt is worth waiting for. */
  private choose(
    request: Placed,
    candidates: readonly Worker[],
    open: readonly Worker[],
    mayHold: boolean,
  ): Worker | null {
    const best = this.picked(request, open);
    if (open.length === candidates.length || !mayHold) return best;
    const hits = this.picker.hitsByIndex(request);
    const most = hits[best.book.index]!;
    const holders = candidates.filter((worker) => hits[worker.book.index]! > most && !open.includes(worker));
    if (holders.length === 0) return best;
    const preferred = this.picked(request, holders);
    const books = candidates.map(({ book }) => book);
    const spillMs = this.picker.costMs(request, best.book, books);
    const holdMs = this.picker.costMs(request, preferred.book, books);
    return spillMs === null || holdMs === null || spillMs <= holdMs + preferred.gapMs ? best : null;
  }

  private picked(request: Placed, workers: readonly Worker[]): Worker {
    if (workers.length === 1) return workers[0]!;
    const chosen = this.picker.pick(
      request,
      workers.map(({ book }) => book),
    );
    return this.workers.get(chosen.url)!;
  }

  /** How the workers that could take the request compare now, for `x-tollgate-route-explain`. */
  explain(request: Placed): CandidateScore[] {
    const nowMs = this.clock.monotonicMs();
    const scores: CandidateScore[] = [];
    const serving = [...this.workers.values()].filter(
      (worker) => worker.isOpen && worker.serves(request.model, request.need),
    );
    const books = serving.map(({ book }) => book);
    for (const worker of serving) {
      const { book } = worker;
      scores.push({
        worker: worker.url,
        costMs: this.picker.costMs(request, book, books),
        terms: this.picker.costTerms(request, book, books),
        running: book.running,
        pendingPrefillMs: book.pendingPrefillMs,
        hitTokens: Math.round(this.picker.hitTokens(request, book)),
        health: book.health.read(nowMs) * book.start.factor(nowMs),
      });
    }
    return scores;
  }

  get policyName(): string {
    return this.picker.policyName;
  }

  /** What the request is expected to cost a worker, in tokens of uncached prompt. */
  expectedWork(request: Placed): number {
    return request.promptTokens + OUTPUT_TOKEN_WORK * this.picker.expectedOutput(request);
  }

  /** Mean difference of predicted and reported prefix hits, in points of the prompt. */
  get hitErrorPoints(): number {
    return this.picker.hitErrorPoints;
  }

  /** What is kept of workers: those that are there, places in the book, those that left a short while ago. */
  get footprint(): { workers: number; places: number; departed: number } {
    return { workers: this.workers.size, places: this.picker.places, departed: this.departed.size };
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
    for (const worker of this.workers.values()) this.refresh(worker);
  }

  /** Why it shall get nothing new; null when it may. */
  private drainReason(worker: Worker): string | null {
    if (this.draining.has(worker.url)) return 'drained by an operator';
    return this.found.get(worker.url)?.leaving === true ? 'it is leaving' : null;
  }

  /** An operator's or a source's word about a worker that lives has changed. */
  private refresh(worker: Worker): void {
    const reason = this.drainReason(worker);
    if (worker.state === 'ready' && reason !== null) worker.transition('draining', reason);
    if (worker.state === 'draining' && reason === null) worker.transition('ready', 'drain ended');
  }

  async probeAll(): Promise<void> {
    const withIdentity = this.round++ % IDENTITY_EVERY === 0;
    const workers = [...this.workers.values()];
    for (const worker of workers) if (!this.found.has(worker.url)) this.forgetIfIdle(worker);
    await Promise.all(
      workers.filter(({ url }) => this.found.has(url)).map((worker) => this.probe(worker, withIdentity)),
    );
    for (const url of this.departed.forgotten(this.clock.monotonicMs())) this.metrics.workerForgotten(url);
    this.modelLoad.tell(this.workers.values());
    this.leaveOutliersOut();
    this.onRoom();
  }

  /** Workers that answer badly get nothing for a while: of each model's, never more than half. */
  private leaveOutliersOut(): void {
    const nowMs = this.clock.monotonicMs();
    const models = new Set([...this.workers.values()].flatMap((worker) => worker.models));
    for (const model of models) {
      const pool = [...this.workers.values()].filter((worker) => worker.models.includes(model));
      for (const [i, tempo] of tempos(pool, nowMs).entries()) pool[i]!.book.tempo = tempo;
      const members = pool.map((worker) => ({
        worker,
        conduct: worker.conduct,
        isAvailable: worker.isOpen,
        slowness: worker.book.health.read(nowMs),
      }));
      for (const { worker } of sweep(members, nowMs, OUTLIER_DEFAULTS)) {
        this.logger.warn({ worker: worker.url, model }, 'worker is left out for a while: it answers badly');
        this.metrics.breaker(worker.url, 'ejected');
      }
    }
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
      const hasRestarted = this.noteGauges(worker, readGauges(metrics.text, worker.engine));
      // Another process behind the same address may serve another model.
      if (hasRestarted) await this.identify(worker);
      if (!this.found.has(worker.url)) throw new Error('it left meanwhile');
      worker.missed = 0;
      this.admitWorker(worker);
    } catch (error) {
      this.missedProbe(worker, error instanceof Error ? error.message : 'probe failed');
    }
    this.probing.delete(worker);
    this.metrics.workerGauges(worker.url, worker.running, worker.waiting, worker.gauges);
  }

  /** Takes in what the engine reports; true when its process is another one than before. */
  private noteGauges(worker: Worker, gauges: EngineGauges): boolean {
    const before = worker.gauges.startedS;
    const hasRestarted = before !== null && gauges.startedS !== null && before !== gauges.startedS;
    if (hasRestarted) {
      this.picker.forget(worker.book);
      worker.beginAnew();
    }
    worker.gauges = gauges;
    worker.polledAtMs = this.clock.nowMs();
    worker.capacity = learnCapacity(worker.capacity, gauges, worker.book.running);
    worker.book.polledWaiting = gauges.waiting;
    worker.book.polledKvUsage = gauges.kvUsage;
    if (gauges.kvTokens !== null) this.picker.noteKvTokens(worker.book, gauges.kvTokens);
    return hasRestarted;
  }

  private identify(worker: Worker): Promise<void> {
    const { probeTimeoutMs: timeoutMs, promisedContext, paths = [] } = this.options;
    const listed = this.found.get(worker.url)?.models ?? null;
    return identify(worker, listed, { pools: this.pools, timeoutMs, logger: this.logger, promisedContext, paths });
  }

  private admitWorker(worker: Worker): void {
    if (worker.models.length === 0) worker.transition('joining', 'serves no model that is sold');
    else if (this.drainReason(worker) !== null) worker.transition('draining', this.drainReason(worker)!);
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
