/** `messages` and `system` of Anthropic's messages API, rebuilt from allow-listed fields. */
import {
  checkArray,
  checkBoolean,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  type JsonObject,
  missing,
  wrongType,
} from '../contract/checks.ts';

export type Block =
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: JsonObject }
  | { type: 'tool_result'; tool_use_id: string; content: string; is_error?: boolean };

export interface AnthropicMessage {
  role: 'user' | 'assistant';
  content: string | Block[];
}

const MAX_MESSAGES = 4_096;
const MAX_BLOCKS = 1_024;

export function readAnthropicMessages(value: unknown): AnthropicMessage[] {
  if (isAbsent(value)) throw missing('messages');
  return checkArray('messages', value, 1, MAX_MESSAGES).map((entry, i) => {
    const path = `messages[${i}]`;
    const raw = checkObject(path, entry);
    if (raw.role === undefined) throw missing(`${path}.role`);
    const role = checkOneOf(`${path}.role`, raw.role, ['user', 'assistant']);
    return { role, content: readContent(`${path}.content`, raw.content) };
  });
}

function readContent(path: string, value: unknown): string | Block[] {
  if (typeof value === 'string') return value;
  if (value === undefined) throw missing(path);
  if (!Array.isArray(value)) throw wrongType(path, 'a string or an array', value);
  return checkArray(path, value, 1, MAX_BLOCKS).flatMap((entry, i) => readBlock(`${path}[${i}]`, entry));
}

function readBlock(path: string, value: unknown): Block[] {
  const block = checkObject(path, value);
  switch (block.type) {
    case 'text':
      return [{ type: 'text', text: checkString(`${path}.text`, block.text) }];
    case 'tool_use':
      return [
        {
          type: 'tool_use',
          id: checkString(`${path}.id`, block.id, 256),
          name: checkString(`${path}.name`, block.name, 256),
          input: checkObject(`${path}.input`, block.input),
        },
      ];
    case 'tool_result': {
      const result: Block = {
        type: 'tool_result',
        tool_use_id: checkString(`${path}.tool_use_id`, block.tool_use_id, 256),
        content: isAbsent(block.content) ? '' : readTexts(`${path}.content`, block.content),
      };
      if (!isAbsent(block.is_error)) result.is_error = checkBoolean(`${path}.is_error`, block.is_error);
      return [result];
    }
    case 'thinking':
    case 'redacted_thinking':
      // A model's template drops the thoughts of earlier turns anyway.
      return [];
    default:
      throw invalid(`${path}.type`, 'only text, tool_use and tool_result are supported by this model.');
  }
}

/** Text, or a list of text blocks, as one text: `system`, and the result of a tool. */
export function readTexts(path: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) throw wrongType(path, 'a string or an array', value);
  return checkArray(path, value, 0, MAX_BLOCKS)
    .map((entry, i) => {
      const block = checkObject(`${path}[${i}]`, entry);
      if (block.type !== 'text') throw invalid(`${path}[${i}].type`, 'only text is supported by this model.');
      return checkString(`${path}[${i}].text`, block.text);
    })
    .join('');
}
