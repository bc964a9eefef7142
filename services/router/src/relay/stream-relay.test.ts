import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@tollgate/shared/runtime/clock';
import type { RequestContext } from '../context.ts';
import type { Ticket } from '../fleet/worker.ts';
import type { Attempt } from '../upstream/attempt.ts';
import { ClientSide } from './client-side.ts';
import type { AttemptEnd, RelayLimits } from './relay.ts';
import { StreamReader } from './stream-reader.ts';
import { StreamRelay } from './stream-relay.ts';
import { Watch } from './watch.ts';

const choice = (content: string, finish: string | null) => ({ index: 0, delta: { content }, finish_reason: finish });
const event = (value: object) => `data: ${JSON.stringify({ id: 'x', created: 1, ...value })}\n\n`;
const WORDS = event({ choices: [choice('Hello', null)] });
const END = event({ choices: [choice(' there', 'stop')] });
const USAGE = event({
  choices: [],
  usage: {
    prompt_tokens: 3,
    completion_tokens: 2,
    total_tokens: 5,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  },
});
const DONE = 'data: [DONE]\n\n';

let server: Server;
/** What the relay gets of the worker, read by read; then its end is awaited. */
let reads: string[];
let settle: () => Promise<void>;
let end: Promise<AttemptEnd>;
let answered: boolean[];

beforeEach(async () => {
  answered = [];
  server = createServer((_request, response) => {
    const client = new ClientSide(response, 1_000, { gone() {}, drained() {} });
    const ctx = { startedMs: systemClock.monotonicMs(), firstTokenMs: null } as RequestContext;
    const relay = new StreamRelay(
      {
        ctx,
        client,
        limits: {} as RelayLimits,
        clock: systemClock,
        watch: new Watch(systemClock),
        ticket: { end() {}, firstToken() {}, progress() {}, heldUp() {} } as unknown as Ticket,
        headers: () => ({ 'content-type': 'text/event-stream' }),
        settle: () => {
          answered.push(ctx.answerStarted);
          return settle();
        },
        workerAnswers() {},
        aborted() {},
      },
      new StreamReader({
        usage: 'final',
        choices: 1,
        hasTools: false,
        maxTokens: 9,
        checks: null,
        shape: { sglang: false, reasoningField: 'reasoning' },
      }),
    );
    end = relay.end;
    const attempt = { abort() {} } as Attempt;
    relay.started(attempt, 200, 'text/event-stream');
    for (const read of reads) relay.bytes(attempt, Buffer.from(read));
    void end.then(({ kind }) => kind === 'failed' && client.cut('event: error\n\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
});

/** All that a client gets; '!' behind it where the stream was cut. */
async function got(): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const sent = request({ port, agent: false }).end();
  const [response] = await once(sent, 'response');
  let text = '';
  response.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const cut = await new Promise<boolean>((resolve) => {
    response.on('end', () => resolve(false)).on('error', () => resolve(true));
  });
  return text + (cut ? '!' : '');
}

const AS_SENT = [WORDS, END].map((text) => text.replace('}\n\n', ',"usage":null}\n\n')).join('');

test('the last words, the bill and the end of a stream that come in one read keep their order', async () => {
  settle = () => Promise.resolve();
  for (reads of [[WORDS + END + USAGE + DONE], [WORDS, END + USAGE + DONE], [WORDS, END, USAGE, DONE]]) {
    expect(await got()).toBe(AS_SENT + USAGE + DONE);
    expect(await end).toEqual({ kind: 'answered' });
  }
  // Whoever bills knows that the client has words, or is about to.
  expect(answered).toEqual([true, true, true]);
});

test('words whose bill nobody took are told before the error, and no end is', async () => {
  settle = () => Promise.reject(new Error('no disk, no Redis'));
  for (reads of [[WORDS + END + USAGE + DONE], [WORDS, END + USAGE + DONE]]) {
    expect(await got()).toBe(`${AS_SENT}event: error\n\n!`);
    expect(await end).toMatchObject({ kind: 'failed', failure: { reason: 'hold_lost' } });
  }
});

test('a head without words leaves too', async () => {
  const other = createServer(({ url }, response) => {
    const client = new ClientSide(response, 1_000, { gone() {}, drained() {} });
    client.start(200, { 'x-head': 'yes' });
    if (url === '/cut') client.cut('');
  });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  for (const path of ['/', '/cut']) {
    const [response] = await once(request({ port, path, agent: false }).end(), 'response');
    expect(response.headers['x-head']).toBe('yes');
    response.on('error', () => {}).destroy();
  }
  await new Promise((resolve) => other.close(resolve));
});
