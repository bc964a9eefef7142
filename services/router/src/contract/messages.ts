/** Messages of OpenAI's chat contract, rebuilt from allow-listed fields. */
import {
  checkArray,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  missing,
  unsupported,
  wrongType,
} from './checks.ts';
import type { Message, Role, TextPart, ToolCall } from './request.ts';

const MAX_PARTS = 1024;
const MAX_TOOL_CALLS = 128;

/** What a contract says of its messages. */
export interface MessageRules {
  /** `function` is OpenAI's legacy word for the answer of a tool. */
  roles: readonly (Role | 'function')[];
  min: number;
  max: number;
}

export function parseMessages(value: unknown, rules: MessageRules): Message[] {
  if (value === undefined) throw missing('messages');
  return checkArray('messages', value, rules.min, rules.max).map((entry, i) => parseMessage(entry, i, rules));
}

function parseMessage(value: unknown, index: number, rules: MessageRules): Message {
  return simpleMessage(value) ?? checkedMessage(value, index, rules);
}

/** The most common message, `{role, content}` with text, needs no path for an error. */
function simpleMessage(value: unknown): Message | null {
  if (typeof value !== 'object' || value === null) return null;
  let fields = 0;
  for (const _name in value) fields++;
  const { role, content } = value as { role?: unknown; content?: unknown };
  if (fields !== 2 || typeof content !== 'string') return null;
  return role === 'user' || role === 'system' || role === 'assistant' ? { role, content } : null;
}

function checkedMessage(value: unknown, index: number, rules: MessageRules): Message {
  const path = `messages[${index}]`;
  const raw = checkObject(path, value);
  if (raw.role === undefined) throw missing(`${path}.role`);
  const told = checkOneOf(`${path}.role`, raw.role, rules.roles);
  const role: Role = told === 'function' ? 'tool' : told;
  // OpenAI's legacy form; a client that sends a message back as it came has it as null.
  if (!isAbsent(raw.function_call)) throw unsupported(`${path}.function_call`, 'Use tool_calls.');
  if (!isAbsent(raw.audio)) throw unsupported(`${path}.audio`, 'Audio is not supported.');
  // Workers' templates know `system`; what `developer` becomes there is anybody's guess.
  const message: Message = { role: role === 'developer' ? 'system' : role, content: null };
  const calls = role === 'assistant' && !isAbsent(raw.tool_calls) ? parseToolCalls(path, raw.tool_calls) : undefined;
  message.content = parseContent(`${path}.content`, raw.content, role, calls !== undefined);
  if (!isAbsent(raw.name)) message.name = checkString(`${path}.name`, raw.name, 256);
  if (calls) message.tool_calls = calls;
  if (role === 'tool') {
    const id = told === 'function' ? (raw.tool_call_id ?? raw.name) : raw.tool_call_id;
    if (isAbsent(id)) throw missing(`${path}.${told === 'function' ? 'name' : 'tool_call_id'}`);
    message.tool_call_id = checkString(`${path}.tool_call_id`, id, 256);
  }
  return message;
}

function parseContent(path: string, value: unknown, role: Role, hasCalls: boolean): string | TextPart[] | null {
  if (typeof value === 'string') return value;
  if (isAbsent(value)) {
    if (role !== 'assistant') throw value === null ? wrongType(path, 'a string or an array', value) : missing(path);
    return hasCalls ? null : '';
  }
  if (!Array.isArray(value)) throw wrongType(path, 'a string or an array', value);
  return checkArray(path, value, 1, MAX_PARTS).map((part, i) => parsePart(`${path}[${i}]`, part));
}

function parsePart(path: string, value: unknown): TextPart {
  const part = checkObject(path, value);
  if (part.type === 'text') return { type: 'text', text: checkString(`${path}.text`, part.text) };
  if (part.type === 'refusal') return { type: 'text', text: checkString(`${path}.refusal`, part.refusal) };
  if (typeof part.type !== 'string') throw wrongType(`${path}.type`, 'a string', part.type);
  throw invalid(`${path}.type`, "only parts of type 'text' are supported by this model.");
}

function parseToolCalls(path: string, value: unknown): ToolCall[] {
  return checkArray(`${path}.tool_calls`, value, 1, MAX_TOOL_CALLS).map((entry, i) => {
    const at = `${path}.tool_calls[${i}]`;
    const call = checkObject(at, entry);
    if (call.type !== undefined) checkOneOf(`${at}.type`, call.type, ['function']);
    const fn = checkObject(`${at}.function`, call.function);
    return {
      id: checkString(`${at}.id`, call.id, 256),
      type: 'function',
      function: {
        name: checkString(`${at}.function.name`, fn.name, 256),
        arguments: checkString(`${at}.function.arguments`, fn.arguments),
      },
    };
  });
}
