/** What a local start runs: for each process its command, environment and sign of readiness. */
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Environment, ListenAddress } from '@tollgate/shared/runtime/config';
import { dyingWithParent, findRedis } from '../../../shared/src/runtime/binaries.mjs';
import type { DevState } from '../config.ts';
import { CliError } from '../output.ts';
import type { ChildPlan } from './child.ts';
import type { Home } from './home.ts';
import { hostPort, urlOf } from './ports.ts';

/** The reference model of the product; the devworkers answer in its name. */
export const DEV_MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
export const DEV_MAX_MODEL_LEN = 32_768;
/** What makes vectors of documents; the devworkers answer in its name too. */
export const DEV_EMBEDDING_MODEL = 'Qwen/Qwen3-Embedding-0.6B';
const DEV_EMBEDDING_DIMENSIONS = 1_024;

/** How long a service of a local start may take to stop. A person waits at the terminal. */
const STOP_GRACE_MS = 10_000;

export interface Addresses {
  router: ListenAddress;
  routerMetrics: ListenAddress;
  console: ListenAddress;
  consoleMetrics: ListenAddress;
  metering: ListenAddress;
  meteringMetrics: ListenAddress;
  retrieval: ListenAddress;
  retrievalMetrics: ListenAddress;
  workers: ListenAddress[];
  /** Null when REDIS_URL or DATABASE_URL was given. */
  redis: ListenAddress | null;
  database: ListenAddress | null;
  redisUrl: string;
  databaseUrl: string;
}

export interface PlanInput {
  home: Home;
  state: DevState;
  addresses: Addresses;
  /** Environment of this process, handed on. */
  env: Environment;
  /** Speed-up of the devworkers; 1 = a real GPU's pace. */
  speed: number;
  /** Whether the database has what collections need. */
  retrieval: boolean;
}

/** How this very command line was started: built or from sources. */
const self = () => [...process.execArgv, process.argv[1]!];

function answersHttp(url: string): () => Promise<boolean> {
  return async () => {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  };
}

/** Redis is ready when it answers PING; while it loads its file it answers an error. */
function answersPing({ host, port }: ListenAddress): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const socket = connect({ host, port, timeout: 1_000 });
      const done = (result: boolean) => {
        socket.destroy();
        resolve(result);
      };
      socket.once('connect', () => socket.write('PING\r\n'));
      socket.once('data', (data) => done(data.toString().startsWith('+PONG')));
      socket.once('error', () => done(false));
      socket.once('timeout', () => done(false));
    });
}

function acceptsTcp({ host, port }: ListenAddress): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const socket = connect({ host, port, timeout: 1_000 });
      const done = (result: boolean) => {
        socket.destroy();
        resolve(result);
      };
      socket.once('connect', () => done(true));
      socket.once('error', () => done(false));
      socket.once('timeout', () => done(false));
    });
}

