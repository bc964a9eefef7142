/**
 * One test per surprise of a real vLLM 0.29.0, by number: the worker reproduces it (a golden of the same habit stands
 * beside it), and what is tested is what a client of Tollgate sees instead.
 */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { readPlainAnswer } from '@tollgate/router/relay/plain-answer';
import { StreamReader } from '@tollgate/router/relay/stream-reader';
import { eventually } from '@tollgate/shared/testkit/eventually';
import {
  type Answer,
  chat as ask,
  events,
  hello,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from '../e2e/router-kit.ts';

jest.setTimeout(60_000);

/** The worker's token for `</think>`, as in the goldens. */
const END_OF_THOUGHT = 4;
const CITY = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 30 }, degrees: { type: 'number', minimum: 1, maximum: 9 } },
  required: ['city', 'degrees'],
  additionalProperties: false,
};
const TOOL = { type: 'function', function: { name: 'go', parameters: CITY } };
const formOf = (schema: object) => ({ type: 'json_schema', json_schema: { name: 'x', schema } });
const FORM = { response_format: formOf(CITY), max_tokens: 200 };

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;
let key: TestKey;
let trusted: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 50 });
  router = await around.router([worker.url], { TOLLGATE_FIRST_TOKEN_TIMEOUT_MS: '60000' });
  key = await around.key();
  trusted = await around.key({ allowGrammars: true });
  for (const { record } of [key, trusted]) await around.credit(record.accountId, 100_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

const chat = (more: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(router, trusted.text, hello(more), headers);

/** Sends with a bad habit of the worker's model. */
async function withFault<T>(fault: string, run: () => Promise<T>): Promise<T> {
  await setFault(fault);
  try {
    return await run();
  } finally {
    await setFault(null);
  }
}

async function setFault(fault: string | null): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ fault });
  expect((await fetch(`${worker.url}/devworker/faults`, { method: 'POST', headers, body })).status).toBe(200);
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
const parsed = (answer: Answer): any[] =>
  events(answer.text)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data));
const contentOf = (answer: Answer): string =>
  parsed(answer)
    .map((chunk) => chunk.choices?.[0]?.delta.content ?? '')
    .join('');
const finishOf = (answer: Answer): string | undefined =>
  parsed(answer)
    .map((chunk) => chunk.choices?.[0]?.finish_reason)
    .findLast((reason) => typeof reason === 'string');
const lastOf = (answer: Answer) => parsed(answer).at(-1);

test('1: a refusal that a worker tells inside a 200 is a 400 of ours, streamed or not', async () => {
  for (const stream of [true, false]) {
    const answer = await chat({ stream, logit_bias: { 9999999: 1 } });
    expect(answer).toMatchObject({ status: 400, json: { error: { type: 'invalid_request_error' } } });
  }
  const schema = { type: 'object', properties: { a: { type: 'banana' } } };
  const answer = await chat({ stream: true, response_format: formOf(schema) });
  expect(answer.status).toBe(400);
  expect(answer.json.error).toMatchObject({
    code: 'invalid_schema',
    metadata: { pointer: '/properties/a/type', keyword: 'type' },
  });
});

test('2: an error event with white space in its JSON is read as one', async () => {
  const answer = await withFault('error;after=2', () => chat({ stream: true }));
  expect(answer.status).toBe(200);
  expect(lastOf(answer).error).toMatchObject({ type: 'upstream_error', code: 'worker_stream_broken' });
  expect(answer.text).not.toContain('[DONE]');
});

test('3: a tool call cut at the output limit ends with `length`, and no raw call is shown as text', async () => {
  const call = { tools: [TOOL], tool_choice: 'required', max_tokens: 10 };
  expect(finishOf(await chat({ ...call, stream: true }))).toBe('length');
  const plain = await chat(call);
  expect(plain.json.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: null } });
  expect(plain.text).not.toContain('<tool_call>');
});

test('4: arguments are whole JSON, streamed or not', async () => {
  const call = { tools: [TOOL], tool_choice: 'required', max_tokens: 200, seed: 3 };
  const plain = await chat(call);
  const text = parsed(await chat({ ...call, stream: true }))
    .flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? [])
    .map((part) => part.function.arguments ?? '')
    .join('');
  expect(JSON.parse(text)).toEqual(JSON.parse(plain.json.choices[0].message.tool_calls[0].function.arguments));
});

test('5: white space without end is cancelled and ends with an error event, not at the output limit', async () => {
  const answer = await withFault('whitespace;count=0', () => chat({ ...FORM, max_tokens: 4000, stream: true }));
  expect(lastOf(answer).error).toMatchObject({ code: 'invalid_output' });
  expect(answer.text).not.toContain('[DONE]');
  const record = await eventually('the record', async () =>
    (await around.records()).find((entry) => entry.requestId === answer.headers.get('x-request-id')),
  );
  expect(record.completionTokens).toBeLessThan(1000);
});

