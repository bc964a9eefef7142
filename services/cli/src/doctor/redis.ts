import { type ClusterAddress, redisAddress } from '@tollgate/shared/runtime/redis-address';
import { Cluster, type ClusterOptions, Redis } from 'ioredis';
import { type Check, failed, isOlder, passed, versionParts } from './check.ts';

const OLDEST = '7.0';
/** Per line of releases, the first with the security fixes that an exposed server needs. */
const SECURITY_FLOORS: Record<string, string> = { '7.2': '7.2.11', '7.4': '7.4.6', '8.2': '8.2.2' };
const PINGS = 20;
/** A server that needs a tenth of admission's own deadline for PING leaves no room. */
const SLOW_SHARE = 0.1;
const DEADLINE_MS = 50;
const CLOCK_SKEW_MS = 2_000;
const CONNECT_LIMIT_MS = 3_000;

export interface RedisFacts {
  /** `redis_version` or `valkey_version`. */
  version: string;
  isValkey: boolean;
  /** It is a node of a Redis Cluster. */
  isNode: boolean;
  maxmemoryPolicy: string | null;
  appendonly: string | null;
  replBacklogTtl: string | null;
  medianPingMs: number;
  /** Server's clock minus ours. */
  skewMs: number;
}

/** The facts as checks; pure. `null` = the server does not tell (managed services hide CONFIG). */
export function judgeRedis(facts: RedisFacts, deadlineMs = DEADLINE_MS): Check[] {
  const slowMs = deadlineMs * SLOW_SHARE;
  const line = versionParts(facts.version).slice(0, 2).join('.');
  const floor = facts.isValkey ? undefined : SECURITY_FLOORS[line];
  const name = `${facts.isValkey ? 'Valkey' : 'Redis'} ${facts.version}`;
  const hidden = 'not told by the server (managed?): check its settings';
  const setting = (check: string, value: string | null, good: string, fix: string) => {
    if (value === null) return passed(check, hidden);
    return value === good ? passed(check, value) : failed(check, value, fix);
  };
  return [
    isOlder(facts.version, OLDEST) && !facts.isValkey
      ? failed('redis version', name, `run Redis ${OLDEST} or newer, or Valkey`)
      : passed(
          'redis version',
          name,
          floor && isOlder(facts.version, floor) ? `an exposed server should be ${floor} or newer` : null,
        ),
    setting(
      'redis maxmemory-policy',
      facts.maxmemoryPolicy,
      'noeviction',
      'set maxmemory-policy noeviction: an evicted hold is money lost',
    ),
    setting('redis appendonly', facts.appendonly, 'yes', 'set appendonly yes: usage records must survive a restart'),
    setting(
      'redis repl-backlog-ttl',
      facts.replBacklogTtl,
      '0',
      'set repl-backlog-ttl 0: else a lone master changes its history after an hour and leases die',
    ),
    facts.medianPingMs > slowMs
      ? failed(
          'redis latency',
          `PING takes ${facts.medianPingMs.toFixed(1)} ms`,
          `put Redis nearer, or give this machine more CPU: under ${slowMs} ms`,
        )
      : passed('redis latency', `PING takes ${facts.medianPingMs.toFixed(1)} ms`),
    Math.abs(facts.skewMs) > CLOCK_SKEW_MS
      ? failed(
          'redis clock',
          `${Math.round(facts.skewMs)} ms off this machine's clock`,
          'synchronise both clocks (NTP)',
        )
      : passed('redis clock', 'agrees with this machine'),
  ];
}

const CONNECTION = {
  lazyConnect: true,
  connectTimeout: CONNECT_LIMIT_MS,
  commandTimeout: CONNECT_LIMIT_MS,
  maxRetriesPerRequest: 0,
  disconnectTimeout: 50,
};

/** Asks the server at `url`, or every master of its cluster. `deadlineMs`: what routers give a command. */
export async function checkRedis(url: string | null, deadlineMs = DEADLINE_MS): Promise<Check[]> {
  if (url === null) return [failed('redis', 'no address', 'set REDIS_URL, or run npm start')];
  const { url: server, cluster } = redisAddress(url);
  const client = new Redis(server, { ...CONNECTION, retryStrategy: () => null });
  client.on('error', () => {});
  try {
    await client.connect();
    const facts = await readFacts(client);
    if (facts.isNode !== (cluster !== null)) return [judgeMode(facts.isNode)];
    if (cluster === null) return [passed('redis', 'answers'), ...judgeRedis(facts, deadlineMs)];
    return await checkCluster(new Cluster(cluster.nodes, clusterOptions(cluster)), deadlineMs);
  } catch {
    return [failed('redis', 'cannot be reached', 'start it, or correct REDIS_URL')];
  } finally {
    client.disconnect();
  }
}

/** The address and the server do not agree about what is there. */
export function judgeMode(isNode: boolean): Check {
  return isNode
    ? failed('redis', 'is a node of a cluster, its address names one server', 'end REDIS_URL with ?cluster=true')
    : failed('redis', 'is one server, its address names a cluster', 'take ?cluster=true off the end of REDIS_URL');
}

const clusterOptions = ({ redisOptions, options }: ClusterAddress): ClusterOptions => ({
  ...options,
  lazyConnect: true,
  clusterRetryStrategy: () => null,
  redisOptions: { ...CONNECTION, ...redisOptions },
});

async function checkCluster(cluster: Cluster, deadlineMs: number): Promise<Check[]> {
  cluster.on('error', () => {});
  try {
    await cluster.connect();
    const masters = cluster.nodes('master');
    const state = /cluster_state:(\w+)/.exec(String(await masters[0]!.cluster('INFO')))?.[1];
    const whole =
      state === 'ok'
        ? passed('redis', `cluster of ${masters.length} masters answers`)
        : failed('redis', `cluster state ${state}`, 'redis-cli --cluster check says which slots no node serves');
    const each = await Promise.all(
      masters.map(async (node) => {
        const place = `${node.options.host}:${node.options.port}`;
        try {
          return judgeRedis(await readFacts(node), deadlineMs).map((check) => ({
            ...check,
            name: `${check.name} ${place}`,
          }));
        } catch {
          return [failed(`redis ${place}`, 'cannot be reached', 'start this node, or let a replica take its place')];
        }
      }),
    );
    return [whole, ...each.flat()];
  } finally {
    cluster.disconnect();
  }
}

async function readFacts(client: Redis): Promise<RedisFacts> {
  const info = await client.info('server');
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? null;
  const setting = async (name: string): Promise<string | null> => {
    try {
      const reply = (await client.config('GET', name)) as string[];
      return reply[1] ?? null;
    } catch {
      return null;
    }
  };
  const pingsMs: number[] = [];
  for (let i = 0; i < PINGS; i++) {
    const startMs = performance.now();
    await client.ping();
    pingsMs.push(performance.now() - startMs);
  }
  const sentMs = Date.now();
  const [seconds, microseconds] = (await client.time()).map(Number) as [number, number];
  const middleMs = (sentMs + Date.now()) / 2;
  const valkey = field('valkey_version');
  return {
    version: valkey ?? field('redis_version') ?? '0',
    isValkey: valkey !== null,
    isNode: (field('redis_mode') ?? field('server_mode')) === 'cluster',
    maxmemoryPolicy: await setting('maxmemory-policy'),
    appendonly: await setting('appendonly'),
    replBacklogTtl: await setting('repl-backlog-ttl'),
    medianPingMs: pingsMs.sort((a, b) => a - b)[PINGS / 2]!,
    skewMs: seconds * 1_000 + microseconds / 1_000 - middleMs,
  };
}
