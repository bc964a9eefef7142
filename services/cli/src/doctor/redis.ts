import { Redis } from 'ioredis';
import { type Check, failed, isOlder, passed, versionParts } from './check.ts';

const OLDEST = '7.0';
/** Per line of releases, the first with the security fixes that an exposed server needs. */
const SECURITY_FLOORS: Record<string, string> = { '7.2': '7.2.11', '7.4': '7.4.6', '8.2': '8.2.2' };
const PINGS = 20;
/** Admission's own deadline is 50 ms; a server that needs a tenth of it for PING leaves no room. */
const SLOW_PING_MS = 5;
const CLOCK_SKEW_MS = 2_000;
const CONNECT_LIMIT_MS = 3_000;

export interface RedisFacts {
  /** `redis_version` or `valkey_version`. */
  version: string;
  isValkey: boolean;
  maxmemoryPolicy: string | null;
  appendonly: string | null;
  replBacklogTtl: string | null;
  medianPingMs: number;
  /** Server's clock minus ours. */
  skewMs: number;
}

/** The facts as checks; pure. `null` = the server does not tell (managed services hide CONFIG). */
export function judgeRedis(facts: RedisFacts): Check[] {
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
    facts.medianPingMs > SLOW_PING_MS
      ? failed(
          'redis latency',
          `PING takes ${facts.medianPingMs.toFixed(1)} ms`,
          `put Redis nearer: under ${SLOW_PING_MS} ms`,
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

/** Asks the server at `url`. */
export async function checkRedis(url: string | null): Promise<Check[]> {
  if (url === null) return [failed('redis', 'no address', 'set REDIS_URL, or run npm start')];
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_LIMIT_MS,
    commandTimeout: CONNECT_LIMIT_MS,
    maxRetriesPerRequest: 0,
    disconnectTimeout: 50,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return [passed('redis', 'answers'), ...judgeRedis(await readFacts(client))];
  } catch {
    return [failed('redis', 'cannot be reached', 'start it, or correct REDIS_URL')];
  } finally {
    client.disconnect();
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
    maxmemoryPolicy: await setting('maxmemory-policy'),
    appendonly: await setting('appendonly'),
    replBacklogTtl: await setting('repl-backlog-ttl'),
    medianPingMs: pingsMs.sort((a, b) => a - b)[PINGS / 2]!,
    skewMs: seconds * 1_000 + microseconds / 1_000 - middleMs,
  };
}
