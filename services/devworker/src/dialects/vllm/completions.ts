/** POST /v1/completions: request checks, chunks and the whole answer as vLLM 0.29 writes them. */
import type { ChoiceState } from '../../generation/choice.ts';
import { type Job, PLAIN_JOB } from '../../generation/job.ts';
import type { Constraint } from '../../grammar/constraint.ts';
import type { Tokenizer } from '../../model/bpe.ts';
import type { ModelContext } from '../dialect.ts';
import { type CompletionFields, readCompletionFields } from './chat-fields.ts';
import { readBody } from './chat-request.ts';
import { badRequest, unknownModel } from './errors.ts';
import { candidates, promptLogprobs } from './logprobs.ts';
import { isObject } from './pydantic.ts';
import {
  checkLate,
  checkMaxTokens,
  checkPromptLength,
  checkSampling,
  DEFAULT_TEMPERATURE,
  encodePrompt,
  readLogitBias,
} from './sampling.ts';
import { checkStructuredRaw, readConstraint } from './structured.ts';
import { type TextCounts, textUsage } from './usage.ts';

export interface CompletionStyle {
  model: string;
  stream: boolean;
  includeUsage: boolean;
  continuousUsage: boolean;
  interval: number;
  echo: boolean;
  /** undefined: none; else how many alternatives. */
  logprobs: number | undefined;
  returnTokenIds: boolean;
  n: number;
  requestId: string | undefined;
}

export interface PreparedCompletion {
  /** To be compiled, though it is not applied: a bad one is refused. */
  checked: Constraint | undefined;
  /** One job per prompt. `maxTokens` 0 generates nothing. */
  jobs: Job[];
  style: CompletionStyle;
}

function promptsOf(prompt: CompletionFields['prompt']): (string | number[])[] {
  if (prompt === undefined || prompt === '') {
    throw badRequest('Either prompt or prompt_embeds must be provided and non-empty.', 'prompt');
  }
  if (typeof prompt === 'string') return [prompt];
  if (prompt.length === 0) throw badRequest('You must pass at least one prompt');
  if (typeof prompt[0] === 'number') return [prompt as number[]];
  return prompt as (string | number[])[];
}

/** Validates as vLLM does. Throws ApiError. */
export function prepareCompletion(body: unknown, context: ModelContext): PreparedCompletion {
  const { tokenizer, maxModelLen } = context;
  if (isObject(body)) {
    const streams = body.stream === true || body.stream === 'true';
    if (body.stream_options !== undefined && body.stream_options !== null && !streams) {
      throw badRequest('Stream options can only be defined when `stream=True`.', 'stream_options');
    }
    checkStructuredRaw(body);
  }
  const fields = readBody(readCompletionFields, body);
  const prompts = promptsOf(fields.prompt);
  if (fields.model !== undefined && fields.model !== context.model) throw unknownModel(fields.model);
  if (fields.suffix !== undefined) throw badRequest('suffix is not currently supported');
  const asked = fields.max_tokens ?? 16;
  const echoOnly = asked === 0 && fields.echo === true;
  const stop = checkSampling({ ...fields, max_tokens: echoOnly ? 1 : asked });
  const logitBias = readLogitBias(fields.logit_bias, tokenizer.vocabSize);
  checkLate(fields, fields.logprobs, tokenizer.vocabSize);
  // Checked, but with a reasoning parser the engine waits for a thought to end before it applies a grammar, and a
  // bare prompt has none: the text stays free (recorded: completions-json-schema).
  const checked = readConstraint(fields.response_format, fields.structured_outputs);
  const jobs = prompts.map((prompt) => {
    let promptIds: number[];
    if (typeof prompt === 'string') promptIds = encodePrompt(tokenizer, prompt, asked, maxModelLen);
    else {
      const outside = prompt.find((id) => id >= tokenizer.vocabSize);
      if (outside !== undefined) throw badRequest(`Token id ${outside} is out of vocabulary`);
      checkMaxTokens(asked, maxModelLen);
      checkPromptLength(prompt.length, asked, maxModelLen);
      promptIds = prompt;
    }
    const promptText = typeof prompt === 'string' ? prompt : tokenizer.decode(prompt);
    return {
      ...PLAIN_JOB,
      promptIds,
      promptText,
      lastUserText: promptText,
      cacheSalt: fields.cache_salt,
      n: fields.n,
      maxTokens: asked,
      minTokens: fields.min_tokens,
      ignoreEos: fields.ignore_eos,
      stop,
      includeStop: fields.include_stop_str_in_output,
      stopTokenIds: fields.stop_token_ids ?? [],
      temperature: fields.temperature ?? DEFAULT_TEMPERATURE,
      seed: fields.seed,
      logitBias,
      allowedTokenIds: fields.allowed_token_ids,
      badWords: fields.bad_words,
    };
  });
  return {
    checked,
    jobs,
    style: {
      model: context.model,
      stream: fields.stream ?? false,
      includeUsage: fields.stream_options?.include_usage ?? false,
      continuousUsage: (fields.stream_options?.include_usage && fields.stream_options.continuous_usage_stats) ?? false,
      interval: 1,
      echo: fields.echo ?? false,
      logprobs: fields.logprobs,
      returnTokenIds: fields.return_token_ids ?? false,
      n: fields.n,
      requestId: fields.request_id,
    },
  };
}

interface Logprobs {
  text_offset: number[];
  token_logprobs: (number | null)[];
  tokens: string[];
  top_logprobs: (Record<string, number> | null)[];
}

