/** Workers that hang, crawl or talk nonsense, and everything restarted in turn under load: no request fails. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunningRouter } from '@tollgate/router/app';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { startRouterProcess } from '../e2e/router-child-kit.ts';
import { chat, eventuallyQuiet, MODEL, type Surroundings, startSurroundings, type TestKey } from '../e2e/router-kit.ts';
import { type Heard, hear, startWorkerProcess, type WorkerProcess } from './worker-kit.ts';

const WORKERS = 3;
const PATIENCE_MS = counts(120_000, 900_000);

let around: Surroundings;
let workers: WorkerProcess[];
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  workers = await Promise.all(Array.from({ length: WORKERS }, () => startWorkerProcess(['--speed', '10'])));
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000_000n);
}, 60_000);

afterAll(async () => {
  await around?.stop();
  await Promise.all(workers?.map((worker) => worker.kill()) ?? []);
});

afterEach(async () => {
  for (const worker of workers) await worker.fault(null);
  await around.drain();
});

const fleet = (env: Record<string, string> = {}): Promise<RunningRouter> =>
  around.router(
    workers.map(({ url }) => url),
    env,
  );

const about = (topic: string, more: object = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content: `Tell me about ${topic}, at length` }],
  temperature: 0,
  max_tokens: 40,
  ...more,
});

/** Clients that ask one after the other until they are told to stop; throws what went wrong. */
class Load {
  readonly heard: Heard[] = [];
  readonly plain: { status: number; code: unknown }[] = [];
  private stopping = false;
  private readonly clients: Promise<void>[];

  /** `urlOf`: where the next request goes. */
  constructor(urlOf: () => string, streams: number, plains: number) {
    this.clients = [
      ...Array.from({ length: streams }, async (_, i) => {
        for (let n = 0; !this.stopping; n++) this.heard.push(await hear(urlOf(), key.text, about(`stream ${i} ${n}`)));
      }),
      ...Array.from({ length: plains }, async (_, i) => {
        for (let n = 0; !this.stopping; n++) {
          const { status, json } = await chat({ url: urlOf() }, key.text, about(`answer ${i} ${n}`));
          this.plain.push({ status, code: json?.error?.code });
        }
      }),
    ];
  }

  get finished(): number {
    return this.heard.length + this.plain.length;
  }

  async atLeast(more: number): Promise<void> {
    const target = this.finished + more;
    await eventually(`${more} more are answered`, () => this.finished >= target, { deadlineMs: 60_000 });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.clients);
  }

  expectNoneFailed(): void {
    for (const { status, error, done, roles, finish } of this.heard) {
      expect({ status, error, done, roles }).toEqual({ status: 200, error: null, done: true, roles: 1 });
      expect(['stop', 'length']).toContain(finish);
    }
    for (const answer of this.plain) expect(answer).toEqual({ status: 200, code: undefined });
  }
}

