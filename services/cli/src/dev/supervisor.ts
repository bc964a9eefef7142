/**
 * `tollgate dev`: everything of the product on one machine, started in order, stopped in reverse.
 * One supervisor per home folder; a second start finds the first and prints what it printed.
 */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { migrateRetrieval, VectorExtensionMissing } from '@tollgate/shared/db/retrieval/migrate';
import type { ListenAddress } from '@tollgate/shared/runtime/config';
import { createLifecycle, type Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger, type Logger } from '@tollgate/shared/runtime/logger';
import type { DevFile, DevState } from '../config.ts';
import { createConsoleClient } from '../console-client.ts';
import { CliError } from '../output.ts';
import { type Child, ChildFailed, type ChildPlan, startChild } from './child.ts';
import { type Home, loadDevFile, loadState, saveDevFile, saveState, writePrivate } from './home.ts';
import { takeLock } from './lock.ts';
import { type Addresses, plans } from './plan.ts';
import { anyFree, claimPort, preferPort, urlOf } from './ports.ts';
import { endProcess, isAlive, type ProcessMark } from './processes.ts';
import { seedKey, seedModels } from './seed.ts';
import type { DevOptions } from './types.ts';

/** All stop steps together; the router alone may take its 20 s of grace. */
const STOP_GRACE_MS = 60_000;
/** PGlite's first start unpacks a whole database. */
const READY_LIMIT_MS = 120_000;
/** A person who waits this long wants to know for what. */
const SLOW_START_MS = 4_000;
const OTHER_START_LIMIT_MS = 180_000;
const LEFTOVER_GRACE_MS = 15_000;
/** Lines of a failed child's log that are shown. */
const LOG_TAIL_LINES = 12;

export type DevResult =
  /** `stopped` resolves after everything was stopped in order. */
  { kind: 'running'; dev: DevFile; lifecycle: Lifecycle; stopped: Promise<void> } | { kind: 'already'; dev: DevFile };

/** Starts everything, or finds it started. `say` gets progress lines. */
export async function startDev(home: Home, options: DevOptions, say: (line: string) => void): Promise<DevResult> {
  const lock = takeLock(home.lock);
  if (!lock.taken) {
    if (options.reset) {
      throw new CliError('running', `a local start runs here (process ${lock.owner.pid}): stop it before --reset`);
    }
    return { kind: 'already', dev: await otherStart(home, lock.owner) };
  }
  const logger = createLogger({ service: 'dev', destination: fileDestination(join(home.logs, 'dev.log')) });
  const lifecycle = createLifecycle({ logger, graceMs: STOP_GRACE_MS });
  lifecycle.defer('lock', lock.release);
  // From the first moment: Ctrl-C during the start stops what was started so far.
  const stopped = lifecycle.run();
  try {
    await clearLeftovers(home, say);
    if (options.reset) options.wipe();
    const dev = await startAll(home, options, lifecycle, logger, say);
    return { kind: 'running', dev, lifecycle, stopped };
  } catch (error) {
    if (lifecycle.stopping) {
      await stopped;
      throw new CliError('interrupted', 'stopped before it was ready');
    }
    await lifecycle.stop('the start failed');
    throw error instanceof ChildFailed ? explain(error, home) : error;
  }
}

