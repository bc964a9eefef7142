/** Upstream bytes cut at every offset give identical client bytes and equal usage, through real sockets. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RunningRouter } from '@tollgate/router/app';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, MODEL, type Surroundings, startSurroundings, type TestKey } from '../e2e/router-kit.ts';

/** What a real vLLM answered to a stream with usage in every chunk. */
const RECORDED = recorded('stream-continuous-usage');
const BODIES: Record<string, string> = {
  lf: RECORDED,
  crlf: RECORDED.replaceAll('\n', '\r\n'),
  comments: RECORDED.replaceAll('data: {', ': keep-alive\n\ndata: {'),
  wide: RECORDED.replace('" 499"', '"grüße 漢字 🚀"'),
};
const AT_ONCE = 16;

let around: Surroundings;
let worker: Server;
let router: RunningRouter;
let key: TestKey;

function recorded(name: string): string {
  const file = new URL('../../services/devworker/goldens/stream.jsonl', import.meta.url);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const golden = lines.map((line) => JSON.parse(line)).find((entry) => entry.name === name);
  return golden.bodyText;
}

beforeAll(async () => {
  around = await startSurroundings();
  worker = createServer((req, res) => {
    if (req.method === 'GET') {
      res.end(req.url === '/v1/models' ? JSON.stringify({ data: [{ id: MODEL, max_model_len: 32_768 }] }) : '');
      return;
    }
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const [name, cut] = JSON.parse(Buffer.concat(chunks).toString()).messages[0].content.split(' ');
      const bytes = Buffer.from(BODIES[name]!);
      res.socket!.setNoDelay(true);
      res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      // Each piece is its own segment: the second goes out once the first has left.
      res.write(bytes.subarray(0, Number(cut)), () => setImmediate(() => res.end(bytes.subarray(Number(cut)))));
    });
  });
  await new Promise<void>((resolve) => worker.listen(0, '127.0.0.1', resolve));
  router = await around.router([`http://127.0.0.1:${(worker.address() as AddressInfo).port}`]);
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  worker.closeAllConnections();
  worker.close();
});

test.each(Object.keys(BODIES))(
  'cut anywhere: %s',
  async (name) => {
    const length = Buffer.byteLength(BODIES[name]!);
    const step = counts(97, 1);
    const cuts = Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
    const ask = (cut: number) =>
      chat(router, key.text, {
        model: MODEL,
        stream: true,
        max_tokens: 6,
        messages: [{ role: 'user', content: `${name} ${cut}` }],
      });
    const whole = await ask(length);
    expect(whole.text).toMatch(/data: \[DONE\](\r?\n){2}$/);
    expect(whole.text).not.toContain('"usage"');
    for (let at = 0; at < cuts.length; at += AT_ONCE) {
      const answers = await Promise.all(cuts.slice(at, at + AT_ONCE).map(ask));
      for (const answer of answers) expect(answer.text).toBe(whole.text);
    }
    const records = await eventually('every request is settled', async () => {
      const all = await around.records();
      return all.length === cuts.length + 1 ? all : null;
    });
    for (const record of records) {
      expect(record).toMatchObject({
        outcome: 'served',
        promptTokens: 31,
        cachedTokens: 0,
        completionTokens: 6,
        clipped: false,
      });
    }
    await around.drain();
    recordProof({
      name: `stream cut at every offset gives identical bytes and usage (${name})`,
      count: cuts.length,
      result: '0 differences',
    });
  },
  counts(60_000, 300_000),
);