describe('one bad worker of three', () => {
  test.each(['garbage;after=3', 'garbage;after=0', 'truncate;after=2', 'error;after=1'])(
    'that does "%s" to every stream: clients see whole answers, and it is left alone',
    async (fault) => {
      const router = await fleet();
      await workers[0]!.fault(fault);
      const load = new Load(() => router.url, 6, 0);
      await load.atLeast(counts(60, 500));
      await load.stop();
      load.expectNoneFailed();
      const before = (await workers[0]!.state()).totals.requests;
      const after = new Load(() => router.url, 6, 0);
      await after.atLeast(30);
      await after.stop();
      // Its breaker lets one through now and then.
      expect((await workers[0]!.state()).totals.requests - before).toBeLessThanOrEqual(10);
      await eventuallyQuiet(router);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'that accepts and falls silent costs its streams one idle time, then gets nothing',
    async () => {
      const router = await fleet({ TOLLGATE_IDLE_TIMEOUT_MS: '500' });
      await workers[1]!.fault('hang;after=3');
      const load = new Load(() => router.url, 6, 0);
      await load.atLeast(60);
      await load.stop();
      load.expectNoneFailed();
      await eventuallyQuiet(router);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'that is ten times slow gets at most a third of its fair share',
    async () => {
      const router = await fleet();
      await workers[2]!.fault('slow;factor=10');
      const load = new Load(() => router.url, 8, 0);
      await load.atLeast(counts(90, 300));
      const before = await Promise.all(workers.map(async (worker) => (await worker.state()).totals.requests));
      await load.atLeast(counts(90, 600));
      const after = await Promise.all(workers.map(async (worker) => (await worker.state()).totals.requests));
      await load.stop();
      load.expectNoneFailed();
      const sent = after.map((count, i) => count - before[i]!);
      const all = sent.reduce((sum, count) => sum + count, 0);
      const share = sent[2]! / all;
      recordProof({
        name: 'share of a worker that is ten times slow, of three',
        count: all,
        result: `${(100 * share).toFixed(1)} % (fair: 33 %)`,
      });
      expect(share).toBeLessThanOrEqual(1 / WORKERS / 3);
      await eventuallyQuiet(router);
      await router.stop();
    },
    PATIENCE_MS,
  );
});

describe('restarts in turn, under load', () => {
  test(
    'of all workers: no request fails',
    async () => {
      const router = await fleet();
      const load = new Load(() => router.url, 6, 3);
      for (let round = 0; round < counts(1, 10); round++) {
        for (const worker of workers) {
          await load.atLeast(10);
          await worker.stop();
          await worker.restart();
          await eventually('it is used again', async () => (await worker.state()).totals.requests > 0, {
            deadlineMs: 60_000,
            everyMs: 50,
          });
        }
      }
      await load.stop();
      load.expectNoneFailed();
      await eventuallyQuiet(router);
      recordProof({
        name: 'rolling restart of all workers under load',
        count: WORKERS * counts(1, 10),
        result: `${load.finished} requests, 0 failed`,
      });
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'of two routers behind a balancer that looks at /readyz: no request fails, all are settled',
    async () => {
      const urls = workers.map(({ url }) => url);
      const patience = { TOLLGATE_DRAIN_DELAY_MS: '1000', TOLLGATE_STOP_GRACE_MS: '20000' };
      const start = () => startRouterProcess(around, urls, patience);
      const routers = await Promise.all([start(), start()]);
      const ready = new Set<string>();
      const looking = setInterval(() => {
        for (const { url } of routers) {
          fetch(`${url}/readyz`)
            .then(({ ok }) => (ok ? ready.add(url) : ready.delete(url)))
            .catch(() => ready.delete(url));
        }
      }, 50);
      await eventually('both are ready', () => ready.size === 2);
      // As metering does: a router that stops waits for the confirmation of its records.
      const billed = new Map<string, number>();
      const drain = async (): Promise<void> => {
        for (const { requestId, completionTokens } of await around.drain()) billed.set(requestId, completionTokens);
      };
      const draining = setInterval(() => void drain(), 100);
      let turn = 0;
      const load = new Load(() => [...ready][turn++ % ready.size]!, 6, 3);
      const restarts = counts(1, 20);
      for (let i = 0; i < restarts; i++) {
        await load.atLeast(20);
        const router = routers[i % 2]!;
        expect(await router.stop()).toBe(0);
        await router.start();
        await eventually('it is ready again', () => ready.has(router.url));
      }
      await load.stop();
      clearInterval(looking);
      load.expectNoneFailed();
      await eventually('all are settled', async () => {
        await drain();
        return load.heard.every(({ id }) => billed.has(id));
      });
      clearInterval(draining);
      for (const { id, completionTokens } of load.heard) expect(billed.get(id)).toBe(completionTokens);
      for (const router of routers) await router.stop();
      recordProof({
        name: 'rolling restart of two routers under load',
        count: restarts,
        result: `${load.finished} requests, 0 failed, all settled`,
      });
    },
    PATIENCE_MS,
  );
});
