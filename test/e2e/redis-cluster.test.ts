/**
 * The product on a Redis Cluster of three masters with a password: console, metering with its queues, a router. Accounts of
 * every node are served and billed exactly; a node that dies takes its own accounts alone, and comes back.
 * Only `npm run test:full` does it; what each client does with a cluster is tested in `shared/src/redis/cluster.test.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startConsole } from '@tollgate/console/app';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { startMetering } from '@tollgate/metering/app';
import { startRouter } from '@tollgate/router/app';
import { routerShape } from '@tollgate/router/config';
import { bucketKeys, bucketOf, globalKeys, QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { createLifecycle, type Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { testConfig } from '@tollgate/shared/testkit/config';
import { recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { startRedisCluster, type TestCluster } from '@tollgate/shared/testkit/redis-cluster';
import { checkRedis } from '../../services/cli/src/doctor/redis.ts';
import { BUCKETS, MODEL, startDatabase, testOptions } from '../chaos/metering-harness.ts';
import { PEPPER } from './router-kit.ts';

const LIMIT_MS = 600_000;
const NODES = 3;
const CREDIT_NUSD = 2_000_000_000n;
const ADMIN_TOKEN = 'admin-token-of-the-cluster-test';
const long = { deadlineMs: 120_000, everyMs: 100 };

interface Customer {
  key: string;
  keyId: string;
  accountId: string;
  /** The node that has its money. */
  node: number;
  answered: number;
}

let cluster: TestCluster;
let worker: Devworker;
let routerUrl = '';
let consoleUrl = '';
let database: Awaited<ReturnType<typeof startDatabase>>;
const folder = mkdtempSync(join(tmpdir(), 'tollgate-redis-cluster-'));
const logger = createLogger({ service: 'test', level: 'silent' });
const lifecycles: Lifecycle[] = [];
const customers: Customer[] = [];

