/** What an operator sees of one request: its timing, why that worker, its spans; and nothing of what was said. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { Prometheus, prometheusProgram } from '../kube/prometheus.ts';
import { MODEL, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

interface Sent {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: Record<string, unknown> }[];
}

let surroundings: Surroundings;
let workers: Devworker[];
let collector: Server;
let collected = '';
let url: string;
let metricsUrl: string;
let plain: TestKey;
let admin: TestKey;

beforeAll(async () => {
  surroundings = await startSurroundings();
  workers = await Promise.all([0, 1].map(() => startDevworker({ model: MODEL, speed: 50 })));
  collector = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => {
      collected += text;
    });
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const router = await surroundings.router(
    workers.map((worker) => worker.url),
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
      TOLLGATE_ROUTER_METRICS_LISTEN: '127.0.0.1:0',
    },
  );
  url = router.url;
  metricsUrl = router.metricsUrl!;
  plain = await surroundings.key();
  admin = await surroundings.key({ scopes: ['chat', 'route-explain'] });
  for (const { record } of [plain, admin]) await surroundings.credit(record.accountId, 1_000_000_000_000n);
}, 60_000);
afterAll(async () => {
  await surroundings?.stop();
  await Promise.all(workers.map((worker) => worker.close()));
  collector.close();
}, 60_000);

const ask = (key: TestKey, more: Record<string, string> = {}, stream = false) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}`, ...more },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'a canary in the traces' }],
      max_tokens: 4,
      stream,
    }),
  });

test('an answer says how long it waited for a worker and for its first token', async () => {
  for (const stream of [false, true]) {
    const response = await ask(plain, {}, stream);
    await response.text();
    expect(response.headers.get('server-timing')).toMatch(/^queue;dur=\d+\.\d, first-token;dur=\d+\.\d$/);
  }
});

test('why this worker: the scores of all candidates, for a key that may know, and for no other', async () => {
  const response = await ask(admin, { 'x-tollgate-route-explain': '1' });
  await response.text();
  const told = JSON.parse(response.headers.get('x-tollgate-route-explain')!);
  const urls = workers.map((worker) => worker.url);
  expect(told).toMatchObject({ policy: 'cost', of: 2 });
  expect(urls).toContain(told.chosen);
  expect(told.candidates.map(({ worker }: { worker: string }) => worker).sort()).toEqual([...urls].sort());
  for (const { costMs, running, health } of told.candidates) {
    expect(costMs).toBeGreaterThan(0);
    expect({ running, health }).toEqual({ running: 0, health: expect.any(Number) });
  }
  for (const [key, headers] of [
    [plain, { 'x-tollgate-route-explain': '1' }],
    [admin, {}],
  ] as const) {
    const silent = await ask(key, headers);
    await silent.text();
    expect(silent.headers.get('x-tollgate-route-explain')).toBeNull();
  }
});

test('spans reach the collector under the caller, with counts and without a word of what was said', async () => {
  const trace = crypto.randomUUID().replaceAll('-', '');
  const response = await ask(plain, { traceparent: `00-${trace}-b7ad6b7169203331-01` });
  const { usage } = (await response.json()) as { usage: { prompt_tokens: number; completion_tokens: number } };
  const spans = await eventually(
    'both spans are there',
    () => {
      const all = [...collected.matchAll(/\{"resourceSpans".*?\}\]\}\]\}\]\}/gs)].flatMap(([text]) =>
        (JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: Sent[] }[] }[] }).resourceSpans.flatMap(
          (resource) => resource.scopeSpans.flatMap((scope) => scope.spans),
        ),
      );
      const mine = all.filter(({ traceId }) => traceId === trace);
      return mine.length === 2 ? mine : null;
    },
    { deadlineMs: 30_000, everyMs: 100 },
  );
  const server = spans.find(({ name }) => name === 'POST /v1/chat/completions')!;
  const client = spans.find(({ name }) => name === `chat ${MODEL}`)!;
  expect([server.parentSpanId, client.parentSpanId]).toEqual(['b7ad6b7169203331', server.spanId]);
  const attribute = (span: Sent, key: string) =>
    Object.values(span.attributes.find((each) => each.key === key)!.value)[0];
  expect(attribute(client, 'gen_ai.usage.input_tokens')).toBe(usage.prompt_tokens);
  expect(attribute(client, 'gen_ai.usage.output_tokens')).toBe(usage.completion_tokens);
  expect(attribute(server, 'tollgate.request_id')).toBe(response.headers.get('x-request-id'));
  expect(collected).not.toContain('canary');
  expect(collected).not.toContain(plain.text);
}, 60_000);

test('a graph of first tokens leads to the trace of one of them, in a real Prometheus too', async () => {
  const trace = crypto.randomUUID().replaceAll('-', '');
  await (await ask(plain, { traceparent: `00-${trace}-b7ad6b7169203331-01` })).text();
  const histogram = 'tollgate_time_to_first_token_seconds_bucket';
  const textFor = async (accept: string) => (await fetch(`${metricsUrl}/metrics`, { headers: { accept } })).text();
  const told = new RegExp(`^${histogram}\\{[^}]*\\} \\d+ # \\{trace_id="${trace}"\\} \\S+ \\d+\\.\\d+$`, 'm');
  expect(await textFor('application/openmetrics-text;version=1.0.0')).toMatch(told);
  expect(await textFor('*/*')).not.toContain(trace);
  if (!prometheusProgram) return;
  const target = { targets: [new URL(metricsUrl).host], labels: {} };
  const prometheus = await Prometheus.start(surroundings.folder(), [target]);
  await eventually('Prometheus knows the trace', async () => (await prometheus.traces(histogram)).includes(trace));
  // The names are those of the other format.
  expect(await prometheus.ask('sum(tollgate_requests_total)')).toBeGreaterThan(0);
  expect(await prometheus.ask('sum(up)')).toBe(1);
  await prometheus.stop();
}, 60_000);
