/**
 * What the router tells Prometheus. Labels are bounded: models of the catalogue, workers (none for long after it left),
 * closed unions; never a key. `docs/metrics.md` has each with its bound, and a test holds both to it.
 */

import { STATUS_CODES } from 'node:http';
import type { Exemplars } from '@tollgate/shared/runtime/exemplars';
import { Counter, Gauge, Histogram, type Registry } from '@tollgate/shared/runtime/metrics';
import type { BodyMetrics, DropReason } from './bodies/courier.ts';
import type { RequestContext } from './context.ts';
import type { DiscoveryMetrics } from './discovery/sources.ts';
import type { FleetMetrics } from './fleet/fleet.ts';
import type { ReplicaMetrics } from './fleet/replica-link.ts';
import type { EngineGauges } from './fleet/worker-metrics.ts';
import type { Lane } from './queue/fair-queue.ts';
import type { Rejection, RoomMetrics } from './queue/waiting-room.ts';
import type { DeliverMetrics } from './relay/deliver.ts';
import type { SettlementMetrics } from './settlement/settle.ts';
import type { SpoolMetrics } from './spool/spool.ts';
import { WorkerCounter } from './worker-counter.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** Between two tokens of one answer: from the fastest small models to a worker in trouble. */
const TOKEN_SECONDS = [0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.5, 1, 2.5];

const DURATION = 'request_duration_seconds';
const FIRST_TOKEN = 'time_to_first_token_seconds';
const INTER_TOKEN = 'inter_token_latency_seconds';

/** Label children of one model, looked up once. */
interface ModelMetrics {
  duration: Histogram.Internal<'model'>;
  firstToken: Histogram.Internal<'model'>;
  interToken: Histogram.Internal<'model'>;
  input: Counter.Internal;
  output: Counter.Internal;
  cached: Counter.Internal;
  settled: Counter.Internal;
}

