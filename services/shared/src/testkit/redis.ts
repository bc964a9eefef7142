/** A real Redis (or Valkey) for tests: own process, own port, own folder. There is no substitute for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { dyingWithParent, findRedis } from '../../src/runtime/binaries.mjs';
import { childEnvironment } from './config.ts';
import { eventually } from './eventually.ts';
import { freePort } from './ports.ts';

export interface TestRedisOptions {
  port?: number;
  /** Further server arguments, e.g. `['--appendonly', 'yes']` or `['--replicaof', '127.0.0.1', '7000']`. */
  args?: string[];
}

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Folder with the append-only file. */
  readonly dir: string;
  /** Process id of the running server. */
  readonly pid: number;
  /** A connected client that reconnects by itself; for the test's own looks at the data. */
  readonly client: Redis;
  /** Another client, closed by `stop`. */
  connect(): Redis;
  /** SIGTERM, then start again on the same port and folder; data survives as far as `args` persist it. */
  restart(): Promise<void>;
  /** SIGKILL; `start` brings it back. */
  kill9(): Promise<void>;
  start(): Promise<void>;
  /** Freezes and thaws the process (SIGSTOP, SIGCONT): a Redis that is there but does not answer. */
  freeze(): void;
  thaw(): void;
  /** Ends server and clients and removes the folder. */
  stop(): Promise<void>;
}

/** Starts a server that keeps nothing on disk unless `args` say so, and waits until it answers. */
export async function startRedis({ port: wanted, args = [] }: TestRedisOptions = {}): Promise<TestRedis> {
  const found = findRedis();
  if (!found) throw new Error('no redis-server or valkey-server found: run `npm test` once, which fetches it');
  const port = wanted ?? (await freePort());
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-redis-'));
  const clients: Redis[] = [];
  let child: ChildProcess | undefined;

  const connect = () => {
    const client = new Redis({
      host: '127.0.0.1',
      port,
      maxRetriesPerRequest: null,
      retryStrategy: () => 50,
      disconnectTimeout: 50,
    });
    // Lost connections are part of many tests; the commands themselves report failures.
    client.on('error', () => {});
    clients.push(client);
    return client;
  };

  async function start(): Promise<void> {
    const base = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--daemonize', 'no'];
    const quiet = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning'];
    const line = dyingWithParent(found!.program, [...base, ...quiet, ...args], 'KILL');
    const started = spawn(line.command, line.args, {
      env: childEnvironment(found!.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2000);
    };
    started.stdout.on('data', keep);
    started.stderr.on('data', keep);
    child = started;
    const probe = new Redis({
      host: '127.0.0.1',
      port,
      lazyConnect: true,
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
    });
    probe.on('error', () => {});
    try {
      await Promise.race([
        // A server that loads its file answers LOADING first.
        eventually('Redis answers PING', async () => (await probe.ping()) === 'PONG', { everyMs: 10 }),
        once(started, 'exit').then(() => {
          throw new Error(`redis-server ended at once: ${output.trim()}`);
        }),
      ]);
    } finally {
      probe.disconnect();
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, 'exit');
    // A frozen one hears nothing else; one that is thawed to be killed would answer what waits for it first.
    if (signal !== 'SIGKILL') running.kill('SIGCONT');
    running.kill(signal);
    await gone;
  }

  await start();
  const client = connect();
  await client.ping();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return child?.pid ?? 0;
    },
    client,
    connect,
    start,
    async restart() {
      await end('SIGTERM');
      await start();
    },
    kill9: () => end('SIGKILL'),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async stop() {
      for (const each of clients) each.disconnect();
      await end('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
