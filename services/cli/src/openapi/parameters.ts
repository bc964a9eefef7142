/** Parameters of a contract file as JSON Schema: the same data from which the router's readers are compiled. */
import type { ParameterRule, ProfileFile } from '@tollgate/router/contract/profile-file';
import { GROUND_DEFAULTS, GROUND_LIMITS, RETRIEVAL_MODES } from '@tollgate/shared/contracts/retrieval';

export type Schema = Readonly<Record<string, unknown>>;

export const object = (
  properties: Record<string, Schema>,
  required: readonly string[] = [],
  rest: Schema = {},
): Schema => ({ type: 'object', properties, ...(required.length > 0 ? { required } : {}), ...rest });
export const text = (rest: Schema = {}): Schema => ({ type: 'string', ...rest });
export const whole = (rest: Schema = {}): Schema => ({ type: 'integer', ...rest });
export const list = (items: Schema, rest: Schema = {}): Schema => ({ type: 'array', items, ...rest });
export const YES_OR_NO: Schema = { type: 'boolean' };
export const WITHOUT_EFFECT = 'Accepted, without effect on the answer.';

const NAME = text({ pattern: '^[A-Za-z0-9_-]{1,64}$' });
const FUNCTION = object(
  {
    name: NAME,
    description: text({ maxLength: 32_768 }),
    parameters: { type: 'object', description: 'JSON Schema of the arguments.' },
    strict: YES_OR_NO,
  },
  ['name'],
);
export const TOOL = object({ type: { const: 'function' }, function: FUNCTION }, ['type', 'function']);
export const TOOL_CHOICE: Schema = {
  anyOf: [
    text({ enum: ['none', 'auto', 'required'] }),
    object({ type: { const: 'function' }, function: object({ name: NAME }, ['name']) }, ['type', 'function']),
  ],
};
const TEXT_PART = object({ type: text({ enum: ['text', 'refusal'] }), text: text(), refusal: text() }, ['type']);
const TOOL_CALL = object(
  {
    id: text({ maxLength: 256 }),
    type: { const: 'function' },
    function: object({ name: text({ maxLength: 256 }), arguments: text() }, ['name', 'arguments']),
  },
  ['id', 'function'],
);
const message = (roles: readonly string[]): Schema =>
  object(
    {
      role: text({ enum: roles }),
      content: { anyOf: [text(), list(TEXT_PART, { minItems: 1, maxItems: 1024 }), { type: 'null' }] },
      name: text({ maxLength: 256 }),
      tool_calls: list(TOOL_CALL, { minItems: 1, maxItems: 128 }),
      tool_call_id: text({ maxLength: 256 }),
    },
    ['role'],
  );

const WITH_SCHEMA = 'A JSON Schema that the answer fulfils.';
/** Every spelling in which a form of the answer may be asked for. */
export const STRUCTURED: Readonly<Record<string, Schema>> = {
  response_format: {
    anyOf: [
      object({ type: text({ enum: ['text', 'json_object'] }) }, ['type']),
      object(
        {
          type: { const: 'json_schema' },
          json_schema: object({ name: text(), description: text(), schema: { type: 'object' }, strict: YES_OR_NO }, [
            'schema',
          ]),
        },
        ['type', 'json_schema'],
      ),
    ],
  },
  structured_outputs: { type: 'object', description: 'vLLM: one of json, regex, choice, grammar, json_object.' },
  guided_json: { type: ['object', 'string'], description: WITH_SCHEMA },
  guided_regex: text(),
  guided_choice: list(text()),
  guided_grammar: text(),
  regex: text({ description: 'SGLang.' }),
  ebnf: text({ description: 'SGLang.' }),
  json_schema: { type: ['object', 'string'], description: WITH_SCHEMA },
};

const STORE_IDS = list(text({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 64 }), {
  minItems: 1,
  maxItems: GROUND_LIMITS.collections,
});
const RAG_PARAMS = object(
  {
    vector_store_ids: STORE_IDS,
    collections: { ...STORE_IDS, description: 'Another name of vector_store_ids.' },
    top_k: whole({ minimum: 1, maximum: GROUND_LIMITS.topK, default: GROUND_DEFAULTS.topK }),
    score_threshold: { type: 'number', minimum: 0, maximum: 1, default: 0 },
    filters: { type: 'object' },
    max_context_tokens: whole({
      minimum: 1,
      maximum: GROUND_LIMITS.contextTokens,
      default: GROUND_DEFAULTS.contextTokens,
    }),
    mode: text({ enum: [...RETRIEVAL_MODES], default: GROUND_DEFAULTS.mode }),
    citations: { type: 'boolean', default: true },
  },
  [],
  { additionalProperties: false, description: 'Passages of these vector stores are put into the prompt.' },
);

