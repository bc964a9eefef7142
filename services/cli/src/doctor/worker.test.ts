/** Doctor's questions to real look-alikes, good and bad ones. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
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
