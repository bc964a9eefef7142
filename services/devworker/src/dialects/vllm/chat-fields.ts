/** Fields of vLLM 0.29's chat and completion requests, in the order in which it reads (and complains of) them. */
import { readRawMessage } from './messages.ts';
import {
  optional,
  type Reader,
  readAny,
  readBool,
  readDict,
  readFloat,
  readInt,
  readList,
  readLiteral,
  readModel,
  readString,
  readStringMin,
  readUnion,
  WRAP,
  withDefault,
} from './pydantic.ts';

const INT64_MAX = 9_223_372_036_854_775_807n;
const MAX_STOP_STRINGS = 4;
const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

export interface ResponseFormat {
  type: string;
  json_schema?: { name: string; schema: Record<string, unknown> | undefined } | undefined;
  format?: unknown;
  structures?: unknown[];
  triggers?: string[];
}

export interface StructuredOutputs {
  json: unknown;
  regex: string | undefined;
  choice: string[] | undefined;
  grammar: string | undefined;
  json_object: boolean | undefined;
  disable_any_whitespace: boolean;
  structural_tag: string | undefined;
}

export interface ToolField {
  type: 'function';
  function: {
    name: string;
    description: string | undefined;
    parameters: Record<string, unknown> | undefined;
    strict: boolean | undefined;
  };
}

const jsonSchemaFormat = readModel(
  {
    name: readString,
    description: optional(readString),
    schema: optional(readDict(readAny)),
    strict: optional(readBool),
  },
  ['name'],
);

const responseFormat: Reader<ResponseFormat> = readUnion<ResponseFormat>([
  [
    WRAP,
    readModel<ResponseFormat>(
      {
        type: readLiteral(['text', 'json_object', 'json_schema']),
        json_schema: optional(jsonSchemaFormat) as Reader<ResponseFormat['json_schema']>,
      },
      ['type'],
    ),
  ],
  [WRAP, readModel<ResponseFormat>({ type: readLiteral(['structural_tag']), format: readAny }, ['type', 'format'])],
  [
    WRAP,
    readModel<ResponseFormat>(
      { type: readLiteral(['structural_tag']), structures: readList(readAny), triggers: readList(readString) },
      ['type', 'structures', 'triggers'],
    ),
  ],
]);

const structuredOutputs: Reader<StructuredOutputs> = readModel<StructuredOutputs>({
  json: readUnion<unknown>([
    ['str', optional(readString)],
    ['dict[str,any]', optional(readDict(readAny))],
  ]),
  regex: optional(readString),
  choice: optional(readList(readString)),
  grammar: optional(readString),
  json_object: optional(readBool),
  disable_any_whitespace: withDefault(readBool, false),
  structural_tag: optional(readString),
});

const stopField = readUnion<string | string[]>([
  ['str', readString],
  ['list[str]', readList(readString, MAX_STOP_STRINGS)],
]);

const toolField: Reader<ToolField> = readModel<ToolField>(
  {
    type: withDefault(readLiteral(['function']), 'function'),
    function: readModel<ToolField['function']>(
      {
        name: readString,
        description: optional(readString),
        parameters: optional(readDict(readAny)),
        strict: optional(readBool),
      },
      ['name'],
    ),
  },
  ['function'],
);

export interface StreamOptions {
  include_usage: boolean;
  continuous_usage_stats: boolean;
}

const streamOptions: Reader<StreamOptions> = readModel<StreamOptions>({
  include_usage: (value, loc, errors) => optional(readBool)(value, loc, errors) ?? false,
  continuous_usage_stats: (value, loc, errors) => optional(readBool)(value, loc, errors) ?? false,
});

const repetitionDetection = readModel({
  max_pattern_size: withDefault(readInt(), 0),
  min_pattern_size: withDefault(readInt(), 0),
  min_count: withDefault(readInt(), 0),
});

