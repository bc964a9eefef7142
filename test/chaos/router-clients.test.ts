/** Clients that leave and clients that read slowly: what they pay, that the worker stops, that memory stays bounded. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import {
  eventuallyQuiet,
  hello,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from '../e2e/router-kit.ts';

let around: Surroundings;
let worker: Devworker;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 4 });
  key = await around.key();
  await around.credit(key.record.accountId, 90_000_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

function post(router: RunningRouter, body: object, signal: AbortSignal): Promise<Response> {
  return fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
    body: JSON.stringify(body),
    signal,
  });
}

const ofOutcome = (outcome: string) => async (): Promise<UsageRecord[]> =>
  (await around.records()).filter((record) => record.outcome === outcome);

describe('a client that leaves', () => {
  test(
    'a stream: is billed what was produced, and the worker sees the abort',
    async () => {
      const router = await around.router([worker.url]);
      const rounds = counts(5, 100);
      const abortMs: number[] = [];
      for (let i = 0; i < rounds; i++) {
        const control = new AbortController();
        const aborted = worker.totals.aborts.length;
        const response = await post(
          router,
          hello({ stream: true, max_tokens: 4_000, ignore_eos: true }),
          control.signal,
        );
        const reader = response.body!.getReader();
        let text = '';
        while (text.split('data: ').length < 6) text += Buffer.from((await reader.read()).value!).toString();
        const leftMs = performance.now();
        control.abort();
        await eventually('the worker stopped', () => worker.totals.aborts.length > aborted, { everyMs: 2 });
        abortMs.push(performance.now() - leftMs);
        const delivered = text.split('"content":"').length - 2;
        const id = response.headers.get('x-request-id');
        const record = await eventually('the bill', async () =>
          (await around.records()).find((r) => r.requestId === id),
        );
        expect(record).toMatchObject({ outcome: 'client_gone', countSource: 'engine', cachedTokens: 0 });
        expect(record.completionTokens).toBeGreaterThanOrEqual(delivered);
        // What the worker had made by then is the most that can be billed.
        expect(record.completionTokens).toBeLessThan(4_000);
      }
      abortMs.sort((a, b) => a - b);
      recordProof({
        name: 'the worker sees a client leave',
        count: rounds,
        result: `p50 ${abortMs[Math.floor(rounds / 2)]!.toFixed(1)} ms, worst ${abortMs.at(-1)!.toFixed(1)} ms`,
      });
      await eventuallyQuiet(router);
      await around.drain();
      await router.stop();
    },
    counts(90_000, 1_800_000),
  );

  test('a plain request: is billed the prompt as the tokenizer counts it, nothing else', async () => {
    const router = await around.router([worker.url]);
    const control = new AbortController();
    const running = post(router, hello({ max_tokens: 4_000, ignore_eos: true }), control.signal).catch(() => null);
    await eventually('the worker has it', () => router.counters().workers[0]! > 0);
    const aborted = worker.totals.aborts.length;
    control.abort();
    await running;
    await eventually('the worker stopped', () => worker.totals.aborts.length > aborted);
    const [record] = await eventually('the bill', async () => {
      const found = await ofOutcome('client_gone')();
      return found.length > 0 ? found : null;
    });
    expect(record).toMatchObject({ completionTokens: 0, cachedTokens: 0, countSource: 'engine' });
    expect(record!.promptTokens).toBeGreaterThan(3);
    await eventuallyQuiet(router);
    await around.drain();
    await router.stop();
  });
});

describe('slow readers', () => {
  /** A worker that sends as fast as it is let. */
  let flood: Server;
  let sent: number;
  let asked = 0;

  beforeAll(async () => {
    // Large events: what stands still is bytes, and a thousand floods of small ones take minutes to get there.
    const event = `data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"${'x'.repeat(60_000)}"},"finish_reason":null}],"usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2}}\n\n`;
    flood = createServer((req, res) => {
      if (req.method === 'GET') {
        res.end(req.url === '/v1/models' ? JSON.stringify({ data: [{ id: MODEL, max_model_len: 32_768 }] }) : '');
        return;
      }
      req.resume();
      asked++;
      res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      const pump = (): void => {
        while (!res.destroyed) {
          sent += event.length;
          if (!res.write(event)) break;
        }
      };
      res.on('drain', pump);
      pump();
    });
    await new Promise<void>((resolve) => flood.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    flood.closeAllConnections();
    flood.close();
  });

  test(
    'hold the worker back, are cut and billed, and cost a bounded amount of memory each',
    async () => {
      sent = 0;
      asked = 0;
      const readers = counts(20, 1_000);
      const router = await around.router([`http://127.0.0.1:${(flood.address() as AddressInfo).port}`], {
        TOLLGATE_SLOW_READER_MS: '1500',
        TOLLGATE_WORKER_CONCURRENCY: '2000',
      });
      const body = JSON.stringify(hello({ stream: true }));
      const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key.text}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      const { port } = new URL(router.url);
      const sockets: Socket[] = [];
      const closed: Promise<void>[] = [];
      for (let i = 0; i < readers; i++) {
        const socket = connect({ port: Number(port), host: '127.0.0.1' });
        // Nobody reads from it: the kernel's buffers fill, then ours must not.
        socket.pause();
        socket.on('error', () => {});
        socket.write(request);
        sockets.push(socket);
        closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
        // All at once, some would be refused for a Redis that is late, and nobody reads that either. Asked, not
        // running: on a busy machine the first may be cut before the last has begun.
        if (sockets.length % 20 === 0) {
          await eventually(`${sockets.length} streams have begun`, () => asked === sockets.length, {
            deadlineMs: 90_000,
          });
        }
      }
      await eventually('everything stands still', async () => {
        const before = sent;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return sent > 0 && sent === before;
      });
      // Bytes taken from the worker beyond what the kernel holds would be ours; a reader's share stays below the bound.
      const perReader = sent / readers;
      await eventually(
        'all are cut and billed',
        async () => (await ofOutcome('slow_reader_cut')()).length === readers,
        {
          deadlineMs: 90_000,
        },
      );
      for (const socket of sockets) socket.resume();
      await Promise.all(closed);
      await eventuallyQuiet(router);
      // 8 MiB: send and receive buffers of two loopback sockets at their largest, and ours.
      expect(perReader).toBeLessThan(16 * 1024 * 1024);
      for (const record of await ofOutcome('slow_reader_cut')()) {
        expect(record).toMatchObject({ promptTokens: 3, completionTokens: 2 });
      }
      recordProof({
        name: 'slow readers are held back, cut, billed',
        count: readers,
        result: `${Math.round(perReader / 1024)} KiB taken from the worker per reader`,
      });
      await around.drain();
      await router.stop();
    },
    counts(90_000, 1_800_000),
  );
});
