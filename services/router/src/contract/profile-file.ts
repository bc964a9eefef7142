/**
 * What a profile file may say (`services/router/contracts/*.yaml`), after `extends` was followed.
 * docs/adding-a-contract.md explains each field by example.
 */
import { z } from 'zod';
import { ENDPOINT_NAMES } from '../endpoints/endpoint.ts';

const status = z.int().min(400).max(599);

/** How a violation of one parameter is told; what is absent comes from the profile's `errors`. */
const violation = z.strictObject({
  status: status.optional(),
  type: z.string().optional(),
  code: z.string().optional(),
  text: z.string().optional(),
});

export const PARAMETER_TYPES = [
  'number',
  'integer',
  'boolean',
  'stream',
  'text',
  'enum',
  'must_be',
  'model',
  'messages',
  'stream_options',
  'stop',
  'logit_bias',
  'tools',
  'tool_choice',
  'structured',
  'chat_template_kwargs',
  'rag_params',
] as const;

/** Paths beside generations: answered by the router itself, or passed to the service that has the tables. */
export const HOST_PATHS = ['/quote', '/usage', '/requests', '/files', '/batches', '/vector_stores'] as const;
export type HostPath = (typeof HOST_PATHS)[number];

const scalar = z.union([z.string(), z.number(), z.boolean()]);

const parameter = z.strictObject({
  type: z.enum(PARAMETER_TYPES).optional(),
  required: z.boolean().default(false),
  /** Whether null means "absent"; else it is a value of a wrong type. */
  nullable: z.boolean().default(true),
  /** Closed bounds. */
  min: z.number().optional(),
  max: z.number().optional(),
  /** Open bounds. */
  above: z.number().optional(),
  below: z.number().optional(),
  /** Only where the contract has one: it is sent to the worker. */
  default: scalar.optional(),
  values: z.array(scalar).min(1).optional(),
  minItems: z.int().min(0).optional(),
  maxItems: z.int().min(1).optional(),
  maxLength: z.int().min(1).optional(),
  /** `stream`: ways of streaming beside `true`; patch = the document as RFC 6902 operations. */
  modes: z.array(z.literal('patch')).optional(),
  /** `stop`: whether a bare string is in the contract. */
  text: z.boolean().optional(),
  roles: z.array(z.enum(['developer', 'system', 'user', 'assistant', 'tool', 'function'])).optional(),
  /** `model`: names that stand for the default model. */
  aliases: z.record(z.string(), z.literal('default')).optional(),
  /** What the worker gets in place of legal values that engines refuse or read differently. */
  send: z
    .strictObject({
      atMost: z.number().optional(),
      atLeast: z.number().optional(),
      instead: z.record(z.string(), z.number()).optional(),
    })
    .optional(),
  /** refuse: by name; ignore: checked if it has a type, not sent; drop: never looked at. */
  unsupported: z.enum(['refuse', 'ignore', 'drop']).optional(),
  why: z.string().optional(),
  /** Name under which a string value goes to the request log. */
  log: z.enum(['user', 'chatId']).optional(),
  /** A string value names the conversation: a hint for placing its requests. What is logged as `chatId` does anyway. */
  session: z.literal(true).optional(),
  ifInvalid: violation.optional(),
});

const limitHeaders = z.strictObject({
  limit: z.string().optional(),
  remaining: z.string().optional(),
  reset: z.string().optional(),
});

export const profileFile = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower case letters, digits and dashes'),
  extends: z.string().optional(),
  /** Where it is mounted when several contracts share a host. */
  prefix: z.string().regex(/^(\/[a-z0-9-]+)?$/, "must be '' or /name"),
  base: z.string().regex(/^(\/[a-z0-9-]+)+$/, 'must be a path such as /v1'),
  /** Generations that the contract has, as paths below the base. */
  endpoints: z.array(z.enum(ENDPOINT_NAMES)).min(1),
  /** What else it has; `/models` and `/key` are everywhere. */
  paths: z.array(z.enum(HOST_PATHS)),
  parameters: z.record(z.string().regex(/^[a-z_]{1,64}$/), parameter),
  unknownParameters: z.enum(['refuse', 'drop']),
  bothTokenLimits: z.enum(['refuse', 'completion_wins', 'smaller']),
  contextMargin: z.int().min(0),
  topLogprobsAlone: z.enum(['refuse', 'drop']),
  jsonModeNeedsTheWord: z.boolean(),
  usageInStream: z.enum(['never', 'on_request', 'final_chunk', 'extra_chunk']),
  contentType: z.enum(['optional', 'required']),
  schemas: z.strictObject({
    unsupported: z.enum(['check_after', 'refuse']),
    unknownKeywords: z.enum(['ignore', 'refuse_slips']),
    strictSubset: z.boolean(),
    withoutStrict: z.enum(['enforce', 'hint']),
    schemaWithTools: z.enum(['either', 'check_after', 'refuse']),
  }),
  answers: z
    .strictObject({
      /** A finished document that breaks its schema. retry: once, plain answers only; streams end with an error. */
      onInvalid: z.enum(['pass', 'error', 'retry']).default('error'),
      reasoningField: z.enum(['reasoning', 'reasoning_content']).default('reasoning'),
    })
    .prefault({}),
  keys: z.strictObject({
    users: z.enum(['from_key', 'from_key_or_headers']),
    userHeader: z.string().toLowerCase().optional(),
    projectHeader: z.string().toLowerCase().optional(),
  }),
  errors: z.strictObject({
    format: z.enum(['openai', 'fastapi']),
    /** `error.code`: the code's name, or the status as a number. */
    code: z.enum(['name', 'status']),
    statuses: z.array(status).min(1),
    /** Status of the catalogue -> status of this contract. */
    status: z.record(z.string().regex(/^\d{3}$/), status).default({}),
    /** `error.type` by status. */
    types: z.record(z.string().regex(/^\d{3}$/), z.string()).default({}),
    /** Stands before the text, by status. */
    names: z.record(z.string().regex(/^\d{3}$/), z.string()).default({}),
    violations: z
      .strictObject({ type: violation.optional(), range: violation.optional(), missing: violation.optional() })
      .default({}),
    codes: z.record(z.string(), violation).default({}),
  }),
  rateLimitHeaders: z.strictObject({ requests: limitHeaders.optional(), tokens: limitHeaders.optional() }),
  models: z.strictObject({
    fields: z.array(z.enum(['id', 'object', 'created', 'owned_by', 'max_model_len'])).min(1),
    prices: z.enum(['none', 'catalog']),
  }),
  keepAlive: z.strictObject({ afterMs: z.int().min(1), everyMs: z.int().min(1), totalMs: z.int().min(1) }).optional(),
  /** Path below the base -> what to do instead, told with the 404. */
  advice: z.record(z.string().startsWith('/'), z.string()).default({}),
});

export type ProfileFile = z.output<typeof profileFile>;
export type ParameterRule = ProfileFile['parameters'][string];
export type Violation = z.output<typeof violation>;
