/** A whole installation: routers, metering and workers as processes on addresses of their own, nginx in front. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { BUCKETS, MODEL } from '../chaos/metering-harness.ts';
import { type RouterWorld, startRouterWorld } from '../chaos/router-world.ts';
import { startWorkerProcess, type WorkerProcess } from '../chaos/worker-kit.ts';
import { type Nginx, startNginx } from './nginx-kit.ts';

const SERVICE_TOKEN = 'service-token-of-this-test-only';
const long = { deadlineMs: 60_000, everyMs: 50 };

/** One process that is started, stopped and started again at the same address. */
export interface Part {
  readonly address: string;
  readonly url: string;
  start(): Promise<void>;
  /** SIGTERM; its exit code. */
  stop(): Promise<number | null>;
  kill(): void;
}

export interface Installation {
  world: RouterWorld;
  nginx: Nginx;
  routers: Part[];
  meterings: Part[];
  workers: WorkerProcess[];
  /** What an operator does, with each part in turn. */
  rollRouter(index: number): Promise<void>;
  rollMetering(index: number): Promise<void>;
  rollWorker(index: number): Promise<void>;
  stop(): Promise<void>;
}

/** Loopback addresses, a block per kind of part. */
const NGINX = '127.0.80.1';
const routerHost = (i: number) => `127.0.81.${i + 1}`;
const meteringHost = (i: number) => `127.0.82.${i + 1}`;
const workerHost = (i: number) => `127.0.83.${i + 1}`;

export async function startInstallation(): Promise<Installation> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-installation-'));
  const world = await startRouterWorld(5);
  const workers = await Promise.all(
    [0, 1, 2, 3].map((i) => startWorkerProcess(['--speed', '4', '--model', MODEL], workerHost(i))),
  );
  const meterings = await Promise.all([0, 1].map((i) => meteringPart(world, meteringHost(i))));
  const routers = await Promise.all(
    [0, 1].map((i) =>
      routerPart(world, routerHost(i), {
        TOLLGATE_ROUTER_ID: `router-${i}`,
        TOLLGATE_WORKERS: workers.map(({ url }) => url).join(','),
        TOLLGATE_SPOOL_DIR: join(folder, `spool-${i}`),
        TOLLGATE_METERING_URL: meterings[i]!.url,
        TOLLGATE_SERVICE_TOKEN: SERVICE_TOKEN,
      }),
    ),
  );
  let nginx: Nginx | undefined;
  const end = async () => {
    await nginx?.stop();
    for (const part of [...routers, ...meterings]) part.kill();
    for (const worker of workers) await worker.kill();
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([...meterings, ...routers].map((part) => part.start()));
    nginx = await startNginx(
      NGINX,
      routers.map(({ address }) => address),
    );
  } catch (error) {
    await end();
    throw error;
  }
  const front = nginx;
  const directory = new ConsoleDirectory(world.redis.client);
  const route = (down: number | null) => front.route(routers.map(({ address }, i) => ({ address, down: i === down })));
  const endWell = async (part: Part) => {
    const code = await part.stop();
    if (code !== 0) throw new Error(`${part.address} ended with ${code}`);
  };
  return {
    world,
    nginx: front,
    routers,
    meterings,
    workers,
    async rollRouter(index) {
      await route(index);
      await endWell(routers[index]!);
      await routers[index]!.start();
      await route(null);
    },
    async rollMetering(index) {
      await endWell(meterings[index]!);
      await meterings[index]!.start();
    },
    async rollWorker(index) {
      const worker = workers[index]!;
      await directory.publishDraining([worker.url]);
      await eventually(
        'the routers know, and it runs nothing',
        async () => {
          const { engine } = await worker.state();
          return engine.running === 0 && engine.waiting === 0;
        },
        long,
      );
      await worker.stop();
      await worker.restart();
      await directory.publishDraining([]);
    },
    stop: end,
  };
}

async function routerPart(world: RouterWorld, host: string, more: Record<string, string>): Promise<Part> {
  const address = `${host}:${await freePort()}`;
  return part('router-child.ts', address, {
    ...world.env(),
    TOLLGATE_ROUTER_LISTEN: address,
    TOLLGATE_DRAIN_DELAY_MS: '500',
    TOLLGATE_STOP_GRACE_MS: '30000',
    ...more,
  });
}

async function meteringPart(world: RouterWorld, host: string): Promise<Part> {
  const address = `${host}:${await freePort()}`;
  return part('metering-child.ts', address, {
    DATABASE_URL: world.databaseUrl,
    REDIS_URL: world.redis.url,
    TOLLGATE_METERING_LISTEN: address,
    TOLLGATE_METERING_METRICS_LISTEN: `${host}:0`,
    TOLLGATE_SERVICE_TOKEN: SERVICE_TOKEN,
    TOLLGATE_BUCKETS: String(BUCKETS),
    TOLLGATE_METERING_DRAIN_MS: '20',
    TOLLGATE_METERING_NEED_SWEEP_MS: '100',
    TOLLGATE_METERING_LEASE_SWEEP_MS: '200',
    TOLLGATE_METERING_RECLAIM_ON_STOP: 'off',
    TOLLGATE_METERING_SKEW_MS: '0',
    TOLLGATE_METERING_GRACE_MS: '0',
  });
}

/** A service's process from test/chaos, by the word that it says when it is ready. */
function part(script: string, address: string, env: Record<string, string>): Part {
  const path = fileURLToPath(new URL(`../chaos/${script}`, import.meta.url));
  const url = `http://${address}`;
  let child: ChildProcess | null = null;
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null;
  return {
    address,
    url,
    async start() {
      const started = spawn(process.execPath, ['--conditions=tollgate-source', path], {
        env: childEnvironment({ NODE_OPTIONS: undefined, LOG_LEVEL: 'error', ...env }),
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      child = started;
      const ended = once(started, 'exit').then(() => {
        throw new Error(`${script} at ${address} ended at once`);
      });
      await Promise.race([once(started, 'message'), ended]);
      ended.catch(() => {});
      await eventually(`${address} is ready`, async () => (await fetch(`${url}/readyz`)).ok, long);
    },
    async stop() {
      if (!isRunning()) return child?.exitCode ?? null;
      const gone = once(child!, 'exit');
      child!.kill('SIGTERM');
      const [code] = (await gone) as [number | null];
      return code;
    },
    kill: () => {
      if (isRunning()) child!.kill('SIGKILL');
    },
  };
}
