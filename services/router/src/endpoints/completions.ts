/** `POST /completions`: text that goes on. OpenAI's older endpoint, as vLLM and SGLang serve it. */
import { checkBoolean, checkInteger, checkString, invalid, isObject } from '../contract/checks.ts';
import type { ContractProfile } from '../contract/profile.ts';
import type { GenerationRequest } from '../contract/request.ts';
import { readStructured, STRUCTURED_FIELDS } from '../contract/structured.ts';
import { StreamReader } from '../relay/stream-reader.ts';
import type { EngineConstraint } from '../schema-gate/constraint.ts';
import { sglangSampling, workerRequestId } from '../upstream/body.ts';
import { chatReaderOptions } from './chat.ts';
import { readPlainCompletion } from './completion-answer.ts';
import type { BodyParts, Endpoint } from './endpoint.ts';
import { bodyOf, clientLabels, fieldTable, NO_TOOLS, pick, readFields } from './fields.ts';
import { type Prompt, promptsJson, promptsSize, readPrompts } from './prompts.ts';

export interface CompletionRequest extends GenerationRequest {
  prompts: readonly Prompt[];
  /** Answers per prompt. */
  n: number;
  echo: boolean;
  sampling: Readonly<Record<string, unknown>>;
}

/** Each prompt makes a sequence of its own at the worker, so lists are short. */
const LIMITS = { maxPrompts: 128, maxTokens: 131_072 };
/** Sequences of one request. */
const MAX_CHOICES = 128;
/** OpenAI's own default, and the engines'. */
const DEFAULT_MAX_TOKENS = 16;
const MAX_LOGPROBS = 20;

const NOT_LATER = { refuse: 'It is not supported by the workers.' };
export const OWN = fieldTable({
  model: (value) => checkString('model', value, 256),
  prompt: (value) => value,
  echo: (value) => checkBoolean('echo', value),
  logprobs: (value) => checkInteger('logprobs', value, { min: 0, max: MAX_LOGPROBS }),
  best_of: (value) => checkInteger('best_of', value, { min: 1, max: MAX_CHOICES }),
  stream: (value) => checkBoolean('stream', value),
  stream_options: (value) => value,
  suffix: (value) => {
    if (value !== '') throw invalid('suffix', 'text is only continued, never filled in.');
  },
  user: (value) => value,
  prompt_embeds: NOT_LATER,
  ...Object.fromEntries(STRUCTURED_FIELDS.map((name) => [name, (value: unknown) => value])),
});
const SAMPLING = new Set([
  ...['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'seed', 'stop', 'logit_bias', 'top_k', 'min_p'],
  ...['repetition_penalty', 'ignore_eos', 'include_stop_str_in_output'],
]);
export const SHARED = new Set([...SAMPLING, 'n', 'max_tokens', 'min_tokens']);

function parse(body: unknown, profile: ContractProfile): CompletionRequest {
  const read = readFields(body, OWN, SHARED, profile);
  const prompts = readPrompts('prompt', bodyOf(body).prompt, LIMITS);
  const n = (read.n as number | undefined) ?? 1;
  const choices = n * prompts.length;
  if (choices > MAX_CHOICES) throw invalid('n', `at most ${MAX_CHOICES} answers in all, over all prompts.`);
  if (n > 1 && read.temperature === 0) throw invalid('n', 'it must be 1 when temperature is 0.');
  if (read.best_of !== undefined && read.best_of !== n) {
    throw invalid('best_of', "all answers are returned, so it can only be what 'n' is.");
  }
  const stream = read.stream === true;
  const structured = readStructured(bodyOf(body), STRUCTURED_FIELDS);
  const echo = read.echo === true;
  if (echo && structured !== null)
    throw invalid('echo', 'an answer in a form of its own cannot begin with the prompt.');
  const maxTokens = (read.max_tokens as number | undefined) ?? DEFAULT_MAX_TOKENS;
  const minTokens = (read.min_tokens as number | undefined) ?? 0;
  if (minTokens > maxTokens) throw invalid('min_tokens', 'it is above the output limit.');
  const sampling = pick(read, SAMPLING);
  if (read.logprobs !== undefined) sampling.logprobs = read.logprobs;
  return {
    ...NO_TOOLS,
    model: (read.model as string | undefined) ?? '',
    prompts,
    n,
    echo,
    sampling,
    stream,
    usageInStream: profile.readUsage(read.stream_options, stream),
    choices,
    maxTokens,
    maxTokensIsDefault: read.max_tokens === undefined,
    minTokens,
    structured,
    needsWholeOutput: structured !== null,
    labels: clientLabels(read.user),
  };
}

function body(request: CompletionRequest, { text, maxTokens, constraint, fields, dialect }: BodyParts): string {
  const sglang = dialect.engine === 'sglang';
  let json = `{"model":${JSON.stringify(request.model)},"prompt":${text.messages},"max_tokens":${maxTokens}`;
  if (request.minTokens > 0) json += `,"min_tokens":${request.minTokens}`;
  if (request.n > 1) json += `,"n":${request.n}`;
  if (request.echo) json += ',"echo":true';
  for (const name in request.sampling) {
    const value = request.sampling[name];
    json += sglang ? sglangSampling(name, value) : `,"${name}":${JSON.stringify(value)}`;
  }
  const form = sglang ? textForm(constraint) : constraint;
  for (const name in form) json += `,"${name}":${JSON.stringify(form[name])}`;
  if (request.stream) json += ',"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}';
  if (sglang) json += `,"rid":"${workerRequestId(fields.requestId)}"`;
  if (fields.priority !== 0) json += `,"priority":${sglang ? -fields.priority : fields.priority}`;
  return `${json},"cache_salt":"${fields.cacheSalt}"}`;
}

/** SGLang's text completions know a schema as a text of its own, not as `response_format`. */
function textForm(constraint: EngineConstraint): EngineConstraint {
  const { response_format: format, ...rest } = constraint;
  const schema = isObject(format) && isObject(format.json_schema) ? format.json_schema.schema : undefined;
  return schema === undefined ? constraint : { ...rest, json_schema: JSON.stringify(schema) };
}

export const COMPLETIONS: Endpoint<CompletionRequest> = {
  name: '/completions',
  scope: 'completions',
  workerPath: '/v1/completions',
  engines: ['vllm', 'sglang'],
  errors: 'contract',
  parse,
  text: (request) => ({ messages: promptsJson(request.prompts), tools: null }),
  size: (request) => promptsSize(request.prompts, request.choices),
  body,
  tokenizeBody: ({ model, prompts }) =>
    prompts.length === 1 && typeof prompts[0] === 'string' ? JSON.stringify({ model, prompt: prompts[0] }) : null,
  streamReader: (request, options) =>
    new StreamReader(chatReaderOptions(request, { ...options, shape: { ...options.shape, bareText: true } })),
  plainReader:
    (_request, { checks }) =>
    (bytes) =>
      readPlainCompletion(bytes, checks),
};
