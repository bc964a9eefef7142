/**
 * `POST /responses`: OpenAI's responses API, native on workers that have it (vLLM). Nothing is stored and nothing runs in
 * the background: what would need either is refused by name.
 */
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  unsupported,
} from '../contract/checks.ts';
import type { ContractProfile } from '../contract/profile.ts';
import type { GenerationRequest, Tool, ToolChoice } from '../contract/request.ts';
import { parseToolChoice, parseTools } from '../contract/tools.ts';
import { findLoneSurrogate } from '../contract/unicode.ts';
import { TypedReader } from '../relay/typed-reader.ts';
import type { StructuredRequest } from '../schema-gate/request.ts';
import { type BodyParts, type Endpoint, textBytes } from './endpoint.ts';
import { bodyOf, clientLabels, fieldTable, jsonFields, pick, readFields } from './fields.ts';
import { schemaOf, textWatch } from './native-form.ts';
import { readPlainResponse, responseEvents } from './responses-answer.ts';
import { asChatMessages, type InputItem, readInput } from './responses-input.ts';

export interface ResponsesRequest extends GenerationRequest {
  instructions: string | null;
  input: readonly InputItem[];
  /** Checked fields that reach the worker under the same name. */
  forwarded: Readonly<Record<string, unknown>>;
  parallelToolCalls: boolean | null;
}

const MAX_TOOLS = 128;
const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] as const;
const NOT_STORED = 'Answers are not stored';

