/**
 * Bodies of the endpoints beside chat. Which fields each has is read off the router's own tables; what stands here is the
 * shape of their values, and a field without one (or the other way round) is an error.
 */
import type { ProfileFile } from '@tollgate/router/contract/profile-file';
import { STRUCTURED_FIELDS } from '@tollgate/router/contract/structured';
import type { EndpointName } from '@tollgate/router/endpoints/endpoint';
import type { FieldTable } from '@tollgate/router/endpoints/fields';
import {
  list,
  object,
  orNull,
  parameterSchema,
  refused,
  type Schema,
  STRUCTURED,
  TOOL_CHOICE,
  text,
  WITHOUT_EFFECT,
  whole,
  YES_OR_NO,
} from './parameters.ts';

export interface Fields {
  own: FieldTable;
  /** Read as the contract has them. */
  shared: ReadonlySet<string>;
}

const MODEL = text({ minLength: 1, maxLength: 256 });
const IDS = list(whole({ minimum: 0 }));
const prompts = (most: number): Schema => ({
  anyOf: [text({ minLength: 1 }), IDS, list({ anyOf: [text({ minLength: 1 }), IDS] }, { minItems: 1, maxItems: most })],
});
const STREAM_OPTIONS = object({ include_usage: YES_OR_NO, continuous_usage_stats: YES_OR_NO });
const USER: Schema = { description: 'Your own word for who asks; it goes to the log.' };
const structured = Object.fromEntries(STRUCTURED_FIELDS.map((name): [string, Schema] => [name, STRUCTURED[name]!]));
const BLOCKS = list({ type: 'object' });
const OURS_ONLY: Schema = { type: 'boolean', enum: [false] };

type Described = Exclude<EndpointName, '/chat/completions'>;
const VALUES: Readonly<Record<Described, { required: readonly string[]; of: Readonly<Record<string, Schema>> }>> = {
  '/completions': {
    required: ['prompt'],
    of: {
      model: MODEL,
      prompt: prompts(128),
      echo: YES_OR_NO,
      logprobs: whole({ minimum: 0, maximum: 20 }),
      best_of: whole({ minimum: 1, maximum: 128, description: 'Only what n is.' }),
      stream: YES_OR_NO,
      stream_options: STREAM_OPTIONS,
      suffix: text({ enum: [''] }),
      user: USER,
      ...structured,
    },
  },
  '/embeddings': {
    required: ['model', 'input'],
    of: {
      model: MODEL,
      input: prompts(2_048),
      encoding_format: text({ enum: ['float', 'base64'] }),
      dimensions: whole({ minimum: 1, maximum: 65_536 }),
      user: USER,
    },
  },
  '/responses': {
    required: ['input'],
    of: {
      model: MODEL,
      input: { anyOf: [text(), BLOCKS], description: 'Text, or messages, function calls and their outputs.' },
      instructions: text(),
      max_output_tokens: whole({ minimum: 1 }),
      stream: YES_OR_NO,
      stream_options: object({}),
      store: OURS_ONLY,
      background: OURS_ONLY,
      include: list(text({ enum: ['reasoning.encrypted_content'] }), { maxItems: 16 }),
      truncation: text({ enum: ['disabled'] }),
      tools: list(
        object({ type: { const: 'function' }, name: text(), parameters: { type: 'object' } }, ['type', 'name']),
      ),
      tool_choice: TOOL_CHOICE,
      parallel_tool_calls: YES_OR_NO,
      text: object({ format: object({ type: text({ enum: ['text', 'json_object', 'json_schema'] }) }, ['type']) }),
      reasoning: object({ effort: text({ enum: ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] }) }),
      top_logprobs: whole({ minimum: 0, maximum: 20 }),
      prompt_cache_key: { description: 'Your own word for the conversation.' },
      user: USER,
    },
  },
  '/messages': {
    required: ['max_tokens', 'messages'],
    of: {
      model: MODEL,
      messages: list(
        object({ role: text({ enum: ['user', 'assistant'] }), content: { anyOf: [text(), BLOCKS] } }, [
          'role',
          'content',
        ]),
        { minItems: 1, maxItems: 4_096 },
      ),
      max_tokens: whole({ minimum: 1 }),
      system: { anyOf: [text(), BLOCKS] },
      stop_sequences: list(text({ minLength: 1, maxLength: 1_024 }), { maxItems: 4 }),
      stream: YES_OR_NO,
      temperature: { type: 'number', minimum: 0, maximum: 1 },
      top_p: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
      top_k: whole({ minimum: 0, maximum: 1_000_000 }),
      tools: list(
        object({ name: text(), description: text(), input_schema: { type: 'object' } }, ['name', 'input_schema']),
      ),
      tool_choice: object({ type: text({ enum: ['auto', 'any', 'tool', 'none'] }), name: text() }, ['type']),
      thinking: object({ type: text({ enum: ['enabled', 'disabled', 'adaptive'] }) }, ['type']),
      metadata: object({ user_id: text() }),
    },
  },
};

/** @throws when the router's table and the shapes above name different fields. */
export function bodyOf(endpoint: Described, { own, shared }: Fields, file: ProfileFile): Schema {
  const { required, of } = VALUES[endpoint];
  const properties: Record<string, Schema> = {};
  for (const [name, rule] of own) {
    const shape = of[name];
    if (typeof rule === 'object') properties[name] = refused(rule.refuse);
    else if (rule === 'drop') properties[name] = { description: WITHOUT_EFFECT };
    else if (shape === undefined) throw new Error(`${endpoint}: the field ${name} has no shape here`);
    else properties[name] = required.includes(name) ? shape : orNull(shape);
  }
  for (const name of Object.keys(of)) {
    if (!own.has(name)) throw new Error(`${endpoint}: the router knows no field ${name}`);
  }
  for (const name of shared) {
    const rule = own.has(name) ? undefined : file.parameters[name];
    const schema = rule === undefined || rule.unsupported !== undefined ? null : parameterSchema(name, rule);
    if (schema !== null) properties[name] = schema;
  }
  return object(properties, required, file.unknownParameters === 'refuse' ? { additionalProperties: false } : {});
}
