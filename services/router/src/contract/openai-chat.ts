/**
 * OpenAI's chat contract as this product serves it: JSON body -> ChatRequest, or an error that names the field.
 * An explicit null means the same as an absent field. Unknown fields are refused by name: silence would let a client
 * believe that a parameter works.
 */
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  isObject,
  type JsonObject,
  missing,
  type NumberRange,
  unsupported,
  wrongType,
} from './checks.ts';
import { parseMessages } from './messages.ts';
import type { ChatRequest, ResponseFormat, Tool, ToolChoice, UsageInStream } from './request.ts';
import { parseResponseFormat, parseToolChoice, parseTools } from './tools.ts';
import { findLoneSurrogate } from './unicode.ts';

export const MAX_CHOICES = 8;
const MAX_STOP = 4;
const MAX_LOGIT_BIAS = 1024;
const BIG = Number.MAX_SAFE_INTEGER;

type SamplingRule = { kind: 'number' | 'integer'; range: NumberRange } | { kind: 'boolean' };
const number = (min: number, max: number, aboveMin = false): SamplingRule => ({
  kind: 'number',
  range: { min, max, aboveMin },
});
const integer = (min: number, max: number): SamplingRule => ({ kind: 'integer', range: { min, max } });
const boolean: SamplingRule = { kind: 'boolean' };

/** Fields that reach the worker under their own name once their range is checked. */
const SAMPLING: Record<string, SamplingRule> = {
  temperature: number(0, 2),
  top_p: number(0, 1, true),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  seed: integer(-BIG, BIG),
  logprobs: boolean,
  top_logprobs: integer(0, 20),
  // vLLM's own, as its users send them in `extra_body`.
  top_k: integer(-1, 1_000_000),
  min_p: number(0, 1),
  repetition_penalty: number(0, 2, true),
  ignore_eos: boolean,
  include_stop_str_in_output: boolean,
};

/** Fields read by name below. */
const READ = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'min_tokens',
  'stop',
  'logit_bias',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'chat_template_kwargs',
  'modalities',
  'store',
]);

/** Accepted and without effect here: they ask for nothing that changes the answer. */
const IGNORED = new Set([
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'metadata',
  'service_tier',
  'verbosity',
  'prediction',
]);

/** Known to OpenAI or to engines and refused with what to do instead. */
const REFUSED: Record<string, string> = {
  functions: "Use 'tools'.",
  function_call: "Use 'tool_choice'.",
  audio: 'Audio is not supported.',
  web_search_options: 'Web search is not supported.',
  guided_json: "Use 'response_format'.",
  guided_regex: "Use 'response_format'.",
  guided_choice: "Use 'response_format'.",
  guided_grammar: "Use 'response_format'.",
  structured_outputs: "Use 'response_format'.",
};

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

export function parseOpenAiChat(body: unknown): ChatRequest {
  if (!isObject(body)) throw wrongType('body', 'an object', body);
  const sampling = readSampling(body);
  const model = readModel(body.model);
  const messages = parseMessages(body.messages);
  const stream = isAbsent(body.stream) ? false : checkBoolean('stream', body.stream);
  const choices = isAbsent(body.n) ? 1 : checkInteger('n', body.n, { min: 1, max: MAX_CHOICES });
  if (choices > 1 && sampling.temperature === 0) throw invalid('n', 'it must be 1 when temperature is 0.');
  const maxTokens = readMaxTokens(body);
  const tools = parseTools(body.tools);
  const toolChoice = parseToolChoice(body.tool_choice, tools);
  const responseFormat = parseResponseFormat(body.response_format);
  const needsWholeOutput = responseFormat !== null || isForced(toolChoice);
  checkHarmless(body);
  const request: ChatRequest = {
    model,
    messages,
    stream,
    usageInStream: readStreamOptions(body.stream_options, stream),
    choices,
    maxTokens,
    minTokens: readMinTokens(body.min_tokens, maxTokens),
    sampling,
    tools,
    toolChoice,
    parallelToolCalls: readParallel(body.parallel_tool_calls, tools),
    responseFormat,
    // A thought that never closes keeps the grammar from ever being applied (facts/real-engine.md 3.8).
    thinking: needsWholeOutput ? false : readThinking(body),
    needsWholeOutput,
  };
  checkUnicode(body, request);
  return request;
}

function readSampling(body: JsonObject): Record<string, unknown> {
  const sampling: Record<string, unknown> = {};
  for (const name of Object.keys(body)) {
    if (READ.has(name)) continue;
    const rule = Object.hasOwn(SAMPLING, name) ? SAMPLING[name] : undefined;
    const value = body[name];
    if (rule === undefined) refuseUnlessIgnored(name);
    else if (!isAbsent(value)) sampling[name] = checkSampling(name, value, rule);
  }
  if (!isAbsent(body.stop)) sampling.stop = readStop(body.stop);
  if (!isAbsent(body.logit_bias)) sampling.logit_bias = readLogitBias(body.logit_bias);
  if (sampling.top_logprobs !== undefined && sampling.logprobs !== true) {
    throw invalid('top_logprobs', "it needs 'logprobs' to be true.");
  }
  return sampling;
}

function checkSampling(name: string, value: unknown, rule: SamplingRule): unknown {
  if (rule.kind === 'boolean') return checkBoolean(name, value);
  return rule.kind === 'number' ? checkNumber(name, value, rule.range) : checkInteger(name, value, rule.range);
}

