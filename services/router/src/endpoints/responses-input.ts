/** `input` of the responses API, rebuilt from allow-listed fields: messages, calls and their results. */
import {
  checkArray,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  type JsonObject,
  missing,
  unsupported,
  wrongType,
} from '../contract/checks.ts';

export type InputItem =
  | { role: 'user' | 'assistant' | 'system'; content: string }
  | { type: 'function_call'; call_id: string; name: string; arguments: string }
  | { type: 'function_call_output'; call_id: string; output: string };

const MAX_ITEMS = 4_096;
const MAX_PARTS = 1_024;
const TEXT_PARTS = new Set(['input_text', 'output_text', 'text', 'summary_text']);

/** Text, or a list of items. */
export function readInput(value: unknown): InputItem[] {
  if (isAbsent(value)) throw missing('input');
  if (typeof value === 'string') return [{ role: 'user', content: value }];
  if (!Array.isArray(value)) throw wrongType('input', 'a string or an array', value);
  const items = checkArray('input', value, 1, MAX_ITEMS).flatMap((entry, i) => readItem(`input[${i}]`, entry));
  if (items.length === 0) throw invalid('input', 'it holds nothing but earlier thoughts.');
  return items;
}

function readItem(path: string, value: unknown): InputItem[] {
  const item = checkObject(path, value);
  switch (item.type ?? 'message') {
    case 'message':
      return [readMessage(path, item)];
    case 'function_call':
      return [
        {
          type: 'function_call',
          call_id: checkString(`${path}.call_id`, item.call_id, 256),
          name: checkString(`${path}.name`, item.name, 256),
          arguments: checkString(`${path}.arguments`, item.arguments),
        },
      ];
    case 'function_call_output': {
      const call_id = checkString(`${path}.call_id`, item.call_id, 256);
      return [{ type: 'function_call_output', call_id, output: readText(`${path}.output`, item.output) }];
    }
    case 'reasoning':
      // A model's template drops the thoughts of earlier turns anyway.
      return [];
    case 'item_reference':
      throw unsupported(path, 'Answers are not stored: send the item itself.');
    default:
      throw invalid(`${path}.type`, 'only messages, function calls and their outputs are supported.');
  }
}

function readMessage(path: string, item: JsonObject): InputItem {
  if (item.role === undefined) throw missing(`${path}.role`);
  const role = checkOneOf(`${path}.role`, item.role, ['user', 'assistant', 'system', 'developer']);
  // Workers' templates know `system`; what `developer` becomes there is anybody's guess.
  return { role: role === 'developer' ? 'system' : role, content: readText(`${path}.content`, item.content) };
}

function readText(path: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) throw wrongType(path, 'a string or an array', value);
  return checkArray(path, value, 1, MAX_PARTS)
    .map((entry, i) => readPart(`${path}[${i}]`, entry))
    .join('');
}

function readPart(path: string, value: unknown): string {
  const part = checkObject(path, value);
  if (part.type === 'refusal') return checkString(`${path}.refusal`, part.refusal);
  if (typeof part.type === 'string' && TEXT_PARTS.has(part.type)) return checkString(`${path}.text`, part.text);
  throw invalid(`${path}.type`, 'only text is supported by this model.');
}

/** The same as chat messages, for the tokenizer; null where calls make that a guess. */
export function asChatMessages(instructions: string | null, items: readonly InputItem[]): object[] | null {
  const messages: object[] = instructions === null ? [] : [{ role: 'system', content: instructions }];
  for (const item of items) {
    if (!('role' in item)) return null;
    messages.push(item);
  }
  return messages;
}
