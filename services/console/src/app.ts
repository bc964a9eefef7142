/** Composition root of the console: build everything, start it, stop it in reverse. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AuditStore } from '@tollgate/shared/db/audit-store';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { pendingMigrations } from '@tollgate/shared/db/migrate';
import { createRedis, type RedisClient, RedisGuard, waitUntilReady } from '@tollgate/shared/redis/client';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { type Clock, systemClock } from '@tollgate/shared/runtime/clock';
import type { ListenAddress } from '@tollgate/shared/runtime/config';
import type { Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { createRegistry, startMetricsServer } from '@tollgate/shared/runtime/metrics';
import { type Random, systemRandom } from '@tollgate/shared/runtime/random';
import { adminToken } from './auth/admin-token.ts';
import { accessTokens } from './auth/pat.ts';
import { type FileSettings, startFiles } from './files/start.ts';
import { dashboardFiles } from './http/dashboard-files.ts';
import { fileRoutes } from './http/files.ts';
import { openRoutes } from './http/open-routes.ts';
import { openApiDocument } from './http/openapi.ts';
import { ownUsageRoutes } from './http/own-usage.ts';
import { keySetRoute } from './http/receipts.ts';
import { createServerApp } from './http/server.ts';
import { OwnUsage } from './internal/own-usage.ts';
import { Projector } from './projector/projector.ts';
import { allRoutes } from './routes.ts';
import { buildServices, type PeopleSettings, type Services } from './services.ts';
import { openStripe } from './topup/stripe.ts';

/** Redis is not on this service's hot path: its commands may wait this long. */
const REDIS_DEADLINE_MS = 2_000;
const REDIS_CONNECT_MS = 5_000;
const PROJECTOR_TICK_MS = 1_000;
const FORGET_TICK_MS = 600_000;
const RECHARGE_TICK_MS = 10_000;
export const VERSION = '0.1.0';

export interface ConsoleOptions {
  listen: ListenAddress;
  metricsListen?: ListenAddress | undefined;
  databaseUrl: string;
  redisUrl: string;
  keyPepper: string;
  adminToken: string;
  bucketCount: number;
  allowedHosts?: readonly string[];
  allowedOrigins?: readonly string[];
  allowGrammarsDefault?: boolean;
  /** 1 is right for PGlite; a Postgres server takes more. */
  poolMax?: number;
  /** What other services of the installation show; absent: none of them is answered. */
  serviceToken?: string | undefined;
  /** Absent: no files can be uploaded. */
  files?: FileSettings | undefined;
  /** Sign-in, sign-up, top-up, webhooks. */
  people?: PeopleSettings;
  /** The first operator, made when missing. */
  operator?: { email: string; password: string } | undefined;
  /** The dashboard's build; nothing is served from a folder without an index.html. */
  dashboardFolder?: string | undefined;
  /** How many proxies in front of this console may name the client's address. */
  trustedProxies?: number;
  /** How often accounts below their threshold are looked for. */
  rechargeEveryMs?: number;
  lifecycle: Lifecycle;
  logger: Logger;
  clock?: Clock;
  random?: Random;
  /** Tests: every answer is parsed with its own schema. */
  checkResponses?: boolean;
}

export interface Console {
  url: string;
  port: number;
  metricsUrl: string | null;
}

/**
 * Starts the console; everything it opens is closed by `lifecycle`. The database must be migrated.
 * @throws {MetaMismatch} when the bucket count is not the one that the database was set up with.
 */
