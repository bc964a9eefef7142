/**
 * Composition root: everything is built here by hand and stopped in reverse. `startRouter` is also how tests and
 * `tollgate dev` run a router in their own process.
 */

import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import { readCatalog } from '@tollgate/shared/redis/catalog-store';
import { createRedis, RedisGuard, waitUntilReady } from '@tollgate/shared/redis/client';
import { keyDigest } from '@tollgate/shared/redis/digest';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { KeyStore } from '@tollgate/shared/redis/key-store';
import { channels } from '@tollgate/shared/redis/keys';
import { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { RefusalLog } from '@tollgate/shared/redis/refusal-log';
import { Subscriber } from '@tollgate/shared/redis/subscriber';
import { readActingKey } from '@tollgate/shared/runtime/acting-key';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { Exemplars } from '@tollgate/shared/runtime/exemplars';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createRegistry, type MetricsServer, startMetricsServer } from '@tollgate/shared/runtime/metrics';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { logAccess } from './access-log.ts';
import { Answers } from './admission/answers.ts';
import { cachedDigest } from './admission/digest-cache.ts';
import { KEY_DIRECTORY_DEFAULTS, KeyDirectory } from './admission/key-directory.ts';
import { formOf } from './answer-form.ts';
import { startCourier } from './bodies/start.ts';
import { CatalogView } from './catalog.ts';
import { machineName, stopWithinMs } from './config.ts';
import { RequestContext } from './context.ts';
import { loadProfiles } from './contract/load-profiles.ts';
import type { ChatRequest } from './contract/request.ts';
import { discoveryOptions } from './discovery/options.ts';
import { Discovery } from './discovery/sources.ts';
import { ENDPOINT_NAMES } from './endpoints/endpoint.ts';
import { ENDPOINTS } from './endpoints/index.ts';
import { Fleet } from './fleet/fleet.ts';
import { ReplicaLink } from './fleet/replica-link.ts';
import { groundRequest } from './grounding/ground.ts';
import { groundParts } from './grounding/parts.ts';
import { answerHeaders } from './http/headers.ts';
import { hostParts, serviceUrls } from './http/host-parts.ts';
import { createRoutes } from './http/routes.ts';
import { createHttpServer, listen } from './http/server.ts';
import { routerIdentity } from './identity.ts';
import { keyView } from './key-view.ts';
import { RouterMetrics } from './metrics.ts';
import { modelTerms, relayLimits } from './model-rules.ts';
import { PASS_THROUGH } from './passthrough/pass-through.ts';
import { WaitingRoom } from './queue/waiting-room.ts';
import { pooledBytes } from './random-pool.ts';
import { receiptKeys } from './receipt-keys.ts';
import { RefusalBook } from './refusal-book.ts';
import { Watch } from './relay/watch.ts';
import { startRepeats } from './repeats/start.ts';
import { RunningRequest } from './running-request.ts';
import type { RouterOptions, RunningRouter } from './running-router.ts';
import { GrammarCompilerPool } from './schema-gate/compiler.ts';
import { SchemaGate } from './schema-gate/gate.ts';
import { Heartbeats } from './settlement/heartbeats.ts';
import { Settlement } from './settlement/settle.ts';
import { Voids } from './settlement/voids.ts';
import { closePort, leaveKindly, Running } from './shutdown.ts';
import { lockFolder } from './spool/dir-lock.ts';
import { decodeSpooled, ingestInto } from './spool/records.ts';
import { Spool } from './spool/spool.ts';
import { startTracing } from './tracing/tracing.ts';
import { cacheSalts } from './upstream/cache-salt.ts';
import { countPromptTokens } from './upstream/count-prompt.ts';
import { Poison } from './upstream/poison.ts';
import { Pools } from './upstream/pools.ts';
import { RETRY_BUDGET_DEFAULTS, RetryBudget } from './upstream/retry-budget.ts';

export type { RouterOptions, RunningRouter } from './running-router.ts';