test('6: special tokens of the chat template never reach the client', async () => {
  for (const stream of [true, false]) {
    const answer = await withFault('leak', () => chat({ ...FORM, stream }));
    expect(answer.status).toBe(200);
    expect(answer.text).not.toMatch(/<\|(im_start|im_end|endoftext)\|>/);
    expect(JSON.parse(stream ? contentOf(answer) : answer.json.choices[0].message.content)).toHaveProperty('city');
  }
});

test('7: a thought that was closed before it began leaves no trace in the text, streamed or not', async () => {
  for (const stream of [true, false]) {
    const answer = await chat({ stream, max_tokens: 3, temperature: 0, logit_bias: { [END_OF_THOUGHT]: 100 } });
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('</think>');
  }
});

test('8: a schema or a forced tool switches thinking off, so its grammar is applied', async () => {
  const thinking = { chat_template_kwargs: { enable_thinking: true } };
  const document = await chat({ ...FORM, ...thinking });
  expect(JSON.parse(document.json.choices[0].message.content)).toHaveProperty('city');
  const call = await chat({ tools: [TOOL], tool_choice: 'required', max_tokens: 200, ...thinking });
  expect(call.json.choices[0].message.tool_calls[0].function.name).toBe('go');
});

test('9: a bound that one backend drops and another refuses holds, and is never a refusal', async () => {
  const objectOf = (a: object) => ({ type: 'object', properties: { a }, required: ['a'], additionalProperties: false });
  const holds: [object, (a: unknown) => boolean][] = [
    [
      { type: 'string', pattern: '^(ab|c)+$', maxLength: 4 },
      (a) => /^(ab|c){1,4}$/.test(String(a)) && `${a}`.length <= 4,
    ],
    [{ type: 'integer', multipleOf: 37, minimum: 0, maximum: 999 }, (a) => Number(a) % 37 === 0],
  ];
  for (const [a, fits] of holds) {
    for (let seed = 0; seed < 4; seed++) {
      const answer = await chat({ response_format: formOf(objectOf(a)), max_tokens: 200, seed });
      if (answer.status === 200 && answer.json.choices[0].finish_reason === 'stop')
        expect([a, fits(JSON.parse(answer.json.choices[0].message.content).a)]).toEqual([a, true]);
      else expect([200, 502]).toContain(answer.status);
    }
  }
});

test('10: what the engine drops is checked after it: no invalid document is delivered as complete', async () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string', enum: ['x', 'y'] }, b: { type: 'string', enum: ['x', 'y'] } },
    required: ['a', 'b'],
    additionalProperties: false,
    not: { properties: { a: { const: 'x' } } },
  };
  let delivered = 0;
  for (let seed = 0; seed < 6; seed++) {
    for (const stream of [false, true]) {
      const answer = await chat({ response_format: formOf(schema), max_tokens: 200, seed, stream });
      if (answer.status === 502 || answer.text.includes('"error"')) {
        expect(answer.text).toContain('invalid_output');
        expect(answer.text).not.toContain('[DONE]');
        continue;
      }
      delivered++;
      expect(JSON.parse(stream ? contentOf(answer) : answer.json.choices[0].message.content).a).toBe('y');
    }
  }
  // The engine, left alone, writes both: some were refused, some passed.
  expect([delivered > 0, delivered < 12]).toEqual([true, true]);
});

test('11: a number that reads as Infinity is no valid answer', async () => {
  const open = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'], additionalProperties: false };
  const plain = await withFault('huge-number', () => chat({ response_format: formOf(open), max_tokens: 200 }));
  expect(plain).toMatchObject({ status: 502, json: { error: { code: 'invalid_output' } } });
  const streamed = await withFault('huge-number', () =>
    chat({ response_format: formOf(open), max_tokens: 200, stream: true }),
  );
  expect(lastOf(streamed).error.code).toBe('invalid_output');
  const call = { tools: [{ type: 'function', function: { name: 'go', parameters: open } }], tool_choice: 'required' };
  const called = await withFault('huge-number', () => chat({ ...call, max_tokens: 200, stream: true }));
  expect(lastOf(called).error.code).toBe('invalid_output');
});

test('12: a client that leaves is billed for what was made, though no request counter of the worker shows it', async () => {
  const controller = new AbortController();
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
    body: JSON.stringify(hello({ stream: true, max_tokens: 20_000, ignore_eos: true })),
    signal: controller.signal,
  });
  await response.body!.getReader().read();
  controller.abort();
  const record = await eventually('the record', async () =>
    (await around.records()).find((entry) => entry.requestId === response.headers.get('x-request-id')),
  );
  expect(record).toMatchObject({ outcome: 'client_gone', countSource: 'engine' });
  await eventually('the worker has stopped', () => worker.engine.stats().running === 0);
  expect(await (await fetch(`${worker.url}/metrics`)).text()).toMatch(/finished_reason="abort"[^\n]*\} 0(\.0)?\n/);
});

