/** Metrics stay as many as they are: docs/metrics.md is the list of what may be labelled by what, and clients add nothing to it. */
import { readFileSync } from 'node:fs';
import { METHODS, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { ENDPOINT_NAMES } from '@tollgate/router/endpoints/endpoint';
import { mintKey } from '@tollgate/shared/domain/key';
import { OUTCOMES } from '@tollgate/shared/domain/outcome';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { exportedMetrics } from '../kube/exported-metrics.ts';
import { hello, MODEL, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 120_000;
const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
const ticked = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);

/** Rows of the page's tables: what stands between ticks in the first two cells. */
function rows(): { first: string[]; second: string[] }[] {
  return [...page.matchAll(/^\| (`[^|]*)\|([^|]*)\|/gm)].map(([, first, second]) => ({
    first: ticked(first!),
    second: ticked(second!),
  }));
}

describe('docs/metrics.md', () => {
  const listed = new Map(
    rows()
      .filter(({ first }) => first[0]!.startsWith('tollgate_'))
      .map(({ first, second }) => [first[0]!, [...second].sort()]),
  );
  const bounded = new Set(rows().flatMap(({ first }) => first.filter((name) => !name.startsWith('tollgate_'))));

  test('lists every metric of ours with exactly its labels, and no other', async () => {
    const ours = [...(await exportedMetrics())].filter(([name]) => name.startsWith('tollgate_'));
    const exported = ours.map(([name, { labels }]) => [name, [...labels].sort()] as const);
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(exported));
  });

  test('states the bound of every label that a metric has, and of no other', async () => {
    const used = new Set(
      [...(await exportedMetrics())].flatMap(([name, { labels }]) => (name.startsWith('tollgate_') ? [...labels] : [])),
    );
    expect([...bounded].sort()).toEqual([...used].sort());
  });

  test('has what the notes on conventions ask of a gateway', () => {
    const asked = [
      'requests_total request_duration_seconds time_to_first_token_seconds inter_token_latency_seconds queue_wait_seconds',
      'input_tokens_total output_tokens_total cached_tokens_total inflight_requests queue_depth upstream_attempts_total',
      'upstream_retries_total rejections_total credits_reserved_usd credits_settled_usd_total worker_up worker_running',
      'worker_waiting worker_kv_cache_usage build_info',
    ];
    const names = asked.flatMap((line) => line.split(' ').map((name) => `tollgate_${name}`));
    expect(names.filter((name) => !listed.has(name))).toEqual([]);
  });
});

describe('a router under clients that make everything up', () => {
  const MADE_UP = 'hostile-canary';
  let around: Surroundings;
  let worker: Devworker;
  let router: RunningRouter;
  let key: TestKey;

  beforeAll(async () => {
    around = await startSurroundings();
    worker = await startDevworker({ speed: 4 });
    router = await around.router([worker.url], { TOLLGATE_ROUTER_METRICS_LISTEN: '127.0.0.1:0' });
    key = await funded();
  }, PATIENCE_MS);
  afterAll(async () => {
    await around.stop();
    await worker.close();
  });

  async function funded(): Promise<TestKey> {
    const made = await around.key();
    await around.credit(made.record.accountId, 1_000_000_000n);
    return made;
  }

  const metrics = async () => (await fetch(`${router.metricsUrl}/metrics`)).text();
  /** Without those of the queue: whether anybody has to wait is chance. Their labels are looked at below. */
  const seriesOf = (text: string) =>
    text
      .replaceAll(/^tollgate_queue_.*$/gm, '')
      .split('\n')
      .flatMap((line) => (line.startsWith('tollgate_') ? [line.slice(0, line.lastIndexOf(' '))] : []));

  /** One request with anything in it; answers its status. Not `fetch`, which is choosy about methods and headers. */
  function send(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<number> {
    return new Promise((resolve, reject) => {
      const sent = request(`${router.url}${path}`, { method, headers, agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode!));
      });
      sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  const bearer = (text: string) => ({ authorization: `Bearer ${text}`, 'content-type': 'application/json' });
  const methods = METHODS.filter((method) => !['CONNECT', 'HEAD'].includes(method));
  const hostile: ((i: number) => Promise<number>)[] = [
    (i) => send('POST', '/v1/chat/completions', bearer(key.text), hello({ model: `${MADE_UP}/${i}` })),
    (i) => send('POST', '/v1/embeddings', bearer(key.text), { model: `${MADE_UP}-${i}`, input: 'x' }),
    (i) => send('POST', '/v1/quote', bearer(key.text), hello({ model: `${MADE_UP}-${i}` })),
    (i) => send('GET', `/v1/models/${MADE_UP}-${i}`, bearer(key.text)),
    (i) => send('GET', `/${MADE_UP}/${i}?q=${i}`, {}),
    (i) => send('POST', `/v1/${MADE_UP}-${i}`, bearer(key.text), hello()),
    (i) => send('POST', '/v1/chat/completions', bearer(`${MADE_UP}${i}`), hello()),
    (i) =>
      send('POST', '/v1/chat/completions', bearer(mintKey((count) => systemRandom.bytes(count)).text), hello({ n: i })),
    (i) => send(methods[i % methods.length]!, '/v1/chat/completions', bearer(key.text)),
    (i) =>
      send(
        'POST',
        '/v1/chat/completions',
        {
          ...bearer(key.text),
          host: `${MADE_UP}-${i}`,
          'user-agent': `${MADE_UP}-${i}`,
          'x-request-id': `${MADE_UP}-${i}`,
          'x-tollgate-session': `${MADE_UP}-${i}`,
          'x-tollgate-priority': i % 2 === 0 ? 'interactive' : `${MADE_UP}-${i}`,
        },
        { ...hello({ max_tokens: 1, user: `${MADE_UP}-${i}` }), [`${MADE_UP}${i % 4}`]: i % 4 === 0 ? undefined : i },
      ),
  ];

  test(
    'no series more than after the first of each kind, and none that holds a word of theirs',
    async () => {
      // So many that each way in which each kind ends has been seen.
      for (let i = 0; i < 8; i++) await Promise.all(hostile.map((one) => one(i)));
      await Promise.all(methods.map((_, i) => hostile[8]!(i)));
      const before = await eventually('the worker has been asked about its cache', async () => {
        const text = await metrics();
        return text.includes('tollgate_worker_prefix_hit_ratio{') ? seriesOf(text) : null;
      });
      const perKind = counts(60, 500);
      for (let i = 0; i < perKind; i += 20) {
        const crowd = Array.from({ length: 20 }, (_, j) => hostile.map((one) => one(8 + i + j))).flat();
        // Every one of them has a key of its own and pays.
        const payer = await funded();
        crowd.push(send('POST', '/v1/chat/completions', bearer(payer.text), hello({ max_tokens: 1 })));
        const statuses = await Promise.all(crowd);
        expect(statuses.filter((status) => status >= 500)).toEqual([]);
      }
      const text = await metrics();
      expect(seriesOf(text).sort()).toEqual([...before].sort());
      expect(text).not.toContain(MADE_UP);
      const valuesOf = (label: string) =>
        new Set([...text.matchAll(new RegExp(`^tollgate_.*[{,]${label}="([^"]*)"`, 'gm'))].map(([, value]) => value!));
      expect([...valuesOf('model')].sort()).toEqual([MODEL, 'other'].sort());
      expect([...valuesOf('worker')]).toEqual([worker.url]);
      expect([...valuesOf('endpoint')].filter((name) => !(ENDPOINT_NAMES as readonly string[]).includes(name))).toEqual(
        [],
      );
      expect([...valuesOf('lane')].filter((lane) => lane !== 'interactive')).toEqual([]);
      expect([...valuesOf('outcome')].filter((name) => !(OUTCOMES as readonly string[]).includes(name))).toEqual([]);
      recordProof({
        name: 'metrics: series added by made-up models, paths, keys, methods and headers',
        count: perKind * hostile.length,
        result: '0 series more',
      });
    },
    PATIENCE_MS,
  );

  test('what is held for requests is told, and is nothing once they have ended; streams tell the pace of their tokens', async () => {
    const held = async () => Number(/^tollgate_credits_reserved_usd (\S+)$/m.exec(await metrics())![1]);
    await eventually('nothing is held', async () => (await held()) === 0);
    const before = /^tollgate_inter_token_latency_seconds_count\{[^}]*\} (\d+)$/m.exec(await metrics())?.[1] ?? '0';
    const response = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: bearer(key.text),
      body: JSON.stringify(hello({ max_tokens: 400, min_tokens: 400, ignore_eos: true, stream: true })),
    });
    const reader = response.body!.getReader();
    await reader.read();
    // 400 tokens of output and some of the prompt, at 400 nano-USD and less.
    expect(await held()).toBeGreaterThan(0.000_16);
    expect(await held()).toBeLessThan(0.001);
    while (!(await reader.read()).done);
    await eventually('nothing is held', async () => (await held()) === 0);
    const after = /^tollgate_inter_token_latency_seconds_count\{[^}]*\} (\d+)$/m.exec(await metrics())![1];
    expect(Number(after) - Number(before)).toBe(1);
  });
});
