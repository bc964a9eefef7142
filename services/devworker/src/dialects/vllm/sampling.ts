/** Range checks of sampling parameters, in vLLM's order and words, and of the prompt's length. */
import type { Tokenizer } from '../../model/bpe.ts';
import { badRequest, lateBadRequest } from './errors.ts';
import { pythonFloat, pythonRepr } from './pydantic.ts';

const MAX_SEQUENCES = 16_384;
const MAX_LOGPROBS = 20;

export interface SamplingFields {
  n: number;
  temperature: number | undefined;
  top_p: number | undefined;
  top_k: number | undefined;
  min_p: number | undefined;
  presence_penalty: number | undefined;
  frequency_penalty: number | undefined;
  repetition_penalty: number | undefined;
  max_tokens: number | undefined;
  min_tokens: number;
  stop: string | string[] | undefined;
  logit_bias: Record<string, number> | undefined;
  allowed_token_ids: number[] | undefined;
  thinking_token_budget?: number | undefined;
}

/** What the model's generation_config.json says when the request does not. */
export const DEFAULT_TEMPERATURE = 0.7;

function checkTemperature(value: number | undefined): void {
  if (value === undefined) return;
  const text = pythonFloat(value);
  if (!Number.isFinite(value))
    throw badRequest(`temperature must be a finite number, got ${text}.`, 'temperature', text);
  if (value < 0) throw badRequest(`temperature must be non-negative, got ${text}.`, 'temperature', text);
  if (value > 2) throw badRequest(`temperature must be in [0, 2], got ${text}.`, 'temperature', text);
}

/** Throws the 400 that vLLM's SamplingParams would; answers the stop strings as a list. */
export function checkSampling(fields: SamplingFields): string[] {
  const { n, top_p, top_k, min_p, max_tokens } = fields;
  if (n < 1) throw badRequest(`n must be at least 1, got ${n}.`);
  if (n > MAX_SEQUENCES) {
    throw badRequest(
      `n must be at most ${MAX_SEQUENCES}, got ${n}. To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable.`,
    );
  }
  for (const name of ['presence_penalty', 'frequency_penalty'] as const) {
    const value = fields[name];
    if (value !== undefined && !(value >= -2 && value <= 2))
      throw badRequest(`${name} must be in [-2, 2], got ${pythonFloat(value)}.`);
  }
  if (fields.repetition_penalty !== undefined && !(fields.repetition_penalty > 0)) {
    throw badRequest(`repetition_penalty must be greater than zero, got ${pythonFloat(fields.repetition_penalty)}.`);
  }
  checkTemperature(fields.temperature);
  if (top_p !== undefined && !(top_p > 0 && top_p <= 1)) {
    throw badRequest(`top_p must be in (0, 1], got ${pythonFloat(top_p)}.`, 'top_p', pythonFloat(top_p));
  }
  if (top_k !== undefined && top_k < -1) throw badRequest(`top_k must be 0 (disable), or at least 1, got ${top_k}.`);
  if (min_p !== undefined && !(min_p >= 0 && min_p <= 1))
    throw badRequest(`min_p must be in [0, 1], got ${pythonFloat(min_p)}.`);
  if (max_tokens !== undefined && max_tokens < 1) {
    throw badRequest(`max_tokens must be at least 1, got ${max_tokens}.`, 'max_tokens', String(max_tokens));
  }
  if (fields.min_tokens < 0)
    throw badRequest(`min_tokens must be greater than or equal to 0, got ${fields.min_tokens}.`);
  if (max_tokens !== undefined && fields.min_tokens > max_tokens) {
    throw badRequest(`min_tokens must be less than or equal to max_tokens=${max_tokens}, got ${fields.min_tokens}.`);
  }
  const stop = fields.stop === undefined ? [] : typeof fields.stop === 'string' ? [fields.stop] : fields.stop;
  if (stop.includes('')) throw badRequest('stop cannot contain an empty string.');
  const budget = fields.thinking_token_budget;
  if (budget !== undefined && budget < -1) {
    throw badRequest(
      '`thinking_token_budget` must be a non-negative integer or -1 for unlimited.',
      'thinking_token_budget',
      String(budget),
    );
  }
  if (fields.temperature === 0 && n > 1) throw badRequest(`n must be 1 when using greedy sampling, got ${n}.`);
  return stop;
}