export const OWN = fieldTable({
  model: (value) => checkString('model', value, 256),
  input: (value) => value,
  instructions: (value) => checkString('instructions', value),
  max_output_tokens: (value) => checkInteger('max_output_tokens', value, { min: 1, max: Number.MAX_SAFE_INTEGER }),
  stream: (value) => checkBoolean('stream', value),
  stream_options: (value) => void checkObject('stream_options', value),
  store: (value) => {
    if (checkBoolean('store', value)) throw unsupported('store', `${NOT_STORED}: send false, or leave it out.`);
  },
  background: (value) => {
    if (checkBoolean('background', value)) throw unsupported('background', 'Nothing runs in the background here.');
  },
  previous_response_id: { refuse: `${NOT_STORED}: send the whole conversation as 'input'.` },
  conversation: { refuse: `${NOT_STORED}: send the whole conversation as 'input'.` },
  prompt: { refuse: 'Prompts are not stored: send the text itself.' },
  include: readInclude,
  truncation: (value) => void checkOneOf('truncation', value, ['disabled']),
  tools: (value) => value,
  tool_choice: (value) => value,
  parallel_tool_calls: (value) => checkBoolean('parallel_tool_calls', value),
  text: (value) => checkObject('text', value),
  reasoning: readReasoning,
  top_logprobs: (value) => checkInteger('top_logprobs', value, { min: 0, max: 20 }),
  user: (value) => value,
  metadata: 'drop',
  safety_identifier: 'drop',
  prompt_cache_key: (value) => value,
  prompt_cache_retention: 'drop',
  service_tier: 'drop',
  max_tool_calls: 'drop',
});
export const SHARED = new Set(['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'top_k', 'min_p']);
const FORWARDED = new Set([...SHARED, 'top_logprobs', 'reasoning']);

/** What nothing here can give is refused; thoughts come in the clear, so their encrypted form is not needed. */
function readInclude(value: unknown): undefined {
  for (const entry of checkArray('include', value, 0, 16)) {
    if (entry !== 'reasoning.encrypted_content') throw unsupported('include', 'Nothing can be included.');
  }
  return undefined;
}

function readReasoning(value: unknown): object | undefined {
  const { effort } = checkObject('reasoning', value);
  return isAbsent(effort) ? undefined : { effort: checkOneOf('reasoning.effort', effort, EFFORTS) };
}

function parse(body: unknown, profile: ContractProfile): ResponsesRequest {
  const read = readFields(body, OWN, SHARED, profile);
  const input = readInput(bodyOf(body).input);
  const tools = readTools(read.tools);
  const toolChoice = readToolChoice(read.tool_choice, tools);
  const structured = readFormat(read.text as Record<string, unknown> | undefined);
  const forced = toolChoice === 'required' || typeof toolChoice === 'object';
  const request: ResponsesRequest = {
    model: (read.model as string | undefined) ?? '',
    instructions: (read.instructions as string | undefined) ?? null,
    input,
    stream: read.stream === true,
    usageInStream: 'final',
    choices: 1,
    maxTokens: (read.max_output_tokens as number | undefined) ?? null,
    minTokens: 0,
    tools,
    toolChoice,
    structured,
    needsWholeOutput: structured !== null || (forced && toolChoice !== null),
    forwarded: pick(read, FORWARDED),
    parallelToolCalls: (read.parallel_tool_calls as boolean | undefined) ?? null,
    labels: clientLabels(read.user, read.prompt_cache_key),
  };
  for (const [name, value] of [
    ['input', input],
    ['instructions', request.instructions],
    ['tools', tools],
  ] as const) {
    const lone = findLoneSurrogate(name, value);
    if (lone !== null) throw invalid(lone, 'it holds half of a UTF-16 surrogate pair, which is not a character.');
  }
  return request;
}

/** Here a function's fields stand beside `type`; in chat, and in our request model, one level down. */
function readTools(value: unknown): Tool[] | null {
  if (isAbsent(value) || (Array.isArray(value) && value.length === 0)) return null;
  const nested = checkArray('tools', value, 1, MAX_TOOLS).map((entry, i) => {
    const { type, ...fn } = checkObject(`tools[${i}]`, entry);
    if (type !== 'function') throw unsupported(`tools[${i}].type`, "Only tools of type 'function' are supported.");
    return { type, function: fn };
  });
  return parseTools(nested, 1, MAX_TOOLS);
}

function readToolChoice(value: unknown, tools: readonly Tool[] | null): ToolChoice | null {
  if (isAbsent(value) || typeof value === 'string') return parseToolChoice(value, tools);
  const { type, name } = checkObject('tool_choice', value);
  return parseToolChoice({ type, function: { name } }, tools);
}

/** `text.format` as chat's `response_format`, which the schema gate reads. */
function readFormat(text: Record<string, unknown> | undefined): StructuredRequest | null {
  if (text === undefined || isAbsent(text.format)) return null;
  const { type, ...rest } = checkObject('text.format', text.format);
  switch (checkOneOf('text.format.type', type, ['text', 'json_object', 'json_schema'])) {
    case 'text':
      return null;
    case 'json_object':
      return { response_format: { type: 'json_object' } };
    case 'json_schema':
      return { response_format: { type: 'json_schema', json_schema: rest } };
  }
}

function body(request: ResponsesRequest, { text, maxTokens, constraint, fields }: BodyParts): string {
  let json = `{"model":${JSON.stringify(request.model)},${text.messages.slice(1, -1)},"max_output_tokens":${maxTokens}`;
  json += jsonFields(request.forwarded);
  if (text.tools !== null) {
    json += `,"tools":${text.tools}`;
    if (request.toolChoice !== null) json += `,"tool_choice":${JSON.stringify(flatChoice(request.toolChoice))}`;
    if (request.parallelToolCalls !== null) json += `,"parallel_tool_calls":${request.parallelToolCalls}`;
  }
  const schema = schemaOf(constraint);
  if (schema !== null) {
    json += `,"text":{"format":${JSON.stringify({ type: 'json_schema', name: 'answer', schema, strict: true })}}`;
  }
  // A thought that never closes keeps the grammar from ever being applied (facts/real-engine.md 3.8).
  if (request.needsWholeOutput) json += ',"chat_template_kwargs":{"enable_thinking":false}';
  if (request.stream) json += ',"stream":true';
  if (fields.priority !== 0) json += `,"priority":${fields.priority}`;
  return `${json},"store":false,"request_id":"resp_${fields.requestId}","cache_salt":"${fields.cacheSalt}"}`;
}

function flatChoice(choice: ToolChoice): unknown {
  return typeof choice === 'string' ? choice : { type: 'function', name: choice.function.name };
}

export const RESPONSES: Endpoint<ResponsesRequest> = {
  name: '/responses',
  scope: 'responses',
  workerPath: '/v1/responses',
  engines: ['vllm'],
  errors: 'responses',
  parse,
  text: ({ instructions, input, tools }) => ({
    // An object of these two alone, so that its inside can stand in the worker's body as it is.
    messages: JSON.stringify({ ...(instructions === null ? {} : { instructions }), input }),
    tools: tools === null ? null : JSON.stringify(tools.map(({ type, function: fn }) => ({ type, ...fn }))),
  }),
  size(request, text) {
    const bytes = textBytes(text);
    return {
      ...bytes,
      promptBytes: bytes.messageBytes + bytes.toolBytes,
      messages: request.input.length + 1,
      choices: 1,
    };
  },
  body,
  tokenizeBody({ model, instructions, input, tools }, text) {
    const messages = asChatMessages(instructions, input);
    if (messages === null) return null;
    return JSON.stringify({ model, messages, ...(text.tools === null ? {} : { tools }) });
  },
  streamReader: (_request, { checks }) => new TypedReader(responseEvents(checks), textWatch(checks)),
  plainReader:
    (_request, { checks }) =>
    (bytes) =>
      readPlainResponse(bytes, checks),
};