export function plans(input: PlanInput) {
  const { home, state, addresses, env, speed, retrieval } = input;
  const inherited = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const base = { TOLLGATE_STOP_GRACE_MS: String(STOP_GRACE_MS), LOG_LEVEL: 'info', ...inherited };
  // Each service gets the secrets that it needs and no others.
  const redis = { REDIS_URL: addresses.redisUrl };
  const database = { DATABASE_URL: addresses.databaseUrl };
  const digests = { TOLLGATE_KEY_PEPPER: state.pepper };
  const internal = { TOLLGATE_SERVICE_TOKEN: state.serviceToken, TOLLGATE_METERING_URL: urlOf(addresses.metering) };
  const retrievalUrl = retrieval ? { TOLLGATE_RETRIEVAL_URL: urlOf(addresses.retrieval) } : undefined;
  const service = (
    name: string,
    kind: string,
    args: string[],
    more: Record<string, string>,
    readyUrl: string,
  ): ChildPlan => ({
    name,
    command: process.execPath,
    args: [...self(), 'serve', kind, ...args],
    env: { ...base, ...more },
    logFile: join(home.logs, `${name}.log`),
    ipc: true,
    graceMs: STOP_GRACE_MS + 5_000,
    ready: answersHttp(readyUrl),
  });

  return {
    redis(listen: ListenAddress): ChildPlan {
      const found = findRedis();
      if (!found)
        throw new CliError('no_redis', 'no Redis server found: run npm start, install redis-server, or set REDIS_URL');
      const settings: [string, string][] = [
        ['port', String(listen.port)],
        ['bind', listen.host],
        ['dir', home.redis],
        ['daemonize', 'no'],
        ['appendonly', 'yes'],
        ['appendfsync', 'everysec'],
        ['save', ''],
        ['maxmemory-policy', 'noeviction'],
        // A lone master must keep its replication id for ever: leases belong to it (MONEY.md 1.7).
        ['repl-backlog-ttl', '0'],
      ];
      const args = settings.flatMap(([name, value]) => [`--${name}`, value]);
      // No IPC with Redis: the system itself tells it when the supervisor is gone; it then writes its file and ends.
      const line = dyingWithParent(found.program, args, 'TERM');
      return {
        name: 'redis',
        command: line.command,
        args: line.args,
        env: { ...inherited, ...found.env },
        logFile: join(home.logs, 'redis.log'),
        ipc: false,
        graceMs: 15_000,
        ready: answersPing(listen),
      };
    },
    database: (listen: ListenAddress): ChildPlan => ({
      ...service('pglite', 'pglite', ['--data', home.database, '--port', String(listen.port)], {}, ''),
      ready: acceptsTcp(listen),
    }),
    console: (): ChildPlan =>
      service(
        'console',
        'console',
        [],
        {
          ...redis,
          ...database,
          ...digests,
          ...internal,
          TOLLGATE_CONSOLE_LISTEN: hostPort(addresses.console),
          TOLLGATE_CONSOLE_METRICS_LISTEN: hostPort(addresses.consoleMetrics),
          TOLLGATE_ADMIN_TOKEN: state.adminToken,
          TOLLGATE_ADMIN_EMAIL: state.adminEmail,
          TOLLGATE_ADMIN_PASSWORD: state.adminPassword,
          // On one's own machine anybody may sign up, and webhooks go where one's own programs listen.
          TOLLGATE_SIGN_UP: 'open',
          TOLLGATE_SIGN_UP_CREDIT_USD: '1',
          TOLLGATE_WEBHOOKS_PRIVATE: 'true',
          TOLLGATE_ROUTER_URL: urlOf(addresses.router),
          TOLLGATE_KEYS_ALLOW_GRAMMARS: 'true',
          TOLLGATE_FILES_DIR: home.files,
          ...retrievalUrl,
        },
        `${urlOf(addresses.console)}/readyz`,
      ),
    metering: (): ChildPlan =>
      service(
        'metering',
        'metering',
        [],
        {
          ...redis,
          ...database,
          ...internal,
          ...digests,
          TOLLGATE_WEBHOOKS_PRIVATE: 'true',
          // A person looks at the charts right after the first request.
          TOLLGATE_METERING_ROLLUP_MS: '5000',
          TOLLGATE_METERING_LISTEN: hostPort(addresses.metering),
          TOLLGATE_METERING_METRICS_LISTEN: hostPort(addresses.meteringMetrics),
          TOLLGATE_ROUTER_URL: urlOf(addresses.router),
          TOLLGATE_CONSOLE_URL: urlOf(addresses.console),
          // Our own Redis is one process without replicas: a new process proves that the old one is gone.
          ...(addresses.redis ? { TOLLGATE_REDIS_STANDALONE: 'true' } : {}),
        },
        `${urlOf(addresses.meteringMetrics)}/readyz`,
      ),
    worker: (index: number, listen: ListenAddress): ChildPlan =>
      service(
        `worker-${index + 1}`,
        'devworker',
        [
          ...['--host', listen.host, '--port', String(listen.port)],
          ...['--model', DEV_MODEL, '--max-model-len', String(DEV_MAX_MODEL_LEN), '--speed', String(speed)],
          ...['--embedding-model', DEV_EMBEDDING_MODEL],
        ],
        {},
        `${urlOf(listen)}/health`,
      ),
    retrieval: (): ChildPlan =>
      service(
        'retrieval',
        'retrieval',
        [],
        {
          ...redis,
          ...database,
          ...internal,
          TOLLGATE_CONSOLE_URL: urlOf(addresses.console),
          TOLLGATE_RETRIEVAL_LISTEN: hostPort(addresses.retrieval),
          TOLLGATE_RETRIEVAL_METRICS_LISTEN: hostPort(addresses.retrievalMetrics),
          TOLLGATE_ROUTER_URL: urlOf(addresses.router),
          TOLLGATE_EMBEDDING_MODELS: `${DEV_EMBEDDING_MODEL}=${DEV_EMBEDDING_DIMENSIONS}`,
          // The embedded database has one session.
          ...(addresses.database ? { TOLLGATE_RETRIEVAL_DB_CONNECTIONS: '2' } : {}),
          // A laptop that builds something beside is slower than a server.
          TOLLGATE_SEARCH_TIMEOUT_MS: '10000',
        },
        `${urlOf(addresses.retrieval)}/readyz`,
      ),
    router: (): ChildPlan =>
      service(
        'router',
        'router',
        [],
        {
          ...redis,
          ...digests,
          ...internal,
          TOLLGATE_ROUTER_LISTEN: hostPort(addresses.router),
          TOLLGATE_ROUTER_METRICS_LISTEN: hostPort(addresses.routerMetrics),
          TOLLGATE_ROUTER_ID: 'dev-1',
          TOLLGATE_CONSOLE_URL: urlOf(addresses.console),
          TOLLGATE_SPOOL_DIR: home.spool,
          ...retrievalUrl,
          TOLLGATE_GROUND_TIMEOUT_MS: '12000',
          TOLLGATE_WORKERS: addresses.workers.map(urlOf).join(','),
          // An error's doc_url opens the console's page about it.
          TOLLGATE_ERROR_DOCS_URL: `${urlOf(addresses.console)}/docs/errors`,
          // A laptop that builds something beside is slower than a server; waiting beats refusing there.
          TOLLGATE_REDIS_DEADLINE_MS: '1000',
          TOLLGATE_CREDIT_WAIT_MS: '5000',
        },
        `${urlOf(addresses.router)}/readyz`,
      ),
  };
}
