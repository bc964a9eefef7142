/**
 * Mutated bodies through a whole router, per contract: never a 500, nothing upstream that was not read, no request billed and refused.
 * The worker is a stub that answers at once, so that a full run of 10,000 per contract takes minutes.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import fc from 'fast-check';
import type { RunningRouter } from '../../services/router/src/app.ts';
import {
  CATALOG_MODEL,
  eventuallyQuiet,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from '../e2e/router-kit.ts';
import { BASES, type Contract } from './contracts/kit.ts';
import { mutatedBody } from './fuzz-bodies.ts';

/** Every field that the router writes into a worker's body: what is read, and what it sets itself. */
const UPSTREAM = new Set(
  (
    'model messages max_tokens min_tokens n temperature top_p top_k min_p presence_penalty frequency_penalty repetition_penalty seed ' +
    'stop logit_bias logprobs top_logprobs ignore_eos include_stop_str_in_output tools tool_choice parallel_tool_calls ' +
    'structured_outputs chat_template_kwargs stream stream_options priority cache_salt'
  ).split(' '),
);
const SET_BY_ROUTER = { cache_salt: /^[\w-]+$/, priority: /^-?\d+$/ };

let around: Surroundings;
let worker: Server;
let router: RunningRouter;
let key: TestKey;
const problems: string[] = [];
let generated = 0;

beforeAll(async () => {
  around = await startSurroundings([CATALOG_MODEL]);
  worker = createServer((req, res) => {
    const parts: Buffer[] = [];
    req.on('data', (part: Buffer) => parts.push(part));
    req.on('end', () => {
      const text = Buffer.concat(parts).toString();
      if (req.url === '/v1/models')
        res.end(JSON.stringify({ data: [{ id: MODEL, max_model_len: 32_768, owned_by: 'vllm' }] }));
      else if (req.url === '/version') res.end('{"version":"0.32.0"}');
      else if (req.method !== 'POST' || text === '') res.end();
      else if (req.url === '/tokenize') res.end('{"count":5}');
      else answer(JSON.parse(text), res);
    });
  });
  await new Promise<void>((resolve) => worker.listen(0, '127.0.0.1', resolve));
  // A store that a crowded machine makes slow is no finding here.
  const env = { TOLLGATE_REDIS_DEADLINE_MS: '60000' };
  router = await around.router([`http://127.0.0.1:${(worker.address() as AddressInfo).port}`], env);
  key = await around.key();
  await around.credit(key.record.accountId, 8_000_000_000_000_000n);
});
afterAll(async () => {
  await around.stop();
  worker.closeAllConnections();
  worker.close();
});

/** A document that the schema of the bodies accepts, so that a schema beside it is no reason to refuse. */
const CONTENT = JSON.stringify({ category: 'bug', summary: 'it does not work', tags: ['a'] });
const USAGE = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };

function answer(body: Record<string, unknown>, res: import('node:http').ServerResponse): void {
  generated++;
  for (const name of Object.keys(body)) if (!UPSTREAM.has(name)) problems.push(`upstream got ${name}`);
  for (const [name, form] of Object.entries(SET_BY_ROUTER)) {
    if (name in body && !form.test(String(body[name]))) problems.push(`upstream got ${name} ${String(body[name])}`);
  }
  const choices = (more: (index: number) => object) =>
    Array.from({ length: (body.n as number | undefined) ?? 1 }, (_, index) => ({
      index,
      finish_reason: 'stop',
      ...more(index),
    }));
  if (body.stream !== true) {
    const message = { role: 'assistant', content: CONTENT };
    res.setHeader('content-type', 'application/json');
    res.end(
      JSON.stringify({
        id: 'x',
        object: 'chat.completion',
        model: MODEL,
        choices: choices(() => ({ message })),
        usage: USAGE,
      }),
    );
    return;
  }
  const chunk = { id: 'x', object: 'chat.completion.chunk', created: 1, model: MODEL };
  res.setHeader('content-type', 'text/event-stream; charset=utf-8');
  for (const choice of choices(() => ({ delta: { role: 'assistant', content: CONTENT } })))
    res.write(`data: ${JSON.stringify({ ...chunk, choices: [choice] })}\n\n`);
  res.end(`data: ${JSON.stringify({ ...chunk, choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`);
}

async function ask(contract: Contract, body: unknown): Promise<{ id: string; status: number; text: string }> {
  const response = await fetch(`${router.url}${BASES[contract]}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { id: response.headers.get('x-request-id')!, status: response.status, text };
}

const runs = counts(50, 10_000);
const AT_ONCE = 16;

describe.each(Object.keys(BASES) as Contract[])('%s', (contract) => {
  test(
    'a mutated body gets an answer of the contract, and is billed exactly when it got one',
    async () => {
      const bodies = fc.sample(mutatedBody, { numRuns: runs, seed: testSeed() });
      const answers: Awaited<ReturnType<typeof ask>>[] = [];
      const before = generated;
      for (let at = 0; at < bodies.length; at += AT_ONCE) {
        // Nobody else extends the lease, and a full run takes longer than one lasts.
        if (at % (64 * AT_ONCE) === 0) await around.credit(key.record.accountId, 1n);
        answers.push(...(await Promise.all(bodies.slice(at, at + AT_ONCE).map((body) => ask(contract, body)))));
      }
      await eventuallyQuiet(router);
      const served = answers.filter(({ status }) => status === 200);
      const billed = new Set<string>();
      // A record may come by the spool, after its answer.
      await eventually('every answer has its bill', async () => {
        for (const { requestId, amountNusd } of await around.drain()) if (amountNusd > 0n) billed.add(requestId);
        return served.every(({ id }) => billed.has(id));
      });
      for (const { status, text } of answers) {
        expect([status, status >= 500 ? text : '']).toEqual([status, '']);
        if (status !== 200) expect([400, 401, 404, 422, 429]).toContain(status);
      }
      expect(billed).toEqual(new Set(served.map(({ id }) => id)));
      expect(generated - before).toBe(served.length);
      expect(problems).toEqual([]);
      expect(served.length).toBeGreaterThan(0);
      recordProof({
        name: `contract ${contract}: mutated bodies through the router`,
        count: runs,
        seed: testSeed(),
        result: `0 faults, ${served.length} served and billed, ${runs - served.length} refused and free`,
      });
    },
    counts(60_000, 1_200_000),
  );
});
