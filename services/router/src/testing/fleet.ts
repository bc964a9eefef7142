/** A fleet for tests: as many workers as one likes, which one small server stands for, and a clock that the test turns. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { createRegistry } from '@tollgate/shared/runtime/metrics';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { Fleet, type FleetOptions, type Placed } from '../fleet/fleet.ts';
import { RouterMetrics } from '../metrics.ts';
import { Pools } from '../upstream/pools.ts';

/** The only model that is sold. */
export const SOLD = 'sold';

export interface TestEngines {
  /** Address of the i-th: every address of the loopback network is this machine. */
  url(i: number): string;
  /** Models that all of them serve, and the context of each. */
  models: string[];
  context: number;
  /** When their process began, s since 1970: another one is another process behind the same address. */
  startedS: number;
  close(): void;
}

/** They answer probes and nothing else. */
export async function startEngines(): Promise<TestEngines> {
  const server = createServer((request, response) => {
    if (request.url === '/v1/models') {
      const data = engines.models.map((id) => ({ id, owned_by: 'vllm', max_model_len: engines.context }));
      response.end(JSON.stringify({ data }));
    } else if (request.url === '/version') response.end('{"version":"0.30.0"}');
    else {
      const lines = ['vllm:num_requests_running 0', 'vllm:kv_cache_usage_perc 0.5'];
      response.end(`${[...lines, `process_start_time_seconds ${engines.startedS}`].join('\n')}\n`);
    }
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const engines: TestEngines = {
    url: (i) => `http://127.0.${1 + Math.floor(i / 250)}.${1 + (i % 250)}:${port}`,
    models: [SOLD],
    context: 65_536,
    startedS: 1_760_000_000,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return engines;
}

export interface TestFleet {
  fleet: Fleet;
  clock: FakeClock;
  /** Every series of ours that Prometheus would see, without its value. */
  series(): Promise<string[]>;
  /** Makes these the fleet; resolves when all have been probed. */
  set(urls: readonly string[]): Promise<void>;
  /** A request to the model that is sold, with a prompt of this text. */
  request(id: string, text: string, accountId?: string): Placed;
  stop(): Promise<void>;
}

export function testFleet(options: Partial<FleetOptions> = {}): TestFleet {
  const clock = fakeClock();
  const registry = createRegistry('router', '0');
  const pools = new Pools({ connectTimeoutMs: 10_000, maxConnections: 2 }, clock);
  const fleet = new Fleet(
    {
      maxConcurrency: null,
      policy: 'cost',
      probeEveryMs: 1_000,
      probeTimeoutMs: 20_000,
      promisedContext: (model) => (model === SOLD ? 4_096 : null),
      ...options,
    },
    pools,
    clock,
    { float: () => 0.5 },
    createLogger({ service: 'test', level: 'silent' }),
    new RouterMetrics(registry),
  );
  return {
    fleet,
    clock,
    async series() {
      const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('tollgate_'));
      return lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
    },
    async set(urls) {
      fleet.setWorkers(urls.map((url) => ({ url, engine: 'vllm', models: null, leaving: false })));
      await fleet.probeAll();
    },
    request(id, messages, accountId = 'acct_a') {
      const text = { tools: null, messages };
      const promptBytes = Buffer.byteLength(messages);
      return fleet.route({ id, model: SOLD, accountId, text, promptBytes, maxOutputTokens: 4, salt: accountId });
    },
    stop: () => pools.close(),
  };
}
