/** Messages of a chat request: which shapes vLLM takes, and its long complaint about those it does not. */
import { badRequest } from './errors.ts';
import { type FieldError, isObject, type Loc, pythonRepr, type Reader } from './pydantic.ts';

export interface Message {
  role: string;
  content: string;
  reasoning: string | undefined;
  toolCalls: { name: string; arguments: unknown }[];
}

const CUSTOM_PARTS =
  'list[union[...,...,...,...,ChatCompletionContentPartAudioParam,ChatCompletionContentPartVideoParam,...,CustomChatCompletionContentPILImageParam,CustomChatCompletionContentSimpleImageParam,ChatCompletionContentPartImageEmbedsParam,ChatCompletionContentPartAudioEmbedsParam,ChatCompletionContentPartVideoEmbedsParam,ChatCompletionContentPartPromptEmbedsParam,CustomChatCompletionContentSimpleAudioParam,CustomChatCompletionContentSimpleVideoParam,CustomChatCompletionContentToolReferenceParam,str,CustomThinkCompletionContentParam]]';

/** The typed message models in pydantic's order: name, role, tag of the content's iterable, further required fields. */
const TYPED: readonly (readonly [string, string, string | undefined, readonly string[]])[] = [
  ['ChatCompletionDeveloperMessageParam', 'developer', 'generator[...]', []],
  ['ChatCompletionSystemMessageParam', 'system', 'generator[...]', []],
  ['ChatCompletionUserMessageParam', 'user', 'generator[union[...,...,...,...]]', []],
  ['ChatCompletionAssistantMessageParam', 'assistant', 'generator[union[...,...]]', []],
  ['ChatCompletionToolMessageParam', 'tool', 'generator[...]', ['tool_call_id']],
  ['ChatCompletionFunctionMessageParam', 'function', undefined, ['name']],
];

function complain(value: unknown, loc: Loc, errors: FieldError[]): void {
  const push = (type: string, tail: Loc, msg: string, input: unknown, ctx?: Record<string, unknown>) =>
    errors.push(ctx ? { type, loc: [...loc, ...tail], msg, input, ctx } : { type, loc: [...loc, ...tail], msg, input });
  if (!isObject(value)) {
    for (const [model] of TYPED) push('dict_type', [model], 'Input should be a valid dictionary', value);
    push('dict_type', ['CustomChatCompletionMessageParam'], 'Input should be a valid dictionary', value);
    push(
      'model_attributes_type',
      ['Message'],
      'Input should be a valid dictionary or object to extract fields from',
      value,
    );
    return;
  }
  const { content, role } = value;
  const badContent =
    content !== undefined && content !== null && typeof content !== 'string' && !Array.isArray(content);
  for (const [model, expectedRole, iterable, required] of TYPED) {
    const roleError = () => {
      if (role === undefined) push('missing', [model, 'role'], 'Field required', value);
      else if (role !== expectedRole) {
        push('literal_error', [model, 'role'], `Input should be '${expectedRole}'`, role, {
          expected: `'${expectedRole}'`,
        });
      }
    };
    // The assistant's model has its role first, the others their content.
    if (expectedRole === 'assistant') roleError();
    if (badContent) {
      push(
        'string_type',
        iterable ? [model, 'content', 'str'] : [model, 'content'],
        'Input should be a valid string',
        content,
      );
      if (iterable) push('iterable_type', [model, 'content', iterable], 'Input should be iterable', content);
    }
    if (expectedRole === 'function')
      for (const field of required) if (!(field in value)) push('missing', [model, field], 'Field required', value);
    if (expectedRole !== 'assistant') roleError();
    if (expectedRole === 'tool')
      for (const field of required) if (!(field in value)) push('missing', [model, field], 'Field required', value);
  }
  const custom = 'CustomChatCompletionMessageParam';
  if (role === undefined) push('missing', [custom, 'role'], 'Field required', value);
  else if (typeof role !== 'string') push('string_type', [custom, 'role'], 'Input should be a valid string', role);
  if (badContent) {
    push('string_type', [custom, 'content', 'str'], 'Input should be a valid string', content);
    push('list_type', [custom, 'content', CUSTOM_PARTS], 'Input should be a valid list', content);
  }
  push('missing', ['Message', 'author'], 'Field required', value);
  if (badContent) push('list_type', ['Message', 'content'], 'Input should be a valid list', content);
}

/** Reads one raw message; its parts are looked at later, by `readMessages`. */
export const readRawMessage: Reader<Record<string, unknown>> = (value, loc, errors) => {
  if (isObject(value)) {
    const { content, role } = value;
    const fine = content === undefined || content === null || typeof content === 'string' || Array.isArray(content);
    if (fine && typeof role === 'string') return value;
  }
  complain(value, loc, errors);
  return {};
};

const KNOWN_PARTS = [
  ['ChatCompletionContentPartTextParam', 'text', 'text'],
  ['ChatCompletionContentPartImageParam', 'image_url', 'image_url'],
  ['ChatCompletionContentPartInputAudioParam', 'input_audio', 'input_audio'],
  ['File', 'file', 'file'],
] as const;

const MEDIA_PARTS = new Set([
  'image_url',
  'input_audio',
  'audio_url',
  'video_url',
  'file',
  'image_pil',
  'image_embeds',
]);

function partError(part: unknown, index: number): Error {
  const shown = pythonRepr(part).slice(0, 200);
  const kind = isObject(part) ? part.type : undefined;
  const lines: string[] = [];
  const more = (type: string) => `    For further information visit https://errors.pydantic.dev/2.14/v/${type}`;
  for (const [model, field, tag] of KNOWN_PARTS) {
    lines.push(
      `${index}.${model}.${field}`,
      `  Field required [type=missing, input_value=${shown}, input_type=dict]`,
      more('missing'),
    );
    lines.push(
      `${index}.${model}.type`,
      `  Input should be '${tag}' [type=literal_error, input_value=${pythonRepr(kind)}, input_type=str]`,
      more('literal_error'),
    );
  }
  return badRequest(`8 validation errors for ValidatorIterator\n${lines.join('\n')}`);
}

function textOfContent(content: unknown, model: string): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  const parts: string[] = [];
  for (const [index, part] of (content as unknown[]).entries()) {
    if (typeof part === 'string') parts.push(part);
    else if (isObject(part) && typeof part.text === 'string' && (part.type === 'text' || part.type === undefined))
      parts.push(part.text);
    else if (isObject(part) && typeof part.type === 'string' && MEDIA_PARTS.has(part.type)) {
      throw badRequest(`${model} is not a multimodal model`);
    } else throw partError(part, index);
  }
  return parts.join('\n');
}

/** The conversation as the chat template sees it. */
export function readMessages(raw: readonly Record<string, unknown>[], model: string): Message[] {
  return raw.map((message) => {
    const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
    return {
      role: message.role as string,
      content: textOfContent(message.content, model),
      reasoning: typeof message.reasoning === 'string' ? message.reasoning : undefined,
      toolCalls: calls.filter(isObject).map((call) => {
        const called = isObject(call.function) ? call.function : {};
        return { name: String(called.name ?? ''), arguments: parsedArguments(called.arguments) };
      }),
    };
  });
}

/** vLLM hands the template an object where the client sent JSON text. */
function parsedArguments(value: unknown): unknown {
  if (typeof value !== 'string') return value ?? {};
  try {
    return JSON.parse(value === '' ? '{}' : value);
  } catch {
    throw badRequest('Expecting value: line 1 column 1 (char 0)');
  }
}