function refuseUnlessIgnored(name: string): void {
  if (IGNORED.has(name)) return;
  const advice = Object.hasOwn(REFUSED, name) ? REFUSED[name]! : 'It is not known here.';
  throw unsupported(name.slice(0, 64), advice);
}

function readModel(value: unknown): string {
  if (isAbsent(value)) throw missing('model');
  const model = checkString('model', value, 256);
  if (model === '') throw invalid('model', 'it is empty.');
  return model;
}

function readMaxTokens(body: JsonObject): number | null {
  const range = { min: 1, max: BIG };
  const old = isAbsent(body.max_tokens) ? null : checkInteger('max_tokens', body.max_tokens, range);
  const now = isAbsent(body.max_completion_tokens)
    ? null
    : checkInteger('max_completion_tokens', body.max_completion_tokens, range);
  if (old !== null && now !== null)
    throw invalid('max_tokens', "it cannot be given together with 'max_completion_tokens'.");
  return now ?? old;
}

function readMinTokens(value: unknown, maxTokens: number | null): number {
  if (isAbsent(value)) return 0;
  return checkInteger('min_tokens', value, { min: 0, max: maxTokens ?? BIG });
}

function readStop(value: unknown): string[] {
  if (typeof value === 'string') return [checkStop('stop', value)];
  if (!Array.isArray(value)) throw wrongType('stop', 'a string or an array', value);
  return checkArray('stop', value, 0, MAX_STOP).map((entry, i) => checkStop(`stop[${i}]`, entry));
}

function checkStop(path: string, value: unknown): string {
  const stop = checkString(path, value, 1024);
  if (stop === '') throw invalid(path, 'it is empty.');
  return stop;
}

function readLogitBias(value: unknown): Record<string, number> {
  const entries = Object.entries(checkObject('logit_bias', value));
  if (entries.length > MAX_LOGIT_BIAS) throw invalid('logit_bias', `at most ${MAX_LOGIT_BIAS} entries are allowed.`);
  const bias: Record<string, number> = {};
  for (const [id, amount] of entries) {
    if (!/^\d{1,7}$/.test(id)) throw invalid('logit_bias', 'keys must be token ids.');
    bias[id] = checkNumber(`logit_bias.${id}`, amount, { min: -100, max: 100 });
  }
  return bias;
}

function readStreamOptions(value: unknown, stream: boolean): UsageInStream {
  if (isAbsent(value)) return 'hidden';
  if (!stream) throw invalid('stream_options', "it is only allowed when 'stream' is true.");
  const options = checkObject('stream_options', value);
  for (const name of Object.keys(options)) {
    if (name !== 'include_usage' && name !== 'continuous_usage_stats' && name !== 'include_obfuscation') {
      throw unsupported(`stream_options.${name.slice(0, 64)}`, 'It is not known here.');
    }
    if (!isAbsent(options[name])) checkBoolean(`stream_options.${name}`, options[name]);
  }
  if (options.include_usage !== true) return 'hidden';
  return options.continuous_usage_stats === true ? 'every' : 'final';
}

function readParallel(value: unknown, tools: readonly Tool[] | null): boolean | null {
  if (isAbsent(value)) return null;
  const parallel = checkBoolean('parallel_tool_calls', value);
  return tools === null ? null : parallel;
}

function readThinking(body: JsonObject): boolean | null {
  let thinking: boolean | null = null;
  if (!isAbsent(body.reasoning_effort)) {
    const effort = checkOneOf('reasoning_effort', body.reasoning_effort, EFFORTS);
    thinking = effort !== 'none' && effort !== 'minimal';
  }
  if (isAbsent(body.chat_template_kwargs)) return thinking;
  const kwargs = checkObject('chat_template_kwargs', body.chat_template_kwargs);
  for (const name of Object.keys(kwargs)) {
    if (name !== 'enable_thinking') {
      throw unsupported(`chat_template_kwargs.${name.slice(0, 64)}`, "Only 'enable_thinking' is allowed.");
    }
  }
  if (isAbsent(kwargs.enable_thinking)) return thinking;
  return checkBoolean('chat_template_kwargs.enable_thinking', kwargs.enable_thinking);
}

/** Fields that are fine as long as they ask for what happens anyway. */
function checkHarmless(body: JsonObject): void {
  if (!isAbsent(body.store) && checkBoolean('store', body.store)) throw unsupported('store', 'Answers are not stored.');
  if (isAbsent(body.modalities)) return;
  const wanted = checkArray('modalities', body.modalities, 1, 8);
  if (wanted.some((entry) => entry !== 'text')) throw unsupported('modalities', "Only 'text' is supported.");
}

function isForced(choice: ToolChoice | null): boolean {
  return choice === 'required' || (typeof choice === 'object' && choice !== null);
}

/** Half characters cannot be written as UTF-8; the worker would answer with a type error of its own. */
function checkUnicode(body: JsonObject, request: ChatRequest): void {
  const forwarded: [string, unknown][] = [
    ['messages', request.messages],
    ['tools', request.tools],
    ['response_format', request.responseFormat satisfies ResponseFormat | null],
    ['stop', body.stop],
    ['model', request.model],
  ];
  for (const [name, value] of forwarded) {
    const path = findLoneSurrogate(name, value);
    if (path !== null) throw invalid(path, 'it holds half of a UTF-16 surrogate pair, which is not a character.');
  }
}