async function startAll(
  home: Home,
  options: DevOptions,
  lifecycle: Lifecycle,
  logger: Logger,
  say: (line: string) => void,
): Promise<DevFile> {
  let state = loadState(home);
  const addresses = await chooseAddresses(options, state);
  state = { ...state, ...remembered(addresses) };
  saveState(home, state);
  const input = { home, state, addresses, env: options.env, speed: options.speed };
  const stores = plans({ ...input, retrieval: false });
  const start = starter(home, lifecycle, logger, say);

  const started: Promise<void>[] = [];
  // Stopped in reverse: the stores come first so that they are there until everybody else has finished.
  if (addresses.redis) started.push(start(stores.redis(addresses.redis)));
  if (addresses.database) started.push(start(stores.database(addresses.database)));
  await Promise.all(started);

  const { retrieval } = await applyMigrations(addresses.databaseUrl, say);
  const plan = plans({ ...input, retrieval });
  await start(plan.console());
  const client = createConsoleClient({ consoleUrl: urlOf(addresses.console), adminToken: state.adminToken });
  await seedModels(client);
  await Promise.all([
    start(plan.metering()),
    ...addresses.workers.map((listen, index) => start(plan.worker(index, listen))),
  ]);
  await Promise.all([start(plan.router()), ...(retrieval ? [start(plan.retrieval())] : [])]);

  state = await seedKey(client, state);
  saveState(home, state);
  const dev: DevFile = {
    routerUrl: `${urlOf(addresses.router)}/v1`,
    consoleUrl: urlOf(addresses.console),
    metricsUrl: `${urlOf(addresses.routerMetrics)}/metrics`,
    apiKey: state.apiKey!,
    adminToken: state.adminToken,
    adminEmail: state.adminEmail,
    adminPassword: state.adminPassword,
  };
  saveDevFile(home, dev);
  return dev;
}

/** Starts a child, puts its stop on the lifecycle, and waits until it is ready. */
function starter(home: Home, lifecycle: Lifecycle, logger: Logger, say: (line: string) => void) {
  const marks = new Map<string, ProcessMark>();
  return async (plan: ChildPlan): Promise<void> => {
    lifecycle.signal.throwIfAborted();
    const startMs = performance.now();
    let ready = false;
    const child: Child = startChild(plan, logger, {
      started(name, mark) {
        if (mark) marks.set(name, mark);
        writePrivate(home.processes, JSON.stringify(Object.fromEntries(marks)));
      },
      crashed(name, code, againInMs) {
        if (ready) say(`${name} ended (status ${code ?? 'signal'}), starting it again in ${againInMs} ms`);
      },
    });
    lifecycle.defer(plan.name, () => child.stop());
    const slow = setInterval(() => say(`${plan.name} is still starting`), SLOW_START_MS);
    await child.untilReady(READY_LIMIT_MS).finally(() => clearInterval(slow));
    ready = true;
    say(`${plan.name} is ready (${((performance.now() - startMs) / 1000).toFixed(1)} s)`);
  };
}

/** `retrieval`: the database has pgvector, so that collections can be kept in it. */
async function applyMigrations(url: string, say: (line: string) => void): Promise<{ retrieval: boolean }> {
  const db = openDatabase({ url, poolMax: 1, applicationName: 'tollgate-dev' });
  try {
    const { applied } = await migrate(db);
    if (applied.length > 0) say(`database schema: ${applied.length} migrations applied`);
    await migrateRetrieval(db);
    return { retrieval: true };
  } catch (error) {
    if (error instanceof VectorExtensionMissing) {
      say(`retrieval (files, collections, rag_params) is off: ${error.message}`);
      return { retrieval: false };
    }
    throw new CliError(
      'migration_failed',
      `the database schema cannot be brought up to date: ${(error as Error).message}`,
    );
  } finally {
    await db.destroy();
  }
}

