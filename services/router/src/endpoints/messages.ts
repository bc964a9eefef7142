/** `POST /messages`: Anthropic's messages API, native on workers that have it (vLLM). Errors speak its words too. */
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
  missing,
  unsupported,
} from '../contract/checks.ts';
import type { ContractProfile } from '../contract/profile.ts';
import type { GenerationRequest } from '../contract/request.ts';
import { findLoneSurrogate } from '../contract/unicode.ts';
import { TypedReader } from '../relay/typed-reader.ts';
import { type BodyParts, type Endpoint, textBytes } from './endpoint.ts';
import { bodyOf, clientLabels, fieldTable, jsonFields, NO_TOOLS, pick, readFields } from './fields.ts';
import { messageEvents, readPlainMessage } from './messages-answer.ts';
import { type AnthropicMessage, readAnthropicMessages, readTexts } from './messages-input.ts';

interface AnthropicTool {
  name: string;
  description?: string;
  input_schema: Record<string, unknown>;
}

export interface MessagesRequest extends GenerationRequest {
  system: string | null;
  messages: readonly AnthropicMessage[];
  anthropicTools: readonly AnthropicTool[] | null;
  anthropicChoice: object | null;
  forwarded: Readonly<Record<string, unknown>>;
  thinking: boolean | null;
}

const MAX_TOOLS = 128;
const MAX_STOPS = 4;
const NAME = /^[A-Za-z0-9_-]{1,128}$/;

export const OWN = fieldTable({
  model: (value) => checkString('model', value, 256),
  messages: (value) => value,
  max_tokens: (value) => checkInteger('max_tokens', value, { min: 1, max: Number.MAX_SAFE_INTEGER }),
  system: (value) => readTexts('system', value),
  stop_sequences: (value) =>
    checkArray('stop_sequences', value, 0, MAX_STOPS).map((entry, i) => {
      const stop = checkString(`stop_sequences[${i}]`, entry, 1_024);
      if (stop === '') throw invalid(`stop_sequences[${i}]`, 'it is empty.');
      return stop;
    }),
  stream: (value) => checkBoolean('stream', value),
  temperature: (value) => checkNumber('temperature', value, { min: 0, max: 1 }),
  top_p: (value) => checkNumber('top_p', value, { min: 0, aboveMin: true, max: 1 }),
  top_k: (value) => checkInteger('top_k', value, { min: 0, max: 1_000_000 }),
  tools: readTools,
  tool_choice: readChoice,
  thinking: readThinking,
  metadata: (value) => checkObject('metadata', value),
  service_tier: 'drop',
  container: { refuse: 'There are no containers here.' },
  mcp_servers: { refuse: 'Tools are called by the client alone.' },
  output_config: { refuse: "Use 'response_format' of the chat completions endpoint." },
});
const NONE: ReadonlySet<string> = new Set();
const FORWARDED = new Set(['stop_sequences', 'temperature', 'top_p', 'top_k']);

function readTools(value: unknown): AnthropicTool[] | null {
  const tools = checkArray('tools', value, 0, MAX_TOOLS).map((entry, i) => {
    const path = `tools[${i}]`;
    const { type, name, description, input_schema: schema } = checkObject(path, entry);
    if (!isAbsent(type) && type !== 'custom')
      throw unsupported(`${path}.type`, 'Tools are called by the client alone.');
    if (!NAME.test(checkString(`${path}.name`, name)))
      throw invalid(`${path}.name`, 'expected A-Z, a-z, 0-9, _ and -.');
    const tool: AnthropicTool = { name: name as string, input_schema: checkObject(`${path}.input_schema`, schema) };
    if (!isAbsent(description)) tool.description = checkString(`${path}.description`, description, 32_768);
    return tool;
  });
  return tools.length === 0 ? null : tools;
}

/** `disable_parallel_tool_use` is what a model does on its own account here; it cannot be promised. */
function readChoice(value: unknown): { type: string; name?: string } {
  const { type, name, disable_parallel_tool_use: alone } = checkObject('tool_choice', value);
  const choice = checkOneOf('tool_choice.type', type, ['auto', 'any', 'tool', 'none']);
  if (!isAbsent(alone)) checkBoolean('tool_choice.disable_parallel_tool_use', alone);
  if (choice !== 'tool') return { type: choice };
  if (name === undefined) throw missing('tool_choice.name');
  return { type: choice, name: checkString('tool_choice.name', name, 128) };
}