/** Sampling fields that chat and completions share after their own beginnings. */
const samplingTail = {
  top_k: optional(readInt()),
  min_p: optional(readFloat),
  repetition_penalty: optional(readFloat),
  stop_token_ids: optional(readList(readInt())),
  include_stop_str_in_output: withDefault(readBool, false),
  ignore_eos: withDefault(readBool, false),
  min_tokens: withDefault(readInt(), 0),
  allowed_token_ids: optional(readList(readInt())),
  bad_words: withDefault(readList(readString), []),
  truncate_prompt_tokens: optional(readInt({ ge: -1 })),
};

const operationTail = {
  structured_outputs: optional(structuredOutputs),
  priority: withDefault(readInt(), 0),
  request_id: optionalButNotNull(readString),
  return_token_ids: optional(readBool),
  cache_salt: optional(readStringMin(1)),
  repetition_detection: optional(repetitionDetection),
};

/** May be absent, may not be null. */
function optionalButNotNull<T>(reader: Reader<T>): Reader<T | undefined> {
  return (value, loc, errors) => (value === undefined ? undefined : reader(value, loc, errors));
}

const chatFields = {
  messages: readList(readRawMessage),
  model: optional(readString),
  frequency_penalty: optional(readFloat),
  logit_bias: optional(readDict(readFloat)),
  logprobs: optional(readBool),
  top_logprobs: optional(readInt()),
  max_tokens: optional(readInt()),
  max_completion_tokens: optional(readInt()),
  n: optional(readInt()),
  presence_penalty: optional(readFloat),
  response_format: optional(responseFormat),
  seed: optional(readInt({ le: INT64_MAX })),
  stop: optional(stopField),
  stream: optional(readBool),
  stream_options: optional(streamOptions),
  temperature: optional(readFloat),
  top_p: optional(readFloat),
  tools: optional(readList(toolField)),
  tool_choice: readAny,
  reasoning_effort: optional(readLiteral(EFFORTS)),
  thinking_token_budget: optional(readInt()),
  include_reasoning: withDefault(readBool, true),
  parallel_tool_calls: optional(readBool),
  user: optional(readString),
  ...samplingTail,
  prompt_logprobs: optional(readInt()),
  echo: withDefault(readBool, false),
  add_generation_prompt: withDefault(readBool, true),
  continue_final_message: withDefault(readBool, false),
  chat_template: optional(readString),
  chat_template_kwargs: optional(readDict(readAny)),
  return_prompt_text: optional(readBool),
  stream_interval: optional(readInt()),
  use_beam_search: withDefault(readBool, false),
  ...operationTail,
};

const readTokens = readList(readInt({ ge: 0 }));

const completionFields = {
  model: optional(readString),
  prompt: readUnion<string | number[] | (string | number[])[] | undefined>([
    ['list[constrained-int]', optional(readTokens)],
    ['list[list[constrained-int]]', optional(readList(readTokens))],
    ['str', optional(readString)],
    ['list[str]', optional(readList(readString))],
  ]),
  echo: optional(readBool),
  frequency_penalty: optional(readFloat),
  logit_bias: optional(readDict(readFloat)),
  logprobs: optional(readInt()),
  max_tokens: (value: unknown, loc: readonly (string | number)[], errors: Parameters<Reader<number>>[2]) =>
    value === undefined ? 16 : optional(readInt())(value, loc, errors),
  n: withDefault(readInt(), 1),
  presence_penalty: optional(readFloat),
  response_format: optional(responseFormat),
  seed: optional(readInt({ le: INT64_MAX })),
  stop: optional(stopField),
  stream: optional(readBool),
  stream_options: optional(streamOptions),
  suffix: optional(readString),
  temperature: optional(readFloat),
  top_p: optional(readFloat),
  user: optional(readString),
  ...samplingTail,
  ...operationTail,
};

type Fields<T> = { [K in keyof T]: T[K] extends Reader<infer V> ? V : never };
export type ChatFields = Fields<typeof chatFields>;
export type CompletionFields = Fields<typeof completionFields>;

export const readChatFields: Reader<ChatFields> = readModel<ChatFields>(chatFields as never, ['messages']);
export const readCompletionFields: Reader<CompletionFields> = readModel<CompletionFields>(completionFields as never);