async function chooseAddresses(options: DevOptions, state: DevState): Promise<Addresses> {
  // Ports of an earlier start are kept where they are free: URLs in other windows stay right.
  const inner = async (name: string, usual: number): Promise<ListenAddress> => {
    const last = state.ports[name] ?? (options.anyPort ? await anyFree() : usual);
    return preferPort(last);
  };
  const outer = async (name: string, what: string, wanted: ListenAddress, option: string): Promise<ListenAddress> => {
    if (!options.anyPort) return claimPort(what, wanted, option);
    return { host: wanted.host, port: (await inner(name, wanted.port)).port };
  };
  const redis = options.redisUrl === null ? await inner('redis', 6390) : null;
  const database = options.databaseUrl === null ? await inner('database', 5442) : null;
  const workers: ListenAddress[] = [];
  for (let i = 0; i < options.workers; i++) workers.push(await inner(`worker-${i + 1}`, 8101 + i));
  return {
    router: await outer('router', 'router', options.router, '--router-port'),
    console: await outer('console', 'console', options.console, '--console-port'),
    routerMetrics: options.metrics
      ? await outer('routerMetrics', 'metrics', options.metrics, '--metrics-port')
      : await inner('routerMetrics', 9101),
    meteringMetrics: await inner('meteringMetrics', 9102),
    consoleMetrics: await inner('consoleMetrics', 9103),
    retrieval: await inner('retrieval', 8083),
    retrievalMetrics: await inner('retrievalMetrics', 9104),
    metering: await inner('metering', 8082),
    workers,
    redis,
    database,
    redisUrl: options.redisUrl ?? `redis://127.0.0.1:${redis!.port}`,
    databaseUrl:
      options.databaseUrl ?? `postgres://postgres:postgres@127.0.0.1:${database!.port}/postgres?sslmode=disable`,
  };
}

function remembered(addresses: Addresses): Pick<DevState, 'ports' | 'redisUrl' | 'databaseUrl' | 'meteringUrl'> {
  const ports: Record<string, number> = {
    router: addresses.router.port,
    console: addresses.console.port,
    routerMetrics: addresses.routerMetrics.port,
    meteringMetrics: addresses.meteringMetrics.port,
    consoleMetrics: addresses.consoleMetrics.port,
    metering: addresses.metering.port,
    retrieval: addresses.retrieval.port,
    retrievalMetrics: addresses.retrievalMetrics.port,
  };
  if (addresses.redis) ports.redis = addresses.redis.port;
  if (addresses.database) ports.database = addresses.database.port;
  for (const [i, worker] of addresses.workers.entries()) ports[`worker-${i + 1}`] = worker.port;
  return {
    ports,
    redisUrl: addresses.redisUrl,
    databaseUrl: addresses.databaseUrl,
    meteringUrl: urlOf(addresses.metering),
  };
}

/** Another supervisor owns this home: wait until it is ready and return what it wrote. */
async function otherStart(home: Home, owner: ProcessMark): Promise<DevFile> {
  const endMs = performance.now() + OTHER_START_LIMIT_MS;
  while (isAlive(owner) && performance.now() < endMs) {
    const dev = loadDevFile(home);
    if (dev && (await isReady(dev))) return dev;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new CliError('not_ready', `another start (process ${owner.pid}) did not become ready: see ${home.logs}`);
}

async function isReady(dev: DevFile): Promise<boolean> {
  try {
    return (await fetch(new URL('/readyz', dev.routerUrl), { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

/** Children of a supervisor that was killed stop by themselves; who does not in time is told to. */
async function clearLeftovers(home: Home, say: (line: string) => void): Promise<void> {
  let marks: Record<string, ProcessMark>;
  try {
    marks = JSON.parse(readFileSync(home.processes, 'utf8')) as Record<string, ProcessMark>;
  } catch {
    return;
  }
  // Written in the order of starting; stopped in reverse, like a stop in good order.
  for (const [name, mark] of Object.entries(marks).reverse()) {
    if (!isAlive(mark)) continue;
    say(`${name} of an earlier start still runs (process ${mark.pid}); stopping it`);
    await endProcess(mark, LEFTOVER_GRACE_MS);
  }
}

/** The end of a child's log tells more than we can. */
function explain(failure: ChildFailed, home: Home): CliError {
  const path = join(home.logs, `${failure.child}.log`);
  let tail = '';
  try {
    tail = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n  ');
  } catch {
    // A child that never started has no log.
  }
  return new CliError('start_failed', `${failure.message}; the end of ${path}:\n  ${tail}`);
}

function fileDestination(path: string) {
  const descriptor = openSync(path, 'a', 0o600);
  return { write: (line: string) => void writeSync(descriptor, line) };
}