export async function startConsole(options: ConsoleOptions): Promise<Console> {
  const { lifecycle, logger, clock = systemClock, random = systemRandom } = options;
  const db = openDatabase({
    url: options.databaseUrl,
    poolMax: options.poolMax ?? 4,
    applicationName: 'tollgate-console',
    onError: (error) => logger.warn({ err: error }, 'database connection lost'),
  });
  lifecycle.defer('database', () => db.destroy());
  await new MetaStore(db).agreeOnBucketCount(options.bucketCount);

  const redis = createRedis({
    url: options.redisUrl,
    name: 'tollgate-console',
    onError: (error) => logger.debug({ err: error }, 'redis connection'),
  });
  lifecycle.defer('redis', () => redis.disconnect());
  const { guard } = new RedisGuard({ clock, deadlineMs: REDIS_DEADLINE_MS });
  const directory = new ConsoleDirectory(redis, guard);
  const money = new MoneyScripts(scriptClient(redis), options.bucketCount, { guard, random });

  const projector = new Projector({ db, directory, clock, random, logger });
  let ownUrl = '';
  const { files: fileSettings } = options;
  const files = fileSettings && startFiles(fileSettings, { db, lifecycle, logger, clock, random });
  const services = buildServices({
    ...{ db, redis, guard, directory, money, projector, clock, random, logger, version: VERSION },
    pepper: options.keyPepper,
    allowGrammarsDefault: options.allowGrammarsDefault ?? false,
    settings: options.people ?? {},
    stripe: options.people?.stripe ? await openStripe(options.people.stripe) : null,
    files,
    retrieval: files?.retrieval ?? null,
    ownUrl: () => ownUrl,
  });
  const routes = allRoutes(services);
  const unready = () => whyUnready(lifecycle, projector, db);
  const app = createServerApp({
    routes,
    openRoutes: openRoutes({
      openApi: openApiDocument(routes, VERSION),
      unready,
      services: [
        keySetRoute(services.receipts),
        ...(files ? [fileRoutes(files, fileSettings!.serviceToken)] : []),
        ...(options.serviceToken
          ? [ownUsageRoutes(new OwnUsage(db, clock, services.bodies), options.serviceToken)]
          : []),
      ],
    }),
    dashboard: options.dashboardFolder === undefined ? null : dashboardFiles(options.dashboardFolder),
    authenticators: [
      adminToken(options.adminToken),
      accessTokens({ db, pepper: options.keyPepper, clock }),
      services.sessions.authenticator(),
    ],
    access: services.access,
    audit: (entry) => AuditStore.append(db, [entry]),
    trustedProxies: options.trustedProxies ?? 0,
    origin: { allowedHosts: options.allowedHosts ?? [], allowedOrigins: options.allowedOrigins ?? [] },
    logger,
    clock,
    random,
    checkResponses: options.checkResponses ?? false,
  });

  // Redis away at the start is no reason not to start: the projector publishes as soon as it is there.
  await waitUntilReady(redis, AbortSignal.timeout(REDIS_CONNECT_MS)).catch(() =>
    logger.warn('redis is not reachable yet'),
  );
  await projector.tick();
  await greet(services, options);
  startTicks(projector, services, lifecycle, clock, logger, options.rechargeEveryMs ?? RECHARGE_TICK_MS);

  const metricsUrl = await startMetrics(options, unready);
  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.host, resolve);
  });
  lifecycle.defer('http', () => closeServer(server));
  const { port } = server.address() as AddressInfo;
  const host = options.listen.host.includes(':') ? `[${options.listen.host}]` : options.listen.host;
  const url = `http://${host}:${port}`;
  ownUrl = url;
  logger.info({ url }, 'console listens');
  return { url, port, metricsUrl };
}

/** Of the union of ioredis's two classes TypeScript cannot call overloaded commands; either has what scripts need. */
const scriptClient = (redis: RedisClient) => redis as MoneyClient & RedisClient;

/** The operator that the configuration names, or a one-time token for whoever reads this log first. */
async function greet({ signIn }: Services, { operator, people, logger }: ConsoleOptions): Promise<void> {
  if (operator) {
    await signIn.ensureOperator(operator.email.toLowerCase(), operator.password, 'Administration');
    return;
  }
  const token = await signIn.claimToken();
  // The one secret that is logged, on purpose: it works once, only while there is no operator.
  if (token === null) return;
  const page = `${people?.publicUrl ?? ''}/claim`;
  logger.warn({ claimToken: token }, `nobody runs this console yet: open ${page} and give it this token`);
}

/** Ready = not stopping, everything published once, and the database answers with the tables of this version. */
async function whyUnready(lifecycle: Lifecycle, projector: Projector, db: Db): Promise<string | null> {
  if (lifecycle.stopping) return 'stopping';
  if (!projector.complete) return 'keys are not published yet';
  try {
    return (await pendingMigrations(db)).length > 0 ? 'migrations are pending' : null;
  } catch {
    return 'the database does not answer';
  }
}

/** One tick after the other: a slow publication is never overtaken by the next. */
function startTicks(
  projector: Projector,
  services: Services,
  lifecycle: Lifecycle,
  clock: Clock,
  logger: Logger,
  rechargeEveryMs: number,
): void {
  let ticking: Promise<void> | null = null;
  const publish = clock.setInterval(() => {
    ticking ??= projector.tick().finally(() => {
      ticking = null;
    });
  }, PROJECTOR_TICK_MS);
  const forget = clock.setInterval(() => {
    Promise.all([
      services.keys.forgetOldOperations(),
      services.sessions.forgetOld(),
      services.resets.forgetOld(),
    ]).catch((error: unknown) => logger.warn({ err: error }, 'old rows stay for now'));
  }, FORGET_TICK_MS);
  let charging: Promise<void> | null = null;
  const recharge = clock.setInterval(() => {
    charging ??= services.topup
      .rechargeRound()
      .catch((error: unknown) => logger.warn({ err: error }, 'automatic top-ups wait'))
      .finally(() => {
        charging = null;
      });
  }, rechargeEveryMs);
  lifecycle.defer('ticks', async () => {
    publish.cancel();
    forget.cancel();
    recharge.cancel();
    await ticking;
    await charging;
  });
}

async function startMetrics(options: ConsoleOptions, unready: () => Promise<string | null>): Promise<string | null> {
  if (!options.metricsListen) return null;
  const registry = createRegistry('console', VERSION);
  const metrics = await startMetricsServer(options.metricsListen, registry, {
    ready: async () => (await unready()) === null,
  });
  options.lifecycle.defer('metrics', () => metrics.close());
  return metrics.url;
}

/** Stops accepting, lets running requests finish, closes idle connections at once. */
function closeServer(server: ReturnType<typeof createServer>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