/** Token biases by id. */
export function readLogitBias(bias: Record<string, number> | undefined, vocabSize: number): Map<number, number> {
  const map = new Map<number, number>();
  if (!bias) return map;
  const bad = Object.keys(bias).filter((key) => !/^-?\d+$/.test(key));
  if (bad.length > 0) {
    const shown = pythonRepr(bad);
    throw badRequest(
      `logit_bias contains key(s) that cannot be converted to integer token IDs: ${shown}`,
      'logit_bias',
      shown,
    );
  }
  for (const [key, value] of Object.entries(bias)) map.set(Number(key), Math.max(-100, Math.min(100, value)));
  const outside = [...map.keys()].filter((id) => id < 0 || id >= vocabSize);
  if (outside.length > 0) {
    const shown = pythonRepr(outside);
    throw lateBadRequest(
      `token_id(s) ${shown} in logit_bias contain out-of-vocab token ids. Vocabulary size: ${vocabSize}`,
      'logit_bias',
      shown,
    );
  }
  return map;
}

/** What the input processor looks at last: with `stream: true` these come as an event. */
export function checkLate(
  fields: { allowed_token_ids: number[] | undefined },
  topLogprobs: number | undefined,
  vocabSize: number,
): void {
  if (topLogprobs !== undefined) {
    const asked = topLogprobs === -1 ? vocabSize : topLogprobs;
    if (asked > MAX_LOGPROBS) {
      throw lateBadRequest(
        `Requested sample logprobs of ${asked}, which is greater than max allowed: ${MAX_LOGPROBS}`,
        'logprobs',
        String(asked),
      );
    }
  }
  const allowed = fields.allowed_token_ids;
  if (!allowed) return;
  if (allowed.length === 0) throw lateBadRequest('allowed_token_ids is not None and empty!', 'allowed_token_ids', '[]');
  if (allowed.some((id) => id < 0 || id >= vocabSize)) {
    throw lateBadRequest('allowed_token_ids contains out-of-vocab token id!', 'allowed_token_ids', pythonRepr(allowed));
  }
}

const REDUCE = 'Please reduce the length of the input prompt or the number of requested output tokens.';

/** Token ids of a prompt that leaves room for `maxTokens`; refuses by characters before it counts tokens. */
export function encodePrompt(
  tokenizer: Tokenizer,
  text: string,
  maxTokens: number | undefined,
  maxModelLen: number,
  countedPart = '',
): number[] {
  checkMaxTokens(maxTokens, maxModelLen);
  const room = maxModelLen - (maxTokens ?? 0);
  const maxChars = room * tokenizer.maxTokenChars;
  if (text.length > maxChars) {
    throw badRequest(
      `This model's maximum context length is ${maxModelLen} tokens. However, you requested ${maxTokens ?? 0} output tokens and your prompt contains ${text.length} characters (more than ${maxChars} characters, which is the upper bound for ${room} input tokens). ${REDUCE}`,
      'input_text',
      String(text.length),
    );
  }
  // `countedPart` is what a continued answer already holds; the template has it in the text.
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text + countedPart)) {
    throw badRequest('TextEncodeInput must be Union[TextInputSequence, Tuple[InputSequence, InputSequence]]');
  }
  const ids = tokenizer.encode(text);
  checkPromptLength(ids.length, maxTokens, maxModelLen);
  return ids;
}

export function checkMaxTokens(maxTokens: number | undefined, maxModelLen: number): void {
  if (maxTokens !== undefined && maxTokens > maxModelLen) {
    throw badRequest(
      `max_tokens=${maxTokens} cannot be greater than max_model_len=max_total_tokens=${maxModelLen}. Please request fewer output tokens.`,
      'max_tokens',
      String(maxTokens),
    );
  }
}

export function checkPromptLength(tokens: number, maxTokens: number | undefined, maxModelLen: number): void {
  if (tokens + (maxTokens ?? 1) <= maxModelLen) return;
  const asked = maxTokens ?? 0;
  const atLeast = Math.min(tokens, maxModelLen - asked + 1);
  throw badRequest(
    `This model's maximum context length is ${maxModelLen} tokens. However, you requested ${asked} output tokens and your prompt contains at least ${atLeast} input tokens, for a total of at least ${atLeast + asked} tokens. ${REDUCE}`,
    'input_tokens',
    String(atLeast),
  );
}