/** Bounds of a number. */
const bounds = ({ min, max, above, below }: ParameterRule): Schema => ({
  ...(min === undefined ? {} : { minimum: min }),
  ...(max === undefined ? {} : { maximum: max }),
  ...(above === undefined ? {} : { exclusiveMinimum: above }),
  ...(below === undefined ? {} : { exclusiveMaximum: below }),
});
const items = ({ minItems, maxItems }: ParameterRule): Schema => ({
  ...(minItems === undefined ? {} : { minItems }),
  ...(maxItems === undefined ? {} : { maxItems }),
});

function typeOf(name: string, rule: ParameterRule): Schema {
  const values = rule.values ?? [];
  const stop = text({ minLength: 1, ...(rule.maxLength === undefined ? {} : { maxLength: rule.maxLength }) });
  switch (rule.type) {
    case 'number':
      return { type: 'number', ...bounds(rule) };
    case 'integer':
      return whole(bounds(rule));
    case 'boolean':
      return YES_OR_NO;
    case 'stream':
      return rule.modes ? { anyOf: [YES_OR_NO, { enum: rule.modes }] } : YES_OR_NO;
    case 'text':
      return text(rule.maxLength === undefined ? {} : { maxLength: rule.maxLength });
    case 'enum':
      return text({ enum: values.map(String) });
    case 'must_be':
      return typeof values[0] === 'boolean'
        ? { type: 'boolean', enum: values }
        : list({ enum: values }, { minItems: 1, maxItems: 8 });
    case 'stop':
      return rule.text === false ? list(stop, items(rule)) : { anyOf: [stop, list(stop, items(rule))] };
    case 'logit_bias': {
      const most = rule.maxItems === undefined ? {} : { maxProperties: rule.maxItems };
      const additionalProperties = { type: 'number', ...bounds(rule) };
      return { type: 'object', propertyNames: { pattern: '^\\d{1,7}$' }, additionalProperties, ...most };
    }
    case 'model':
      return text({ minLength: 1, maxLength: 256 });
    case 'messages':
      return list(message(rule.roles ?? []), items(rule));
    case 'stream_options': {
      const names = ['include_usage', 'continuous_usage_stats', 'include_obfuscation'];
      const known = Object.fromEntries(names.map((each) => [each, { type: ['boolean', 'null'] }]));
      return object(known, [], { additionalProperties: false });
    }
    case 'tools':
      return list(TOOL, items(rule));
    case 'tool_choice':
      return TOOL_CHOICE;
    case 'chat_template_kwargs':
      return object({ enable_thinking: { type: ['boolean', 'null'] } }, [], { additionalProperties: false });
    case 'rag_params':
      return RAG_PARAMS;
    case 'structured': {
      const schema = STRUCTURED[name];
      if (schema === undefined) throw new Error(`${name}: a form of the answer without a schema here`);
      return schema;
    }
    case undefined:
      return {};
  }
}

/** The same, or null. */
export function orNull(schema: Schema): Schema {
  const { type, anyOf, ...others } = schema;
  const rest = Array.isArray(others.enum) ? { ...others, enum: [...others.enum, null] } : others;
  if (Array.isArray(anyOf)) return { anyOf: [...anyOf, { type: 'null' }], ...rest };
  return type === undefined ? schema : { type: [type, 'null'].flat(), ...rest };
}

/** A name that is known, and refused unless it says nothing. */
export const refused = (why: string): Schema => ({ type: 'null', description: `Refused. ${why}` });

/** One parameter; null for one that may not even be null. */
export function parameterSchema(name: string, rule: ParameterRule): Schema | null {
  if (rule.unsupported === 'refuse') return rule.nullable ? refused(rule.why ?? '') : null;
  if (rule.unsupported !== undefined) return { ...typeOf(name, rule), description: WITHOUT_EFFECT };
  const schema = {
    ...typeOf(name, rule),
    ...(rule.default === undefined ? {} : { default: rule.default }),
    ...(rule.why === undefined ? {} : { description: rule.why }),
  };
  return rule.nullable && !rule.required ? orNull(schema) : schema;
}

/** The body of a chat request under a contract. */
export function chatBody({ parameters, unknownParameters }: ProfileFile): Schema {
  const entries = Object.entries(parameters);
  const shown = entries.map(([name, rule]) => [name, parameterSchema(name, rule)] as const);
  const required = entries.filter(([, rule]) => rule.required).map(([name]) => name);
  const properties = Object.fromEntries(shown.filter((entry): entry is [string, Schema] => entry[1] !== null));
  return object(properties, required, unknownParameters === 'refuse' ? { additionalProperties: false } : {});
}
