/** A real Redis Cluster of local masters for tests: every slot is served, no node has a replica. */
import { eventually } from './eventually.ts';
import { startRedis, type TestRedis } from './redis.ts';

const SLOTS = 16_384;

export interface TestCluster {
  /** What `REDIS_URL` says to use it; leads to the first node. */
  readonly url: string;
  /** Their own clients are connected before a password is set, and need none until their server is restarted. */
  readonly nodes: readonly TestRedis[];
  /** Index of the node that has this key. */
  nodeOf(key: string): Promise<number>;
  /** After `nodes[i].start()`: asks for the password again. */
  lock(node: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisCluster(
  count: number,
  { password = null, args = [] }: { password?: string | null; args?: string[] } = {},
): Promise<TestCluster> {
  // A test machine stalls: a node that is slow is not dead. Slots without a node leave the others alone.
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '15000'];
  settings.push('--cluster-require-full-coverage', 'no', ...args);
  const nodes = await Promise.all(Array.from({ length: count }, () => startRedis({ args: settings })));
  const firstOf = (node: number) => Math.ceil((node * SLOTS) / count);
  for (const [i, { client, port }] of nodes.entries()) {
    await client.cluster('ADDSLOTSRANGE', firstOf(i), firstOf(i + 1) - 1);
    if (i > 0) await nodes[0]!.client.cluster('MEET', '127.0.0.1', port);
  }
  const whole = new RegExp(`cluster_slots_ok:${SLOTS}[\\s\\S]*cluster_size:${count}\\b`);
  for (const { client } of nodes) {
    const isWhole = async () => whole.test(String(await client.cluster('INFO')));
    await eventually('the cluster is whole', isWhole, { deadlineMs: 60_000 });
  }
  const lock = async (node: number) => {
    if (password !== null) await nodes[node]!.client.config('SET', 'requirepass', password);
  };
  await Promise.all(nodes.map((_, i) => lock(i)));
  const secret = password === null ? '' : `:${encodeURIComponent(password)}@`;
  return {
    url: `redis://${secret}127.0.0.1:${nodes[0]!.port}?cluster=true`,
    nodes,
    async nodeOf(key) {
      const slot = Number(await nodes[0]!.client.cluster('KEYSLOT', key));
      return nodes.findLastIndex((_, i) => slot >= firstOf(i));
    },
    lock,
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  };
}