export class RouterMetrics
  implements
    FleetMetrics,
    DeliverMetrics,
    SettlementMetrics,
    SpoolMetrics,
    ReplicaMetrics,
    DiscoveryMetrics,
    RoomMetrics,
    BodyMetrics
{
  private readonly requests: Counter<'model' | 'endpoint' | 'outcome' | 'code'>;
  private readonly duration: Histogram<'model'>;
  private readonly firstToken: Histogram<'model'>;
  private readonly interToken: Histogram<'model'>;
  private readonly inputTokens: Counter<'model'>;
  private readonly outputTokens: Counter<'model'>;
  private readonly cachedTokens: Counter<'model'>;
  private readonly settledUsd: Counter<'model'>;
  private readonly rejections: Counter<'reason'>;
  private readonly inflight: Gauge;
  private readonly attempts: WorkerCounter<'result'>;
  private readonly retries: Counter<'reason'>;
  private readonly retriesRefused: Counter<'reason'>;
  private readonly resumes: Counter<'reason' | 'result'>;
  private readonly poisoned: Counter;
  private readonly depth: Gauge<'model'>;
  private readonly waited: Histogram<'model' | 'lane'>;
  private readonly turnedAway: Counter<'model' | 'reason'>;
  private readonly structuredAnswers: Counter<'verdict' | 'result'>;
  private readonly workerUpGauge: Gauge<'worker'>;
  private readonly workerRunning: Gauge<'worker'>;
  private readonly workerWaiting: Gauge<'worker'>;
  private readonly workerKv: Gauge<'worker'>;
  private readonly workerPrefixHits: Gauge<'worker'>;
  private readonly workerTransitions: WorkerCounter<'to'>;
  private readonly breakerTransitions: WorkerCounter<'to'>;
  private readonly modelRunningGauge: Gauge<'model'>;
  private readonly discoveredWorkers: Gauge<'source'>;
  private readonly replicaPeers: Gauge;
  private readonly replicaInflight: Gauge;
  private readonly replicaBlind: Gauge;
  private readonly replicaLagSeconds: Histogram;
  private readonly replicaGapCount: Counter;
  private readonly settleClipped: Counter;
  private readonly settleEstimated: Counter;
  private readonly spoolRecords: Gauge;
  private readonly spoolBytes: Gauge;
  private readonly spoolResent: Counter;
  private readonly spoolFsyncFailed: Counter;
  private readonly keptBodies: Counter<'result'>;
  private readonly byModel = new Map<string, ModelMetrics>();
  private readonly byEnd = new Map<string, { inc(): void }>();
  /** Sum of the holds of requests under way. */
  private reservedNusd = 0n;

  private readonly exemplars: Exemplars | null;
  private readonly nowMs: () => number;

  /** `nowMs` is the wall clock, for `exemplars`. */
  constructor(registry: Registry, exemplars: Exemplars | null = null, nowMs: () => number = () => 0) {
    this.exemplars = exemplars;
    this.nowMs = nowMs;
    const registers = [registry];
    const counter = <T extends string>(name: string, help: string, labelNames: T[] = []): Counter<T> =>
      new Counter({ name: `tollgate_${name}`, help, labelNames, registers });
    const gauge = <T extends string>(name: string, help: string, labelNames: T[] = []): Gauge<T> =>
      new Gauge({ name: `tollgate_${name}`, help, labelNames, registers });
    const histogram = (name: string, help: string, buckets = SECONDS): Histogram<'model'> =>
      new Histogram({ name: `tollgate_${name}`, help, labelNames: ['model'], buckets, registers });
    const ofWorker = <T extends string>(name: string, help: string, label: T): WorkerCounter<T> =>
      new WorkerCounter(registry, `tollgate_${name}`, help, label);
    this.requests = counter('requests_total', 'Generations by how they ended.', [
      'model',
      'endpoint',
      'outcome',
      'code',
    ]);
    this.duration = histogram(DURATION, 'From the first header to the bill, requests sent to a worker.');
    this.firstToken = histogram(FIRST_TOKEN, 'From the first header to the first token or plain answer.');
    this.interToken = histogram(
      INTER_TOKEN,
      'Time per token after the first of a choice, as they came from the worker: the mean of each finished stream.',
      TOKEN_SECONDS,
    );
    this.inputTokens = counter('input_tokens_total', 'Prompt tokens billed, cached ones included.', ['model']);
    this.outputTokens = counter('output_tokens_total', 'Output tokens billed.', ['model']);
    this.cachedTokens = counter('cached_tokens_total', 'Prompt tokens billed at the cached price.', ['model']);
    const reserved: Gauge = new Gauge({
      name: 'tollgate_credits_reserved_usd',
      help: 'Held for requests under way, for graphs; the leases are exact.',
      registers,
      collect: () => reserved.set(Number(this.reservedNusd) / 1e9),
    });
    this.settledUsd = counter('credits_settled_usd_total', 'Amount billed, for graphs; the ledger is exact.', [
      'model',
    ]);
    this.rejections = counter('rejections_total', 'Requests refused, by error code.', ['reason']);
    this.inflight = gauge('inflight_requests', 'Generations under way.');
    this.attempts = ofWorker('upstream_attempts_total', 'Requests sent to workers.', 'result');
    this.retries = counter('upstream_retries_total', 'Requests sent to a second worker.', ['reason']);
    this.retriesRefused = counter('upstream_retries_refused_total', 'Second tries that the budget did not allow.', [
      'reason',
    ]);
    this.resumes = counter('stream_resumes_total', 'Streams whose worker failed, and whether they went on elsewhere.', [
      'reason',
      'result',
    ]);
    this.poisoned = counter('poison_requests_total', 'Requests that made two workers fail.');
    this.depth = gauge('queue_depth', 'Requests that wait for a worker.', ['model']);
    this.waited = new Histogram({
      name: 'tollgate_queue_wait_seconds',
      help: 'How long requests waited that had to, by lane.',
      labelNames: ['model', 'lane'],
      buckets: SECONDS,
      registers,
    });
    this.turnedAway = counter('queue_rejections_total', 'Requests that left the queue without a worker.', [
      'model',
      'reason',
    ]);
    this.structuredAnswers = counter(
      'structured_answers_total',
      'Answers with a promised form, by what the promise rests on and how they ended.',
      ['verdict', 'result'],
    );
    this.workerUpGauge = gauge('worker_up', 'Whether the worker answers its probes.', ['worker']);
    this.workerRunning = gauge('worker_running', 'Requests of this router at the worker.', ['worker']);
    this.workerWaiting = gauge('worker_waiting', 'Of these, those without a first token.', ['worker']);
    this.workerKv = gauge('worker_kv_cache_usage', 'Share of the KV cache in use, as polled.', ['worker']);
    this.workerPrefixHits = gauge('worker_prefix_hit_ratio', "Found share of prompt tokens since the worker's start.", [
      'worker',
    ]);
    this.workerTransitions = ofWorker('worker_transitions_total', 'Changes of a worker state.', 'to');
    this.breakerTransitions = ofWorker('worker_breaker_total', 'Changes of a worker breaker.', 'to');
    this.modelRunningGauge = gauge('model_running_requests', "Requests at a model's workers.", ['model']);
    this.discoveredWorkers = gauge('discovered_workers', 'Workers that a source names at present.', ['source']);
    this.replicaPeers = gauge('replica_peers', 'Other routers that this one hears.');
    this.replicaInflight = gauge('replica_inflight_requests', "Other routers' requests in this one's books.");
    this.replicaBlind = gauge('replica_blind', '1 while other routers are not heard and workers are chosen by hash.');
    this.replicaLagSeconds = new Histogram({
      name: 'tollgate_replica_lag_seconds',
      help: 'From the sending of bookkeeping to its arrival, measured on own messages.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    });
    this.replicaGapCount = counter('replica_gaps_total', 'Times that bookkeeping of another router was missing.');
    this.settleClipped = counter('settle_clipped_total', 'Bills that were above their hold.');
    this.settleEstimated = counter('settle_estimated_total', 'Bills with counts that no engine told.');
    this.spoolRecords = gauge('spool_unconfirmed_records', 'Finished requests not yet confirmed by metering.');
    this.spoolBytes = gauge('spool_bytes', 'Size of the spool on disk.');
    this.spoolResent = counter('spool_resent_total', 'Records sent to Redis again.');
    this.spoolFsyncFailed = counter('spool_fsync_failed_total', 'Group commits that the disk refused.');
    this.keptBodies = counter(
      'kept_bodies_total',
      'Bodies for accounts that have them kept: sent, or let go and why.',
      ['result'],
    );
  }

  opened(): void {
    this.inflight.inc();
  }

  closed(ctx: RequestContext, durationMs: number): void {
    this.inflight.dec();
    this.end(ctx).inc();
    if (ctx.error !== null) this.rejections.inc({ reason: ctx.error.code });
    if (ctx.model === null || !ctx.dispatched) return;
    const model = this.model(ctx.model.id);
    this.observe(model.duration, DURATION, SECONDS, durationMs, ctx);
    if (ctx.firstTokenMs !== null) {
      this.observe(model.firstToken, FIRST_TOKEN, SECONDS, ctx.firstTokenMs - ctx.startedMs, ctx);
    }
    if (ctx.amountNusd === null) return;
    const tokenMs = interTokenMs(ctx);
    if (tokenMs !== null) this.observe(model.interToken, INTER_TOKEN, TOKEN_SECONDS, tokenMs, ctx);
    model.input.inc(ctx.counts.promptTokens ?? 0);
    model.output.inc(ctx.counts.completionTokens);
    model.cached.inc(ctx.counts.cachedTokens ?? 0);
    model.settled.inc(Number(ctx.amountNusd) / 1e9);
  }

  /** A time of one request, and its trace where that is kept. */
  private observe(
    child: Histogram.Internal<'model'>,
    name: string,
    bounds: readonly number[],
    ms: number,
    { trace, model }: RequestContext,
  ): void {
    const value = ms / 1_000;
    child.observe(value);
    if (this.exemplars === null || trace === null || trace.traceId === null) return;
    const exemplar = { traceId: trace.traceId, value, atMs: this.nowMs() };
    this.exemplars.note(`tollgate_${name}`, { model: model!.id }, bounds, exemplar);
  }

  /** So much more is held for requests under way, or (negative) less. */
  reserved(amountNusd: bigint): void {
    this.reservedNusd += amountNusd;
  }

  attempt(worker: string, result: string): void {
    this.attempts.inc(worker, result);
  }

  retried(reason: string): void {
    this.retries.inc({ reason });
  }

  retryRefused(reason: string): void {
    this.retriesRefused.inc({ reason });
  }

  resumed(reason: string, worked: boolean): void {
    this.resumes.inc({ reason, result: worked ? 'resumed' : 'ended' });
  }

  poisonous(): void {
    this.poisoned.inc();
  }

  queueDepth(model: string, depth: number): void {
    this.depth.set({ model }, depth);
  }

  queueWaited(model: string, lane: Lane, waitMs: number): void {
    this.waited.observe({ model, lane }, waitMs / 1_000);
  }

  queueRejected(model: string, reason: Rejection): void {
    this.turnedAway.inc({ model, reason });
  }

  structured(verdict: string, result: string): void {
    this.structuredAnswers.inc({ verdict, result });
  }

  workerUp(worker: string, up: boolean): void {
    this.workerUpGauge.set({ worker }, up ? 1 : 0);
  }

  workerGauges(worker: string, running: number, waiting: number, engine: EngineGauges): void {
    this.workerRunning.set({ worker }, running);
    this.workerWaiting.set({ worker }, waiting);
    const { kvUsage, prefixTokens, prefixHitTokens } = engine;
    if (kvUsage !== null) this.workerKv.set({ worker }, kvUsage);
    if (prefixTokens !== null && prefixHitTokens !== null && prefixTokens > 0)
      this.workerPrefixHits.set({ worker }, prefixHitTokens / prefixTokens);
  }

  /** Its gauges go; its counters stay until it is forgotten, so that rates over its last minutes are right. */
  workerLeft(worker: string): void {
    for (const metric of [
      this.workerUpGauge,
      this.workerRunning,
      this.workerWaiting,
      this.workerKv,
      this.workerPrefixHits,
    ]) {
      metric.remove({ worker });
    }
  }

  workerForgotten(worker: string): void {
    for (const counter of [this.attempts, this.workerTransitions, this.breakerTransitions]) counter.forget(worker);
  }

  discovered(source: string, workers: number): void {
    this.discoveredWorkers.set({ source }, workers);
  }

  modelRunning(model: string, running: number): void {
    this.modelRunningGauge.set({ model }, running);
  }

  modelLeft(model: string): void {
    for (const metric of [this.modelRunningGauge, this.depth]) metric.remove({ model });
  }

  replicas(peers: number, inFlight: number, isBlind: boolean): void {
    this.replicaPeers.set(peers);
    this.replicaInflight.set(inFlight);
    this.replicaBlind.set(isBlind ? 1 : 0);
  }

  replicaLag(seconds: number): void {
    this.replicaLagSeconds.observe(seconds);
  }

  replicaGaps(count: number): void {
    if (count > 0) this.replicaGapCount.inc(count);
  }

  transition(worker: string, to: string): void {
    this.workerTransitions.inc(worker, to);
  }

  breaker(worker: string, to: string): void {
    this.breakerTransitions.inc(worker, to);
  }

  clipped(): void {
    this.settleClipped.inc();
  }

  estimated(): void {
    this.settleEstimated.inc();
  }

  unconfirmed(count: number, bytes: number): void {
    this.spoolRecords.set(count);
    this.spoolBytes.set(bytes);
  }

  resent(count: number): void {
    this.spoolResent.inc(count);
  }

  fsyncFailed(): void {
    this.spoolFsyncFailed.inc();
  }

  bodiesSent(count: number): void {
    this.keptBodies.inc({ result: 'sent' }, count);
  }

  bodyDropped(reason: DropReason): void {
    this.keptBodies.inc({ result: reason });
  }

  /** A model that is not sold has no label of its own: clients could make up as many as they like. */
  private end(ctx: RequestContext): { inc(): void } {
    const model = ctx.model?.id ?? 'other';
    const outcome = ctx.outcome ?? 'failed_internal';
    const { endpoint } = ctx;
    const code = codeOf(ctx.status);
    const name = `${model} ${endpoint} ${outcome} ${code}`;
    let child = this.byEnd.get(name);
    if (child === undefined) {
      child = this.requests.labels({ model, endpoint, outcome, code });
      this.byEnd.set(name, child);
    }
    return child;
  }

  private model(model: string): ModelMetrics {
    let children = this.byModel.get(model);
    if (children === undefined) {
      children = {
        duration: this.duration.labels({ model }),
        firstToken: this.firstToken.labels({ model }),
        interToken: this.interToken.labels({ model }),
        input: this.inputTokens.labels({ model }),
        output: this.outputTokens.labels({ model }),
        cached: this.cachedTokens.labels({ model }),
        settled: this.settledUsd.labels({ model }),
      };
      this.byModel.set(model, children);
    }
    return children;
  }
}

/** Milliseconds per token after the first of a choice; null where they did not come one by one, or not to the end. */
function interTokenMs({ request, firstTokenMs, lastTokenMs, counts }: RequestContext): number | null {
  if (request === null || firstTokenMs === null || lastTokenMs === null) return null;
  const more = counts.completionTokens / request.choices - 1;
  return more < 1 ? null : (lastTokenMs - firstTokenMs) / more;
}

/** An opened endpoint passes a worker's status on, which may be any number: one without a meaning is told by its class. */
function codeOf(status: number): string {
  return status === 0 || STATUS_CODES[status] !== undefined ? String(status) : `${Math.floor(status / 100)}xx`;
}
