/** What the router tells Prometheus. Labels are bounded: models of the catalogue, workers, closed unions; never a key. */

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

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** Label children of one model, looked up once. */
interface ModelMetrics {
  duration: Histogram.Internal<'model'>;
  firstToken: Histogram.Internal<'model'>;
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
  private readonly tokens: Counter<'model' | 'kind'>;
  private readonly settledUsd: Counter<'model'>;
  private readonly rejections: Counter<'reason'>;
  private readonly inflight: Gauge;
  private readonly attempts: Counter<'worker' | 'result'>;
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
  private readonly workerTransitions: Counter<'worker' | 'to'>;
  private readonly breakerTransitions: Counter<'worker' | 'to'>;
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
  private readonly byAttempt = new Map<string, { inc(): void }>();

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = <T extends string>(name: string, help: string, labelNames: T[] = []): Counter<T> =>
      new Counter({ name: `tollgate_${name}`, help, labelNames, registers });
    const gauge = <T extends string>(name: string, help: string, labelNames: T[] = []): Gauge<T> =>
      new Gauge({ name: `tollgate_${name}`, help, labelNames, registers });
    const histogram = (name: string, help: string): Histogram<'model'> =>
      new Histogram({ name: `tollgate_${name}`, help, labelNames: ['model'], buckets: SECONDS, registers });
    this.requests = counter('requests_total', 'Generations by how they ended.', [
      'model',
      'endpoint',
      'outcome',
      'code',
    ]);
    this.duration = histogram(
      'request_duration_seconds',
      'From the first header to the bill, requests sent to a worker.',
    );
    this.firstToken = histogram(
      'time_to_first_token_seconds',
      'From the first header to the first token or plain answer.',
    );
    this.tokens = counter('tokens_total', 'Tokens billed: input (cached included), cached, output.', ['model', 'kind']);
    this.settledUsd = counter('credits_settled_usd_total', 'Amount billed, for graphs; the ledger is exact.', [
      'model',
    ]);
    this.rejections = counter('rejections_total', 'Requests refused, by error code.', ['reason']);
    this.inflight = gauge('inflight_requests', 'Generations under way.');
    this.attempts = counter('upstream_attempts_total', 'Requests sent to workers.', ['worker', 'result']);
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
    this.workerTransitions = counter('worker_transitions_total', 'Changes of a worker state.', ['worker', 'to']);
    this.breakerTransitions = counter('worker_breaker_total', 'Changes of a worker breaker.', ['worker', 'to']);
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
    model.duration.observe(durationMs / 1_000);
    if (ctx.firstTokenMs !== null) model.firstToken.observe((ctx.firstTokenMs - ctx.startedMs) / 1_000);
    if (ctx.amountNusd === null) return;
    model.input.inc(ctx.counts.promptTokens ?? 0);
    model.output.inc(ctx.counts.completionTokens);
    model.cached.inc(ctx.counts.cachedTokens ?? 0);
    model.settled.inc(Number(ctx.amountNusd) / 1e9);
  }

  attempt(worker: string, result: string): void {
    const name = `${result} ${worker}`;
    let child = this.byAttempt.get(name);
    if (child === undefined) {
      child = this.attempts.labels({ worker, result });
      this.byAttempt.set(name, child);
    }
    child.inc();
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

  /** Its gauges go; its counters stay until the router restarts, so that rates over its last minutes are right. */
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

  discovered(source: string, workers: number): void {
    this.discoveredWorkers.set({ source }, workers);
  }

  modelRunning(model: string, running: number): void {
    this.modelRunningGauge.set({ model }, running);
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
    this.workerTransitions.inc({ worker, to });
  }

  breaker(worker: string, to: string): void {
    this.breakerTransitions.inc({ worker, to });
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
    const name = `${model} ${endpoint} ${outcome} ${ctx.status}`;
    let child = this.byEnd.get(name);
    if (child === undefined) {
      child = this.requests.labels({ model, endpoint, outcome, code: String(ctx.status) });
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
        input: this.tokens.labels({ model, kind: 'input' }),
        output: this.tokens.labels({ model, kind: 'output' }),
        cached: this.tokens.labels({ model, kind: 'cached' }),
        settled: this.settledUsd.labels({ model }),
      };
      this.byModel.set(model, children);
    }
    return children;
  }
}
