/** Tollgate's router as a subject: built code, a real Redis with an append-only file, the bench's drain behind it. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { Helper } from './ipc.ts';
import { processTree } from './procfs.ts';
import { bucketsOf, PEPPER, type SeededKey, seedRedis } from './stores.ts';
import { endServer, runServer, type Subject } from './subjects.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ACCOUNTS = 64;

export interface TollgateSubject extends Subject {
  redis: TestRedis;
  /** What the router printed. */
  logFile: string;
  seeded: readonly SeededKey[];
  /** Base URLs of all replicas; the first is the one that is measured. */
  urls: readonly string[];
  metricsUrl: string;
  drained(): Promise<number>;
}

export interface TollgateOptions {
  upstreamPorts: readonly number[];
  /** More arguments for node, e.g. `--cpu-prof`. */
  nodeArgs?: readonly string[];
  /** Run the sources instead of the build. */
  fromSource?: boolean;
  /** Another built copy of Tollgate, to compare a change with what was before it. */
  root?: string;
}

/** What node is started with in the router's image. */
function imageFlags(root: string): string[] {
  const [, command] = /^CMD (\[.*\])$/m.exec(readFileSync(join(root, 'infra/docker/router.Dockerfile'), 'utf8'))!;
  return (JSON.parse(command!) as string[]).slice(1, -1);
}

/** Starts Redis, seeds it, starts one router. */
export async function startTollgate({
  upstreamPorts,
  nodeArgs = [],
  fromSource = false,
  root = ROOT,
}: TollgateOptions): Promise<TollgateSubject> {
  const main = fromSource ? 'services/router/src/main.ts' : 'services/router/dist/main.js';
  if (!existsSync(join(root, main))) throw new Error(`${join(root, main)} is missing: build first (npm run build)`);
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] });
  const seeded = await seedRedis(redis.url, ACCOUNTS);
  const drainer = await Helper.start('./drainer.ts');
  await drainer.ask('start', { url: redis.url, buckets: bucketsOf(seeded), everyMs: 200 });
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'));
  const logFile = join(folder, 'router.log');
  const [port, metricsPort] = [await freePort(), await freePort()];
  const conditions = fromSource ? ['--conditions=tollgate-source'] : [];
  const flags = [...imageFlags(root), ...conditions, ...nodeArgs];
  const child = await runServer(process.execPath, [...flags, join(root, main)], port, logFile, {
    TOLLGATE_ROUTER_LISTEN: `127.0.0.1:${port}`,
    TOLLGATE_ROUTER_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
    TOLLGATE_WORKERS: upstreamPorts.map((each) => `http://127.0.0.1:${each}`).join(','),
    TOLLGATE_KEY_PEPPER: PEPPER,
    TOLLGATE_SPOOL_DIR: join(folder, 'spool'),
    TOLLGATE_WORKER_CONCURRENCY: '4096',
    // All processes of the bench share few cores: a pause of Redis's would else count as an outage.
    TOLLGATE_REDIS_DEADLINE_MS: '2000',
    REDIS_URL: redis.url,
    // As in production: one line per request.
    LOG_LEVEL: 'info',
    NODE_ENV: 'production',
    NODE_OPTIONS: undefined,
  });
  const url = `http://127.0.0.1:${port}`;
  const metricsUrl = `http://127.0.0.1:${metricsPort}`;
  await eventually('the router is ready', async () => (await fetch(`${metricsUrl}/readyz`)).ok);
  await eventually('the router has workers', async () =>
    /^tollgate_worker_up\{.*\} 1$/m.test(await (await fetch(`${metricsUrl}/metrics`)).text()),
  );
  const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version as string;
  const pids = processTree(child.pid ?? 0);
  return {
    name: 'tollgate',
    version: `${version} (Node ${process.versions.node})`,
    port,
    pids: () => pids,
    keys: seeded.map(({ text }) => text),
    redis,
    logFile,
    seeded,
    urls: [url],
    metricsUrl,
    async drained() {
      const { drained, problem } = await drainer.ask<{ drained: number; problem: string | null }>('read');
      if (problem !== null) throw new Error(`drain: ${problem}`);
      return drained;
    },
    async stop() {
      await endServer(child);
      await drainer.stop();
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
