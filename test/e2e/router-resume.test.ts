/** A worker dies in the middle of a stream: another goes on, and the client sees one whole answer. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Heard, hear } from '../chaos/worker-kit.ts';
import { eventuallyQuiet, MODEL, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 60_000;

let around: Surroundings;
let workers: Devworker[];
let key: TestKey;
let router: RunningRouter;

beforeAll(async () => {
  around = await startSurroundings();
  workers = await Promise.all([0, 1].map(() => startDevworker({ speed: 50 })));
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
  router = await around.router(workers.map(({ url }) => url));
}, PATIENCE_MS);

afterAll(async () => {
  await around.stop();
  await Promise.all(workers.map((worker) => worker.close()));
});

afterEach(async () => {
  await faults(null);
  await around.drain();
});

async function faults(text: string | null): Promise<void> {
  for (const { url } of workers) {
    const response = await fetch(`${url}/devworker/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fault: text }),
    });
    expect(response.status).toBe(200);
  }
}

async function recordOf({ id }: Heard): Promise<UsageRecord> {
  return eventually('the record', async () => (await around.records()).find((entry) => entry.requestId === id));
}

/** Greedy: a worker that goes on says what the first one would have said. */
const about = (topic: string, more: object = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content: `Tell me about ${topic}, slowly` }],
  temperature: 0,
  max_tokens: 60,
  ...more,
});

const thinking = { chat_template_kwargs: { enable_thinking: true } };

/** `whole` and the same request with each worker failing once in it. */
async function undisturbedAndCut(body: object, fault: string): Promise<[Heard, Heard]> {
  const whole = await hear(router.url, key.text, body);
  expect(whole).toMatchObject({ error: null, done: true, status: 200 });
  await faults(`${fault};times=1`);
  return [whole, await hear(router.url, key.text, body)];
}

function expectOneAnswer(cut: Heard, whole: Heard): void {
  expect(cut).toMatchObject({
    content: whole.content,
    reasoning: whole.reasoning,
    roles: 1,
    finish: whole.finish,
    error: null,
    done: true,
    promptTokens: whole.promptTokens,
    completionTokens: whole.completionTokens,
  });
  expect(cut.chunkIds.size).toBe(1);
  expect(cut.created.size).toBe(1);
}

describe('a stream of text', () => {
  test.each([
    ['bread', 'die;after=1'],
    ['bread', 'die;after=2'],
    ['salt', 'die;after=9'],
    ['rivers', 'truncate;after=5'],
    ['harbours', 'garbage;after=6'],
    ['grüße und 漢字', 'error;after=7'],
  ])('about %s with "%s" at both workers is one whole answer, billed once', async (topic, fault) => {
    const [whole, cut] = await undisturbedAndCut(about(topic), fault);
    expectOneAnswer(cut, whole);
    const [first, second] = [await recordOf(whole), await recordOf(cut)];
    expect(second).toMatchObject({
      outcome: 'served',
      promptTokens: first.promptTokens,
      completionTokens: first.completionTokens,
      countSource: 'engine',
    });
    await eventuallyQuiet(router);
  });

  test.each(['die;after=2', 'die;after=6', 'die;after=30'])(
    'with a thought before it goes on with "%s", thought or text',
    async (fault) => {
      const [whole, cut] = await undisturbedAndCut(about('glass', thinking), fault);
      expect(whole.reasoning).not.toBe('');
      expectOneAnswer(cut, whole);
      expect((await recordOf(cut)).completionTokens).toBe((await recordOf(whole)).completionTokens);
      expect((await recordOf(cut)).reasoningTokens).toBe((await recordOf(whole)).reasoningTokens);
    },
  );

  test('that hangs goes on elsewhere when its idle time has passed', async () => {
    const patient = await around.router(
      workers.map(({ url }) => url),
      { TOLLGATE_IDLE_TIMEOUT_MS: '300' },
    );
    const whole = await hear(patient.url, key.text, about('ships'));
    await faults('hang;after=4;times=1');
    expectOneAnswer(await hear(patient.url, key.text, about('ships')), whole);
    await eventuallyQuiet(patient);
    await patient.stop();
  });

  test('with stop strings shows no seam, and nobody pays for text that was held back', async () => {
    const body = about('lamps', { stop: ['zzzz'] });
    const [whole, cut] = await undisturbedAndCut(body, 'die;after=8');
    expect({ content: cut.content, error: cut.error }).toEqual({ content: whole.content, error: null });
    const [first, second] = [await recordOf(whole), await recordOf(cut)];
    expect(second.completionTokens).toBeLessThanOrEqual(first.completionTokens);
    expect(second.completionTokens + (second.absorbed.resume ?? 0)).toBeGreaterThanOrEqual(first.completionTokens);
  });

  test('whose workers die again and again ends with an error event, billed for what came', async () => {
    await faults('die;after=3');
    const cut = await hear(router.url, key.text, about('winter', { max_tokens: 200 }));
    expect(cut).toMatchObject({ status: 200, error: 'worker_stream_broken', done: false, roles: 1 });
    const record = await recordOf(cut);
    expect(record.outcome).toBe('worker_lost');
    expect(record.completionTokens).toBeGreaterThan(0);
    await eventuallyQuiet(router);
  });
});

const SCHEMA = {
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'city',
      schema: {
        type: 'object',
        properties: {
          name: { type: 'string', maxLength: 20 },
          streets: { type: 'array', items: { type: 'string', maxLength: 12 }, minItems: 6, maxItems: 8 },
        },
        required: ['name', 'streets'],
        additionalProperties: false,
      },
    },
  },
};

describe('what cannot be said on from the middle', () => {
  test.each([
    ['a document', SCHEMA],
    ['several choices', { n: 2, temperature: 0.7 }],
    ['log probabilities', { logprobs: true }],
  ])('%s that lost its worker ends with an error event', async (_name, more) => {
    await faults('die;after=6;times=1');
    const cut = await hear(router.url, key.text, about('maps', { max_tokens: 200, ...more }));
    expect(cut).toMatchObject({ status: 200, error: 'worker_stream_broken', done: false });
    expect((await recordOf(cut)).outcome).toBe('worker_lost');
  });

  test('a document of which nothing was said begins again elsewhere', async () => {
    const [whole, cut] = await undisturbedAndCut(about('towns', { ...SCHEMA, max_tokens: 400 }), 'die;after=1');
    expect(cut).toMatchObject({ error: null, done: true, roles: 1, finish: 'stop' });
    expect(JSON.parse(cut.content)).toEqual(JSON.parse(whole.content));
    expect((await recordOf(cut)).completionTokens).toBe((await recordOf(whole)).completionTokens);
  });
});