const SEGMENT_BYTES = 4 * 1024 * 1024;
const FSYNC_MS = 100;
const FIRST_BEAT_MS = 100;
const WATCH_MS = 100;
const POLL_FLEET_MS = 1_000;
/** A router without its workers may serve other paths: it does not wait for a dead one, or a silent API server, for longer. */
const LOOK_MS = 10_000;
const CREDIT_POLL_MS = 100;
const TOKENIZE_TIMEOUT_MS = 2_000;
const GENERATIONS = new Set<string>([...ENDPOINT_NAMES, PASS_THROUGH]);
/** What workers are asked about when they join. */
const PROBED_PATHS = Object.values(ENDPOINTS).map(({ workerPath }) => workerPath);
const BATCH_PATIENCE_MS = 60_000;
const MAX_HOLD_MS = 5_000;
const WARM_COMPILER_AFTER_MS = 1_000;

export async function startRouter(options: RouterOptions): Promise<RunningRouter> {
  const { config, logger } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const lifecycle = options.lifecycle ?? createLifecycle({ logger, graceMs: stopWithinMs(config) });
  const registry = createRegistry('router', options.version ?? '0.0.0');
  const exemplars = new Exemplars();
  const metrics = new RouterMetrics(registry, exemplars, () => clock.nowMs());

  const profiles = loadProfiles({
    docsBase: config.TOLLGATE_ERROR_DOCS_URL,
    ...(config.TOLLGATE_CONTRACTS_DIR && { folder: config.TOLLGATE_CONTRACTS_DIR }),
    ...(config.TOLLGATE_CONTRACTS.length > 0 && { names: config.TOLLGATE_CONTRACTS }),
  });

  // Disk first: a router that cannot keep records must not open a port.
  const unlock = lockFolder(config.TOLLGATE_SPOOL_DIR);
  lifecycle.defer('spool lock', unlock);
  const routerId = routerIdentity(config.TOLLGATE_ROUTER_ID, config.TOLLGATE_SPOOL_DIR, machineName(), random);

  // Redis: commands with a deadline and a breaker, pushes on a connection of their own.
  let redisSeen = false;
  let hasLooked = false;
  const onError = (error: Error) => logger.debug({ err: error }, 'redis connection');
  const redis = createRedis({ url: config.REDIS_URL, name: `router:${routerId}`, onError });
  lifecycle.defer('redis', () => redis.disconnect());
  const { guard } = new RedisGuard({ clock, deadlineMs: config.TOLLGATE_REDIS_DEADLINE_MS });
  const money = new MoneyScripts(redis, config.TOLLGATE_BUCKETS, { guard });
  const keys = new KeyStore(redis, guard);
  const fleetStore = new FleetStore(redis, guard);
  const catalog = new CatalogView(() => readCatalog(redis, guard), clock, logger);
  const answers = new Answers(clock);
  const directory = new KeyDirectory(
    KEY_DIRECTORY_DEFAULTS,
    (digest) => keys.read(digest),
    () => subscriber.up,
    clock,
  );
  const subscriber: Subscriber = new Subscriber({
    url: config.REDIS_URL,
    name: `router-push:${routerId}`,
    clock,
    handlers: {
      [channels.keyChanged]: (digest) => directory.invalidate(digest),
      [channels.catalogChanged]: () => void catalog.refresh(),
      [channels.fleetChanged]: () => {
        void readDraining();
        void discovery.hinted();
      },
      [channels.routers]: (text) => replicas?.received(text),
      [channels.answer]: (accountId) => answers.arrived(accountId),
    },
    // Pushes were lost while it was down: what they named is unknown, so nothing is kept.
    onState: (up) => {
      if (up) directory.clear();
      if (up) void catalog.refresh();
      replicas?.setUp(up);
    },
    onError,
  });
  lifecycle.defer('redis pushes', () => subscriber.close());

  // Money on its way out.
  const spool = new Spool(
    {
      dir: config.TOLLGATE_SPOOL_DIR,
      routerId,
      segmentBytes: SEGMENT_BYTES,
      maxBytes: config.TOLLGATE_SPOOL_MAX_BYTES,
      fsyncEveryMs: FSYNC_MS,
      confirmEveryMs: config.TOLLGATE_CONFIRM_MS,
      resendAfterMs: Math.max(10_000, config.TOLLGATE_CONFIRM_MS * 5),
    },
    decodeSpooled,
    money,
    clock,
    logger,
    metrics,
  );
  lifecycle.defer('spool', () => spool.close());
  const voids = new Voids(money, clock, logger);
  lifecycle.defer('voids', () => voids.close());
  const heartbeats = new Heartbeats(
    {
      everyMs: config.TOLLGATE_HEARTBEAT_MS,
      firstWithinMs: FIRST_BEAT_MS,
      giveUpAfterMs: config.TOLLGATE_HOLD_LOST_MS,
    },
    money,
    clock,
    logger,
  );
  lifecycle.defer('heartbeats', () => heartbeats.stop());

  // Workers.
  const pools = new Pools(
    { connectTimeoutMs: config.TOLLGATE_CONNECT_TIMEOUT_MS, maxConnections: config.TOLLGATE_WORKER_CONCURRENCY },
    clock,
  );
  lifecycle.defer('worker connections', () => pools.close());
  const fleet = new Fleet(
    {
      maxConcurrency: config.TOLLGATE_WORKER_CONCURRENCY,
      policy: config.TOLLGATE_ROUTING_POLICY,
      probeEveryMs: config.TOLLGATE_PROBE_MS,
      probeTimeoutMs: Math.max(2_000, config.TOLLGATE_PROBE_MS),
      promisedContext: (model) => catalog.get(model)?.maxModelLen ?? null,
      paths: PROBED_PATHS,
    },
    pools,
    clock,
    random,
    logger,
    metrics,
  );
  lifecycle.defer('fleet', () => fleet.stop());
  const discovery: Discovery = new Discovery(
    discoveryOptions(config, POLL_FLEET_MS),
    fleetStore,
    clock,
    random,
    logger,
    metrics,
  );
  lifecycle.defer('discovery', () => discovery.stop());
  const replicas = config.TOLLGATE_SHARE_BOOKS
    ? new ReplicaLink(
        { replica: `${routerId}:${random.uuid().slice(0, 8)}`, flushMs: config.TOLLGATE_SHARE_BOOKS_MS },
        (text) => redis.publish(channels.routers, text),
        fleet.others,
        clock,
        logger,
        metrics,
      )
    : null;
  if (replicas !== null) fleet.shareWith(replicas);
  lifecycle.defer('shared books', () => replicas?.stop());
  const room = new WaitingRoom(
    {
      maxDepth: config.TOLLGATE_QUEUE_DEPTH,
      maxDepthPerAccount: config.TOLLGATE_QUEUE_DEPTH_PER_ACCOUNT,
      batchPatienceMs: BATCH_PATIENCE_MS,
      maxHoldMs: MAX_HOLD_MS,
    },
    fleet,
    clock,
    metrics,
  );
  fleet.onRoom = () => room.wake();
  const watch = new Watch(clock);
  watch.add(room);
  lifecycle.defer('watch', () => watch.stop());

  const readDraining = async (): Promise<void> => {
    try {
      fleet.setDraining(await fleetStore.draining());
    } catch {
      // Redis is away: the last known drains stay.
    }
  };
  const shareFleet = async (): Promise<void> => {
    await readDraining();
    try {
      await fleetStore.publishView(routerId, { atMs: clock.nowMs(), workers: fleet.snapshots() });
    } catch {
      // The console shows an old view meanwhile, with its age.
    }
  };

  const compiler = new GrammarCompilerPool();
  lifecycle.defer('schema compiler', () => compiler.close());
  // Soon, but not at once: what serves from the first moment comes first.
  const warming = clock.setTimeout(() => void compiler.warmUp(), WARM_COMPILER_AFTER_MS).unref();
  lifecycle.defer('schema compiler warm-up', () => warming.cancel());
  const gate = new SchemaGate({ compiler });

  const tracing = await startTracing(config, options.version ?? '0.0.0');
  if (tracing !== null) lifecycle.defer('traces', () => tracing.close());
  const bodies = startCourier(config, { pools, clock, random, logger, metrics });
  lifecycle.defer('kept bodies', () => bodies?.flush());
  const repeats = startRepeats(config, { redis, guard, random, clock, routerId });

  // Requests.
  const requestBytes = pooledBytes(random);
  const running = new Running(clock);
  const refusals = new RefusalBook(new RefusalLog(redis, guard), clock, routerId);
  lifecycle.defer('refusals', () => refusals.flush());
  const terms = modelTerms(
    {
      limits: relayLimits(config),
      maxQueueMs: config.TOLLGATE_QUEUE_MAX_MS,
      scaleFromZero: false,
    },
    config.TOLLGATE_MODEL_RULES,
  );
  let draining = false;
  const countPrompt = (ctx: RequestContext) => countPromptTokens(ctx, pools, TOKENIZE_TIMEOUT_MS);
  const settlement = new Settlement({ spool, voids, clock, logger, metrics, countPrompt });
  const cacheSalt = cacheSalts(config.TOLLGATE_KEY_PEPPER);
  const readiness = () => {
    const reasons: string[] = [];
    if (!redisSeen) reasons.push('Redis was not seen yet');
    if (!catalog.isLoaded) reasons.push('no catalogue was published yet');
    if (!hasLooked) reasons.push('workers are still being looked for');
    if (draining) reasons.push('shutting down');
    if (!spool.isWritable) reasons.push('the spool takes no records');
    return { ready: reasons.length === 0, reasons };
  };
  const logRequest = (ctx: RequestContext, durationMs: number): void => {
    if (config.TOLLGATE_ACCESS_LOG === 'off') return;
    if (config.TOLLGATE_ACCESS_LOG === 'all' || ctx.status >= 500) logAccess(logger, ctx, durationMs);
  };
  const services = serviceUrls(config);
  const grounding = groundParts(config, services.get('retrieval'), clock);
  const app = createRoutes({
    profiles,
    hosts: config.TOLLGATE_CONTRACT_HOSTS,
    bodyLimitBytes: config.TOLLGATE_BODY_LIMIT_BYTES,
    open(profile, endpoint, clientRequestId) {
      const requestId = newId('req', requestBytes);
      const ctx = new RequestContext(requestId, endpoint, profile, clock.monotonicMs(), clientRequestId);
      if (GENERATIONS.has(endpoint)) {
        running.enter();
        metrics.opened();
      }
      return ctx;
    },
    closeSmall: (ctx) => logRequest(ctx, clock.monotonicMs() - ctx.startedMs),
    models: () => catalog.models,
    keyView: async (record) => {
      try {
        return await keyView(record, money);
      } catch (cause) {
        throw new AppError('store_unavailable', { cause, retryAfterMs: 1_000 });
      }
    },
    ...hostParts(config, services, { money, fleet, cacheSalt }),
    receiptKeys: receiptKeys(config.TOLLGATE_CONSOLE_URL, clock),
    ready: readiness,
    pipeline: {
      auth: {
        directory,
        digest: cachedDigest((text) => keyDigest(text, config.TOLLGATE_KEY_PEPPER)),
        nowMs: () => clock.nowMs(),
        trustedProxies: config.TOLLGATE_ROUTER_TRUSTED_PROXIES,
        // Without a token nobody can vouch for anybody.
        acting: (text) =>
          grounding.serviceToken === '' ? null : readActingKey(text, grounding.serviceToken, clock.nowMs()),
      },
      ground: (ctx) => groundRequest(ctx.request as ChatRequest, ctx.key!, grounding),
      checkOpen() {
        if (running.closed) throw new AppError('shutting_down', { retryAfterMs: 1_000 });
        if (!spool.isWritable)
          throw new AppError('metering_behind', { retryAfterMs: 5_000, internal: 'spool not writable' });
      },
      catalogModel: (id) => catalog.get(id),
      catalogModels: () => catalog.models,
      canServe: (model, endpoint) => fleet.canServe(model, endpoint) || terms(model).scaleFromZero,
      lacks: (model, endpoint) => fleet.lacks(model, endpoint),
      form: (ctx, request) => formOf(ctx, request, gate, fleet.dialectFor(request.model)),
      repeats,
      bodies,
      tracing,
      admit: {
        money,
        answers,
        voids,
        clock,
        routerId,
        outboxBound: config.TOLLGATE_OUTBOX_BOUND,
        waitMs: config.TOLLGATE_CREDIT_WAIT_MS,
        pollMs: CREDIT_POLL_MS,
      },
      settlement,
      deliver: {
        fleet,
        room,
        retries: new RetryBudget(RETRY_BUDGET_DEFAULTS, () => clock.monotonicMs()),
        poison: new Poison(() => clock.monotonicMs()),
        pools,
        clock,
        watch,
        metrics,
        cacheSalt,
        countPrompt,
        headers: answerHeaders,
        settle: (ctx) => settlement.settle(ctx),
        terms,
        begun(ctx, stop) {
          ctx.running = new RunningRequest(ctx, stop, running, heartbeats);
          metrics.reserved(ctx.admission!.intent.heldNusd);
        },
      },
      closed(ctx) {
        if (ctx.running !== null) metrics.reserved(-ctx.admission!.intent.heldNusd);
        ctx.running?.end();
        running.leave();
        const durationMs = clock.monotonicMs() - ctx.startedMs;
        metrics.closed(ctx, durationMs);
        refusals.note(ctx, durationMs);
        logRequest(ctx, durationMs);
      },
    },
  });

  // Start, in order.
  spool.start();
  voids.start();
  heartbeats.start();
  watch.start(WATCH_MS);
  const redisCame = waitUntilReady(redis, lifecycle.signal).then(
    async () => {
      redisSeen = true;
      // Before it is ready a router knows who is drained.
      await readDraining();
      await discovery.hinted();
      await catalog.start();
      await shareFleet();
    },
    () => {},
  );
  lifecycle.defer('catalogue', () => catalog.stop());
  const sharing = clock.setInterval(() => void shareFleet(), POLL_FLEET_MS).unref();
  lifecycle.defer('fleet view', async () => {
    sharing.cancel();
    await fleetStore.removeView(routerId).catch(() => {});
  });
  replicas?.start();
  // Not awaited: an API server that does not answer must not keep a router from starting.
  const discovered = discovery.start((workers) => fleet.setWorkers(workers));
  await fleet.start();
  // Balancers send requests to whoever is ready: before that it has examined those that are there, within reason.
  void redisCame.then(async () => {
    const looked = discovered.then(() => fleet.examined());
    await Promise.race([looked, clock.sleep(LOOK_MS, lifecycle.signal).catch(() => {})]);
    hasLooked = true;
  });

  let metricsServer: MetricsServer | null = null;
  if (config.TOLLGATE_ROUTER_METRICS_LISTEN) {
    metricsServer = await startMetricsServer(config.TOLLGATE_ROUTER_METRICS_LISTEN, registry, {
      ready: () => readiness().ready,
      // Without traces there is nothing to lead to.
      exemplars: tracing === null ? undefined : exemplars,
    });
    lifecycle.defer('metrics', () => metricsServer?.close());
  }
  const server = createHttpServer(app, { profile: profiles[0]!, requestId: () => newId('req', requestBytes) });
  leaveKindly(server, () => draining);
  const url = await listen(server, config.TOLLGATE_ROUTER_LISTEN);
  lifecycle.defer('requests', async () => {
    draining = true;
    await clock.sleep(config.TOLLGATE_DRAIN_DELAY_MS);
    const stopMs = config.TOLLGATE_STOP_GRACE_MS;
    await closePort(server, clock, stopMs * 0.05);
    running.closed = true;
    server.closeIdleConnections();
    const cut = await running.finish(stopMs * 0.6, Math.min(2_000, stopMs * 0.1));
    if (cut > 0) logger.warn({ requests: cut }, 'requests were ended at the deadline');
    const left = await spool.drain(
      stopMs * 0.25,
      ingestInto(config.TOLLGATE_METERING_URL, config.TOLLGATE_SERVICE_TOKEN, pools, stopMs * 0.05),
    );
    if (left > 0) logger.error({ records: left }, 'records are left in the spool');
    server.closeAllConnections();
  });
  logger.info(
    { url, metricsUrl: metricsServer?.url, routerId, workers: config.TOLLGATE_WORKERS.length },
    'router listens',
  );

  return {
    url,
    metricsUrl: metricsServer?.url ?? null,
    routerId,
    lifecycle,
    stop: () => lifecycle.stop('asked'),
    readiness,
    hitErrorPoints: () => fleet.hitErrorPoints,
    others: () => replicas?.peers ?? { routers: 0, inFlight: 0 },
    counters: () => ({
      running: running.size,
      queued: room.size,
      heldBeats: heartbeats.live,
      unconfirmed: spool.unconfirmed,
      pendingVoids: voids.size,
      workers: fleet.snapshots().map((worker) => worker.running + worker.waiting + worker.pendingPrefillTokens),
    }),
  };
}