/** Log probabilities of tokens at `offset` characters into the text; a prompt's first token has none. */
function textLogprobs(
  tokenizer: Tokenizer,
  ids: readonly number[],
  top: number,
  offset: number,
  fromPrompt: boolean,
): Logprobs {
  const result: Logprobs = { text_offset: [], token_logprobs: [], tokens: [], top_logprobs: [] };
  let at = offset;
  for (const [place, id] of ids.entries()) {
    const text = tokenizer.textOf(id);
    const first = fromPrompt && place === 0;
    const list = candidates(tokenizer, id, place + offset, Math.max(1, top));
    result.text_offset.push(at);
    result.token_logprobs.push(first ? null : list[0]!.logprob);
    result.tokens.push(text);
    result.top_logprobs.push(
      first ? null : Object.fromEntries(list.map((item) => [tokenizer.textOf(item.id), item.logprob])),
    );
    at += text.length;
  }
  return result;
}

export interface CompletionStreamOptions {
  id: string;
  createdS(): number;
  fingerprint: string;
  style: CompletionStyle;
  tokenizer: Tokenizer;
  jobs: readonly Job[];
  send(event: string): void;
}

export interface CompletionStream {
  onToken(promptIndex: number, choice: ChoiceState): void;
  onEnd(counts: TextCounts): void;
}

export function createCompletionStream(options: CompletionStreamOptions): CompletionStream {
  const { style, tokenizer, send, jobs } = options;
  const head = `data: {"id":${JSON.stringify(options.id)},"object":"text_completion","created":${options.createdS()},"model":${JSON.stringify(style.model)},"choices":[`;
  const fingerprint = `,"system_fingerprint":${JSON.stringify(options.fingerprint)}`;
  let open = jobs.length * style.n;
  const sentChars = new Map<number, number>();
  return {
    onToken(promptIndex, choice) {
      const job = jobs[promptIndex]!;
      const index = promptIndex * style.n + choice.index;
      const last = choice.finish !== undefined;
      if (last) open--;
      const before = sentChars.get(index);
      const offset = before ?? 0;
      const echoed = before === undefined && style.echo ? job.promptText : '';
      const text = echoed + choice.deltaContent;
      sentChars.set(index, offset + text.length);
      const ended = last && choice.finish === 'stop' && choice.stopReason === null;
      const logprobs =
        style.logprobs === undefined
          ? null
          : textLogprobs(tokenizer, ended ? [] : [choice.lastId], style.logprobs, offset, false);
      const usage = style.continuousUsage
        ? `,"usage":{"prompt_tokens":${job.promptIds.length},"total_tokens":${job.promptIds.length + choice.count},"completion_tokens":${choice.count}}`
        : '';
      const tail = last && open === 0 && !style.includeUsage ? fingerprint : '';
      const promptIds = style.returnTokenIds && before === undefined ? JSON.stringify(job.promptIds) : 'null';
      const ids = style.returnTokenIds ? `[${choice.lastId}]` : 'null';
      send(
        `${head}{"index":${index},"text":${JSON.stringify(text)},"logprobs":${JSON.stringify(logprobs)},"finish_reason":${JSON.stringify(choice.finish ?? null)},"stop_reason":${JSON.stringify(choice.stopReason)},"prompt_token_ids":${promptIds},"token_ids":${ids}}]${usage}${tail}}\n\n`,
      );
    },
    onEnd({ prompt, completion, cached }) {
      if (style.includeUsage) {
        send(
          `${head}],"usage":{"prompt_tokens":${prompt},"total_tokens":${prompt + completion},"completion_tokens":${completion},"prompt_tokens_details":{"cached_tokens":${cached}}}${fingerprint}}\n\n`,
        );
      }
      send('data: [DONE]\n\n');
    },
  };
}

export interface CompletionBodyOptions extends Omit<CompletionStreamOptions, 'send'> {
  /** Choices per prompt; empty for `max_tokens: 0`. */
  choices: readonly (readonly ChoiceState[])[];
  counts: TextCounts;
}

export function completionBody(options: CompletionBodyOptions): string {
  const { style, tokenizer, counts } = options;
  const choices = options.jobs.flatMap((job, promptIndex) =>
    Array.from({ length: style.n }, (_, i) => {
      const choice = options.choices[promptIndex]?.[i];
      const ids = choice?.ids ?? [];
      const shown = choice?.finish === 'stop' && choice.stopReason === null ? ids.slice(0, -1) : ids;
      const echoed = style.echo ? job.promptText : '';
      const all = style.echo ? [...job.promptIds, ...shown] : shown;
      return {
        index: promptIndex * style.n + i,
        text: echoed + (choice?.content ?? ''),
        logprobs: style.logprobs === undefined ? null : textLogprobs(tokenizer, all, style.logprobs, 0, style.echo),
        finish_reason: choice?.finish ?? 'length',
        stop_reason: choice?.stopReason ?? null,
        token_ids: style.returnTokenIds ? ids : null,
        prompt_logprobs: style.echo && style.logprobs !== undefined ? promptLogprobs(tokenizer, job.promptIds) : null,
        prompt_token_ids: style.returnTokenIds ? job.promptIds : null,
        routed_experts: null,
      };
    }),
  );
  return JSON.stringify({
    id: options.id,
    object: 'text_completion',
    created: options.createdS(),
    model: style.model,
    choices,
    service_tier: null,
    system_fingerprint: options.fingerprint,
    usage: textUsage(counts),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  });
}