test('13: several answers at temperature 0 are refused with a reason', async () => {
  const answer = await chat({ n: 2, temperature: 0 });
  expect(answer).toMatchObject({ status: 400, json: { error: { param: 'n' } } });
});

test('14: usage in every chunk is hidden, in the last one shown only to who asked', async () => {
  expect((await chat({ stream: true })).text).not.toContain('"usage"');
  const asked = parsed(await chat({ stream: true, stream_options: { include_usage: true } }));
  expect(asked.at(-1).usage).toMatchObject({ prompt_tokens_details: { cached_tokens: expect.any(Number) } });
});

test('15: every error has one shape', async () => {
  const deep = await ask(router, key.text, `{"model":"x","messages":${'['.repeat(200)}${']'.repeat(200)}}`);
  const path = await fetch(`${router.url}/v1/nope`, { headers: { authorization: `Bearer ${key.text}` } });
  for (const error of [deep.json.error, ((await path.json()) as { error: object }).error]) {
    expect(Object.keys(error)).toEqual(expect.arrayContaining(['message', 'type', 'param', 'code']));
  }
});

test('16: messages of the engine, with paths, times and the input, are never passed on', async () => {
  const secret = 'hunter2-do-not-echo';
  const answer = await chat({ logit_bias: { 9999999: 1 }, messages: [{ role: 'user', content: secret }] });
  expect(answer.status).toBe(400);
  expect(answer.text).not.toMatch(/hunter2|<path>|\d\d:\d\d:\d\d/);
});

test('17: the id is ours, whatever the client sends, and comes back as a header', async () => {
  const answer = await chat({}, { 'x-request-id': 'a "strange" \\ id' });
  expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
  expect(answer.json.id).toBe(`chatcmpl-${answer.headers.get('x-request-id')}`);
});

test('18: an answer that the engine ends because it repeats itself says `length`, as one that was cut', () => {
  const choice = { index: 0, delta: { content: 'a' }, finish_reason: 'repetition', stop_reason: 'repetition_detected' };
  const shape = { sglang: false, reasoningField: 'reasoning' } as const;
  const reader = new StreamReader({ usage: 'hidden', choices: 1, hasTools: false, maxTokens: 9, checks: null, shape });
  const out = reader.push(Buffer.from(`data: ${JSON.stringify({ choices: [choice] })}\n\n`));
  expect(JSON.parse(out.slice(6)).choices).toEqual([{ index: 0, delta: { content: 'a' }, finish_reason: 'length' }]);
  const { delta: message, ...rest } = choice;
  const body = Buffer.from(JSON.stringify({ choices: [{ ...rest, message }] }));
  expect(readPlainAnswer(body, { checks: null, shape, hasTools: false })!.finishReasons).toEqual(['length']);
});

test('19: null messages and half characters are refused by name before anything is sent', async () => {
  expect((await chat({ messages: null })).json.error.param).toBe('messages');
  const half = await ask(router, key.text, JSON.stringify(hello()).replace('hi there friend', 'hi \\ud800 friend'));
  expect(half).toMatchObject({ status: 400, json: { error: { param: 'messages[0].content' } } });
});

test("20: a worker's other paths do not exist here", async () => {
  const posted = { method: 'POST', body: '{"messages":[]}' };
  for (const [path, asked] of [
    ['/docs', {}],
    ['/invocations', posted],
    ['/inference/v1/generate', posted],
    ['/generative_scoring', posted],
    ['/v1/chat/completions/batch', posted],
    ['/v1/chat/completions/render', posted],
  ] as const) {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key.text}` };
    const at = async (base: string) => (await fetch(base + path, { ...asked, headers })).status;
    expect([path, await at(router.url)]).toEqual([path, 404]);
    expect([path, await at(worker.url)]).not.toEqual([path, 404]);
  }
  for (const path of ['/openapi.json', '/scale_elastic_ep', '/v1/chat/completions/derender', '/tokenize', '/metrics'])
    expect([path, (await fetch(router.url + path)).status]).toEqual([path, 404]);
});

test('21: no browser of a stranger is told that it may read answers', async () => {
  const asked = { origin: 'https://elsewhere.example', 'access-control-request-method': 'POST' };
  const preflightAt = (base: string) => fetch(`${base}/v1/chat/completions`, { method: 'OPTIONS', headers: asked });
  expect((await preflightAt(worker.url)).headers.get('access-control-allow-origin')).toBe('*');
  const preflight = await preflightAt(router.url);
  const answer = await chat({}, { origin: 'https://elsewhere.example' });
  for (const { headers } of [preflight, answer]) {
    expect([headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual([null, null]);
  }
});

test('0.1: a document that a stop string cut does not end like a whole one', async () => {
  for (const stream of [false, true]) {
    const answer = await chat({ ...FORM, stop: ['"degrees"'], stream });
    expect(stream ? finishOf(answer) : answer.json.choices[0].finish_reason).toBe('length');
  }
});