function readThinking(value: unknown): boolean {
  const { type } = checkObject('thinking', value);
  return checkOneOf('thinking.type', type, ['enabled', 'disabled', 'adaptive']) !== 'disabled';
}

function parse(body: unknown, profile: ContractProfile): MessagesRequest {
  const read = readFields(body, OWN, NONE, profile);
  const messages = readAnthropicMessages(bodyOf(body).messages);
  if (read.max_tokens === undefined) throw missing('max_tokens');
  const tools = (read.tools as AnthropicTool[] | null | undefined) ?? null;
  const choice = (read.tool_choice as { type: string; name?: string } | undefined) ?? null;
  const forced = choice?.type === 'any' || choice?.type === 'tool';
  if (forced && tools === null) throw invalid('tool_choice', "it needs 'tools'.");
  if (choice?.type === 'tool' && !tools?.some(({ name }) => name === choice.name)) {
    throw invalid('tool_choice.name', "no tool of that name is in 'tools'.");
  }
  // vLLM's own schema has no 'none': the tools are left out instead.
  const offered = choice?.type === 'none' ? null : tools;
  const request: MessagesRequest = {
    ...NO_TOOLS,
    model: (read.model as string | undefined) ?? '',
    system: (read.system as string | undefined) ?? null,
    messages,
    anthropicTools: offered,
    anthropicChoice: offered === null ? null : choice,
    stream: read.stream === true,
    usageInStream: 'final',
    choices: 1,
    maxTokens: read.max_tokens as number,
    minTokens: 0,
    needsWholeOutput: forced,
    forwarded: pick(read, FORWARDED),
    thinking: forced ? false : ((read.thinking as boolean | undefined) ?? null),
    labels: clientLabels((read.metadata as Record<string, unknown> | undefined)?.user_id),
  };
  for (const [name, value] of [
    ['messages', messages],
    ['system', request.system],
    ['tools', offered],
  ] as const) {
    const lone = findLoneSurrogate(name, value);
    if (lone !== null) throw invalid(lone, 'it holds half of a UTF-16 surrogate pair, which is not a character.');
  }
  return request;
}

function body(request: MessagesRequest, { text, maxTokens, fields }: BodyParts): string {
  let json = `{"model":${JSON.stringify(request.model)},${text.messages.slice(1, -1)},"max_tokens":${maxTokens}`;
  json += jsonFields(request.forwarded);
  if (text.tools !== null) json += `,"tools":${text.tools}`;
  if (request.anthropicChoice !== null) json += `,"tool_choice":${JSON.stringify(request.anthropicChoice)}`;
  if (request.thinking !== null) json += `,"chat_template_kwargs":{"enable_thinking":${request.thinking}}`;
  if (request.stream) json += ',"stream":true';
  return `${json},"cache_salt":"${fields.cacheSalt}"}`;
}

export const MESSAGES: Endpoint<MessagesRequest> = {
  name: '/messages',
  scope: 'messages',
  workerPath: '/v1/messages',
  engines: ['vllm'],
  errors: 'anthropic',
  parse,
  text: ({ system, messages, anthropicTools: tools }) => ({
    // An object of these two alone, so that its inside can stand in the worker's body as it is.
    messages: JSON.stringify({ ...(system === null ? {} : { system }), messages }),
    tools: tools === null ? null : JSON.stringify(tools),
  }),
  size(request, text) {
    const bytes = textBytes(text);
    const messages = request.messages.reduce(
      (sum, { content }) => sum + (typeof content === 'string' ? 1 : content.length),
      1,
    );
    return { ...bytes, promptBytes: bytes.messageBytes + bytes.toolBytes, messages, choices: 1 };
  },
  body,
  tokenizeBody: () => null,
  streamReader: () => new TypedReader(messageEvents(), null),
  plainReader: () => readPlainMessage,
};
