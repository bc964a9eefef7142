/** Doctor's questions to real look-alikes, good and bad ones, and to streams that something on the way has spoilt. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { judgeStream, type StreamSeen } from './stream.ts';
import { checkWorker, judgeGuided } from './worker.ts';

let workers: Devworker[] = [];
let servers: Server[] = [];
afterEach(async () => {
  for (const worker of workers) await worker.close();
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  workers = [];
  servers = [];
});

async function worker(options: Parameters<typeof startDevworker>[0] = {}): Promise<Devworker> {
  const started = await startDevworker({ speed: 20, ...options });
  workers.push(started);
  return started;
}

/** Something in front of a worker that changes a path's answer, or a request's body. */
async function inFront(
  url: string,
  change: { path?: string; answer?: (text: string) => string; body?: (body: string) => string },
): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { 'content-length': _length, ...headers } = incoming.headers;
      const onward = request(new URL(incoming.url!, url), { method: incoming.method ?? 'GET', headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const isChanged = incoming.url === change.path && change.answer !== undefined;
          outgoing.writeHead(answer.statusCode!, { 'content-type': answer.headers['content-type'] ?? 'text/plain' });
          outgoing.end(isChanged ? change.answer!(text) : text);
        });
      });
      onward.on('error', () => outgoing.destroy());
      onward.end(change.body && body !== '' ? change.body(body) : body);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const verdicts = async (url: string) =>
  Object.fromEntries((await checkWorker(url)).map(({ name, ok }) => [name.split(' ').slice(2).join(' '), ok]));
const ALL_GOOD = {
  model: true,
  'guided JSON': true,
  'usage in streams': true,
  'cached tokens': true,
  metrics: true,
  abort: true,
};

describe('a worker', () => {
  test.each(['vllm', 'sglang'] as const)('of %s that does all it should passes', async (dialect) => {
    expect(await verdicts((await worker({ dialect })).url)).toEqual(ALL_GOOD);
  });

  test('that drops schemas is found, and so is one behind something that hides who has left', async () => {
    const { url } = await worker();
    const withoutSchema = (body: string) => JSON.stringify({ ...JSON.parse(body), response_format: undefined });
    // It also reads whole answers before it passes them on: the worker never learns that its client left.
    const found = await verdicts(await inFront(url, { body: withoutSchema }));
    expect(found).toMatchObject({ model: true, 'guided JSON': false, 'usage in streams': true });
  });

  test('whose metrics have other names, and that tells no cached tokens', async () => {
    const { url } = await worker();
    const renamed = await inFront(url, { path: '/metrics', answer: (text) => text.replaceAll('vllm:', 'other:') });
    expect(await verdicts(renamed)).toMatchObject({ metrics: false, abort: false, 'guided JSON': true });
    const silent = await inFront(url, {
      path: '/v1/chat/completions',
      answer: (text) => text.replaceAll('"cached_tokens"', '"other"'),
    });
    const checks = await checkWorker(silent);
    expect(checks.find(({ name }) => name.endsWith('cached tokens'))).toMatchObject({
      ok: false,
      fix: expect.stringContaining('--enable-prompt-tokens-details'),
    });
  });

  test('that only routers can reach is no failure', async () => {
    expect(await checkWorker('http://127.0.0.1:1')).toMatchObject([{ ok: true, fix: expect.anything() }]);
  });

  test('a schema counts as kept only by a document of it', () => {
    expect(judgeGuided('{"colour":"ultramarine","number":4}')).toBe(true);
    for (const text of [
      '',
      'Once upon',
      '{"colour":"red","number":4}',
      '{"colour":"ultramarine","number":4,"x":1}',
      '[]',
    ])
      expect(judgeGuided(text)).toBe(false);
  });
});

describe('a stream through the public address', () => {
  const every = (stepMs: number, count: number) => Array.from({ length: count }, (_, i) => 500 + i * stepMs);
  const seen = (more: Partial<StreamSeen>): StreamSeen => ({
    status: 200,
    contentType: 'text/event-stream; charset=utf-8',
    contentEncoding: null,
    arrivalsMs: every(100, 895),
    end: 'enough',
    endMs: 90_000,
    ...more,
  });
  const bad = (more: Partial<StreamSeen>) =>
    judgeStream(seen(more), 90)
      .filter(({ ok }) => !ok)
      .map(({ name }) => name.replace('public stream', '').trim());

  test.each<[string, Partial<StreamSeen>, string[]]>([
    ['as it should be', {}, []],
    ['held back to the end', { arrivalsMs: [89_900, 89_901, 89_902] }, ['buffering']],
    ['given in three lumps', { arrivalsMs: [30_000, 30_001, 60_000, 60_002, 89_000] }, ['buffering']],
    ['compressed', { contentEncoding: 'gzip' }, ['compression']],
    ['cut after a minute', { end: 'cut', endMs: 60_000, arrivalsMs: every(100, 590) }, ['duration']],
    ['done early', { end: 'finished', endMs: 4_000, arrivalsMs: every(20.5, 170) }, []],
    ['refused', { status: 401, contentType: 'application/json' }, ['']],
  ])('%s', (_what, more, expected) => expect(bad(more)).toEqual(expected));

  test('every failure has a fix', () => {
    for (const more of [{ arrivalsMs: [] }, { contentEncoding: 'br' }, { end: 'cut' as const }, { status: 502 }])
      for (const check of judgeStream(seen(more), 90)) if (!check.ok) expect(check.fix).toBeTruthy();
  });
});