const lifecycle = (): Lifecycle => {
  const made = createLifecycle({ logger, graceMs: 20_000 });
  lifecycles.push(made);
  return made;
};

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever the console answers
async function admin(method: string, path: string, body?: object): Promise<any> {
  const response = await fetch(consoleUrl + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** One request; a good answer is counted. */
async function ask(customer: Customer): Promise<number> {
  const response = await fetch(`${routerUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${customer.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, max_tokens: 8, messages: [{ role: 'user', content: 'Say hello' }] }),
  });
  await response.arrayBuffer();
  if (response.status === 200) customer.answered++;
  return response.status;
}
const served = (customer: Customer) =>
  eventually(`an answer for an account of node ${customer.node}`, async () => (await ask(customer)) === 200, long);

/** A new key of a new account with credit. */
async function customer(): Promise<Customer> {
  const made = await admin('POST', '/api/keys', { name: 'cluster', creditUsd: '2' });
  const lease = bucketKeys(bucketOf(made.accountId, BUCKETS)).lease(made.accountId);
  return { ...made, node: await cluster.nodeOf(lease), answered: 0 };
}

/** Each account's books: everything that was answered is billed, nothing is held, the sums are right. */
async function expectBooks(): Promise<void> {
  for (const { accountId, answered } of customers) {
    const credits = await eventually(
      `the books of ${accountId}`,
      async () => {
        const shown = await admin('GET', `/api/accounts/${accountId}/credits`);
        const usage = await admin('GET', `/api/accounts/${accountId}/usage?limit=100`);
        const billed = usage.data.filter(({ outcome }: { outcome: string }) => outcome === 'served').length;
        return shown.heldNusd === '0' && billed === answered ? shown : null;
      },
      long,
    );
    expect(BigInt(credits.creditedNusd)).toBe(CREDIT_NUSD);
    expect(BigInt(credits.postedNusd) + BigInt(credits.availableNusd)).toBe(CREDIT_NUSD);
  }
}

(testConfig().full ? describe : describe.skip)('on a Redis Cluster', () => {
  beforeAll(async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-backlog-ttl', '0'];
    [cluster, database, worker] = await Promise.all([
      startRedisCluster(NODES, { password: 'p@ss of all nodes', args }),
      startDatabase(),
      startDevworker({ model: MODEL, speed: 50 }),
    ]);
    const options = testOptions(database.server.url, cluster.url);
    await startMetering({
      ...options,
      // No node has a replica: one that comes back proves the old one dead.
      lease: { ...options.lease, standalone: true },
      jobs: { reconcileEveryMs: 60_000, rollupEveryMs: 60_000, rescheduleMs: 1_000 },
      lifecycle: lifecycle(),
      logger,
    });
    const started = await startConsole({
      listen: { host: '127.0.0.1', port: 0 },
      databaseUrl: database.server.url,
      redisUrl: cluster.url,
      keyPepper: PEPPER,
      adminToken: ADMIN_TOKEN,
      bucketCount: BUCKETS,
      poolMax: database.real ? 4 : 1,
      lifecycle: lifecycle(),
      logger,
    });
    consoleUrl = started.url;
    const config = parseConfig(routerShape, {
      TOLLGATE_ROUTER_LISTEN: '127.0.0.1:0',
      REDIS_URL: cluster.url,
      TOLLGATE_KEY_PEPPER: PEPPER,
      TOLLGATE_BUCKETS: String(BUCKETS),
      TOLLGATE_WORKERS: worker.url,
      TOLLGATE_SPOOL_DIR: join(folder, 'spool'),
      TOLLGATE_PROBE_MS: '100',
      TOLLGATE_CONFIRM_MS: '50',
      TOLLGATE_STOP_GRACE_MS: '3000',
      // A shared test machine stalls for longer than production does.
      TOLLGATE_REDIS_DEADLINE_MS: '2000',
    });
    const router = await startRouter({ config, logger });
    lifecycles.push(router.lifecycle);
    routerUrl = router.url;
    await eventually('the router is ready', () => router.readiness().ready, long);
  }, LIMIT_MS);

  afterAll(async () => {
    for (const each of lifecycles.reverse()) await each.stop('test');
    await worker?.close();
    await cluster?.stop();
    await database?.db.destroy();
    await database?.server.stop();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT_MS);

  test(
    'accounts of every node are served, and each request is billed once',
    async () => {
      while (new Set(customers.map(({ node }) => node)).size < NODES) customers.push(await customer());
      await Promise.all(customers.map(served));
      for (const each of customers) expect(await ask(each)).toBe(200);
      await expectBooks();
    },
    LIMIT_MS,
  );

  test(
    'doctor examines every node; background jobs run; a revoked key is refused',
    async () => {
      const checks = await checkRedis(cluster.url, 2_000);
      for (const { port } of cluster.nodes) {
        expect(checks.map(({ name }) => name)).toContain(`redis maxmemory-policy 127.0.0.1:${port}`);
      }
      expect(checks.filter(({ ok, name }) => !ok && !name.includes('latency'))).toEqual([]);

      const { client } = cluster.nodes[await cluster.nodeOf(`{${QUEUE_PREFIX}}`)]!;
      const done = `{${QUEUE_PREFIX}}:maintenance:completed`;
      await eventually('a job has run', async () => (await client.zcard(done)) > 0, long);

      const leaked = await customer();
      await served(leaked);
      await admin('POST', `/api/keys/${leaked.keyId}/revoke`);
      await eventually('it is refused', async () => (await ask(leaked)) === 401, { deadlineMs: 20_000, everyMs: 50 });
    },
    LIMIT_MS,
  );

  test(
    'a node that dies takes its own accounts with it, no others; when it is back all are served, and the books balance',
    async () => {
      // Not the one that the address names, nor one that has what all need.
      const dead = NODES - 1;
      const needed = [globalKeys.keysReady, globalKeys.fleet, `{${QUEUE_PREFIX}}`];
      expect(await Promise.all(needed.map(cluster.nodeOf))).not.toContain(dead);
      await cluster.nodes[dead]!.kill9();
      for (const each of customers) {
        if (each.node === dead) expect(await ask(each)).toBe(503);
        else await served(each);
      }
      await cluster.nodes[dead]!.start();
      await cluster.lock(dead);
      await Promise.all(customers.map(served));
      await expectBooks();
      recordProof({
        name: 'a master of a Redis Cluster of three is killed and comes back',
        count: 1,
        seed: testConfig().seed,
        result: `${customers.length} accounts on ${NODES} nodes: only its own were refused, every answer billed once`,
      });
    },
    LIMIT_MS,
  );
});
