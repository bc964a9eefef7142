/**
 * What a worker really does, asked of the worker itself: its models and context, JSON under a schema, usage in streams, cached
 * tokens, metrics by the names that routers read, and whether it stops when its client leaves. A few dozen tokens each.
 */
import { readGauges } from '@tollgate/router/fleet/worker-metrics';
import type { Engine } from '@tollgate/shared/domain/worker';
import { type Check, failed, passed } from './check.ts';

const LIMIT_MS = 30_000;
/** SGLang notices after 2 s that a client has left; vLLM at once. */
const ABORT_LIMIT_MS = 8_000;
const POLL_MS = 100;
/** Long enough to fill several blocks of any size that engines use. */
const LONG_PROMPT = `Doctor's note. ${'The quick brown fox jumps over the lazy dog. '.repeat(60)}`;
const SCHEMA = {
  type: 'object',
  properties: { colour: { type: 'string', enum: ['ultramarine'] }, number: { type: 'integer' } },
  required: ['colour', 'number'],
  additionalProperties: false,
};

interface Listed {
  id: string;
  max_model_len?: number;
  owned_by?: string;
}

/** Every check of one worker; each says the worker's URL. A worker that cannot be reached from here is one note. */
export async function checkWorker(url: string): Promise<Check[]> {
  let listed: Listed | undefined;
  try {
    const response = await get(url, '/v1/models');
    listed = ((await response.json()) as { data?: Listed[] }).data?.[0];
  } catch {
    const note = 'run doctor where routers run (a network policy may let only them in)';
    return [passed(`worker ${url}`, 'routers reach it, this machine does not: not examined', note)];
  }
  if (listed === undefined) return [failed(`worker ${url}`, 'lists no model', 'start it with a model')];
  const engine: Engine = listed.owned_by === 'sglang' ? 'sglang' : 'vllm';
  const model = listed.id;
  const checks: [string, () => Promise<Check>][] = [
    ['guided JSON', () => checkGuidedJson(url, model)],
    ['usage in streams', () => checkStreamUsage(url, model)],
    ['cached tokens', () => checkCachedTokens(url, model, engine)],
    ['metrics', () => checkMetrics(url, engine)],
    ['abort', () => checkAbort(url, model, engine)],
  ];
  const context = listed.max_model_len;
  const found = [
    context === undefined
      ? failed(`worker ${url} model`, `${model}, context not told`, 'run a version that tells max_model_len')
      : passed(`worker ${url} model`, `${model} (${engine}), ${context} tokens of context`),
  ];
  // One after the other: the abort and the cache are told by counters.
  for (const [what, run] of checks) {
    const name = `worker ${url} ${what}`;
    try {
      found.push({ ...(await run()), name });
    } catch (error) {
      const detail = error instanceof Error ? error.message : 'it could not be tried';
      found.push(failed(name, detail, 'read the log of the worker'));
    }
  }
  return found;
}

const get = (url: string, path: string) => fetch(new URL(path, url), { signal: AbortSignal.timeout(LIMIT_MS) });

interface Completion {
  choices: { message: { content: string | null } }[];
  usage?: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number } | null };
}

async function post(url: string, body: object, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(new URL('/v1/chat/completions', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.any([AbortSignal.timeout(LIMIT_MS), ...(signal ? [signal] : [])]),
  });
  if (!response.ok) throw new Error(`answers ${response.status}`);
  return response;
}

const chat = (model: string, content: string, more: object) => ({
  model,
  messages: [{ role: 'user', content }],
  temperature: 0,
  chat_template_kwargs: { enable_thinking: false },
  ...more,
});

async function checkGuidedJson(url: string, model: string): Promise<Check> {
  const format = { type: 'json_schema', json_schema: { name: 'doctor', schema: SCHEMA, strict: true } };
  // What no model would say by itself: an engine that drops the schema cannot pass by luck.
  const body = chat(model, 'Tell me a short story about a cat.', { max_tokens: 60, response_format: format });
  const { choices } = (await (await post(url, body)).json()) as Completion;
  const text = choices[0]?.message.content ?? '';
  const fix =
    'start it with XGrammar: --structured-outputs-config backend=xgrammar (vLLM), --grammar-backend xgrammar (SGLang)';
  return judgeGuided(text) ? passed('', 'a schema is kept') : failed('', 'the schema had no effect', fix);
}

/** Whether the text is a document of SCHEMA. */
export function judgeGuided(text: string): boolean {
  try {
    const { colour, number, ...rest } = JSON.parse(text) as Record<string, unknown>;
    return colour === 'ultramarine' && Number.isInteger(number) && Object.keys(rest).length === 0;
  } catch {
    return false;
  }
}

async function checkStreamUsage(url: string, model: string): Promise<Check> {
  const more = { max_tokens: 4, stream: true, stream_options: { include_usage: true } };
  const text = await (await post(url, chat(model, 'Say hello', more))).text();
  if (/"usage"\s*:\s*\{[^}]*"completion_tokens"\s*:\s*[1-9]/.test(text)) return passed('', 'counted');
  return failed('', 'no usage at the end of a stream', 'run a version that knows stream_options.include_usage');
}

async function checkCachedTokens(url: string, model: string, engine: Engine): Promise<Check> {
  const body = chat(model, LONG_PROMPT, { max_tokens: 1 });
  await (await post(url, body)).arrayBuffer();
  const { usage } = (await (await post(url, body)).json()) as Completion;
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? null;
  if (cached !== null && cached > 0) return passed('', `${cached} of ${usage!.prompt_tokens} tokens on a repeat`);
  const flag = engine === 'vllm' ? '--enable-prefix-caching --enable-prompt-tokens-details' : '--enable-cache-report';
  const what = cached === null ? 'not told' : 'none on a repeat';
  return failed('', what, `start it with ${flag}: cached tokens are billed as full ones, and routing learns nothing`);
}

async function checkMetrics(url: string, engine: Engine): Promise<Check> {
  const response = await get(url, '/metrics');
  const gauges = readGauges(response.ok ? await response.text() : '', engine);
  const missing = (['running', 'waiting', 'kvUsage', 'kvTokens'] as const).filter((name) => gauges[name] === null);
  if (missing.length === 0) return passed('', `running, waiting, cache of ${gauges.kvTokens} tokens`);
  const fix = engine === 'sglang' ? 'start it with --enable-metrics' : 'run a version whose metric names routers know';
  return failed('', `not told: ${missing.join(', ')}`, fix);
}

async function checkAbort(url: string, model: string, engine: Engine): Promise<Check> {
  const running = async (): Promise<number | null> =>
    readGauges(await (await get(url, '/metrics')).text(), engine).running;
  if ((await running()) === null) return failed('', 'cannot be seen without metrics', 'see the check of metrics');
  const leave = new AbortController();
  const more = { max_tokens: 2_000, min_tokens: 2_000, stream: true };
  const response = await post(url, chat(model, 'Count to ten thousand', more), leave.signal);
  const reader = response.body!.getReader();
  await reader.read();
  const during = (await running()) ?? 0;
  leave.abort();
  await reader.cancel().catch(() => {});
  const startMs = performance.now();
  // Others may run there too: it must become fewer by one.
  while (performance.now() - startMs < ABORT_LIMIT_MS) {
    if (((await running()) ?? 0) < Math.max(1, during)) {
      return passed('', `stops ${Math.round(performance.now() - startMs)} ms after its client left`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return failed(
    '',
    'goes on although its client left',
    'what stands between may hide the disconnect: connect routers directly',
  );
}
