/**
 * The OpenAPI 3.1 document of the API's host: made from the contract file, the schemas that the services validate with,
 * and those of the answers. It lies beside the contracts of `shared`, where routers and consoles serve it from; a test
 * compares it with the routers' own tables and with what is made here.
 */
import { CONTRACTS_FOLDER, readProfileFiles } from '@tollgate/router/contract/load-profiles';
import * as answers from '@tollgate/shared/contracts/host/answers';
import { jsonSchemaOf } from '@tollgate/shared/contracts/json-schema';
import { ERRORS, type ErrorCode, type ErrorSpec } from '@tollgate/shared/domain/errors';
import { VERSION } from '../version.ts';
import { type Operation, operations } from './operations.ts';
import { type Schema, text, whole } from './parameters.ts';

/** Contract that the document describes. */
const CONTRACT = 'openai';
const JSON_TYPE = 'application/json';
const EVERY: readonly ErrorCode[] = ['internal_error'];
const WITH_KEY: readonly ErrorCode[] = [
  ...(['missing_api_key', 'invalid_api_key', 'key_expired', 'account_frozen', 'store_unavailable'] as const),
];

const HEADERS: Readonly<Record<string, { description: string; schema: Schema }>> = {
  IdempotencyKey: {
    description: 'A repeat with the same value and body gets the first one’s answer; nothing is done or billed twice.',
    schema: text({ minLength: 1, maxLength: 255 }),
  },
  MaxQueue: {
    description: 'The longest wait for a worker, milliseconds; 0 = now or not at all.',
    schema: whole({ minimum: 0 }),
  },
  Priority: { description: 'Whether somebody waits for it.', schema: text({ enum: ['interactive', 'batch'] }) },
  QueueUpdates: {
    description: '1: places in the line as comments from the beginning.',
    schema: text({ enum: ['0', '1'] }),
  },
  Session: {
    description:
      'The conversation that the request belongs to: a hint of where to place it. Only 256 characters count.',
    schema: text({ minLength: 1 }),
  },
};
const HEADER_NAMES: Readonly<Record<keyof typeof HEADERS, string>> = {
  IdempotencyKey: 'Idempotency-Key',
  MaxQueue: 'x-tollgate-max-queue-ms',
  Priority: 'x-tollgate-priority',
  QueueUpdates: 'x-tollgate-queue-updates',
  Session: 'x-tollgate-session',
};

const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });
const schemaName = (answer: string) => answer.charAt(0).toUpperCase() + answer.slice(1);

export function hostDocument(): object {
  const { files, problems } = readProfileFiles(CONTRACTS_FOLDER);
  const file = files.get(CONTRACT);
  if (file === undefined) throw new Error(problems.join('\n'));
  const all = operations(file);
  const errors = errorAnswers();
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of all) {
    paths[operation.path] ??= {};
    paths[operation.path]![operation.method] = described(operation, errors);
  }
  const told = Object.entries(answers).map(([name, schema]) => [schemaName(name), opened(jsonSchemaOf(schema))]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tollgate API',
      version: VERSION,
      description:
        'What applications call with a key: OpenAI’s API on this host, and what a key may know of itself. Money is ' +
        'nano-USD in decimal strings. Each error code has a page, named by `metadata.doc_url`. The console has a ' +
        'document of its own.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'This host.' }],
    tags: [...new Set(all.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(told),
      responses: errors.all,
      parameters: Object.fromEntries(
        Object.entries(HEADERS).map(([name, rest]) => [name, { name: HEADER_NAMES[name], in: 'header', ...rest }]),
      ),
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key of the dashboard.' },
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'x-api-key',
          description: 'The same, as Anthropic’s SDKs send it.',
        },
      },
    },
  };
}

const isGeneration = ({ errors = [] }: Operation) => errors.includes('no_worker');
/** Where an operation stands in a list: with what it is used for. */
const PLACES: Readonly<Record<string, string>> = { quote: 'models', usage: 'key', requests: 'key' };
function tagOf(operation: Operation): string {
  if (isGeneration(operation)) return 'generations';
  const subject = operation.name.slice(0, operation.name.indexOf('.'));
  return PLACES[subject] ?? subject;
}

function described(operation: Operation, errors: ErrorAnswers): object {
  const { name, summary, description, body, bodyType = JSON_TYPE, open } = operation;
  const parameters = parametersOf(operation);
  return {
    operationId: name,
    tags: [tagOf(operation)],
    summary,
    ...(description === undefined ? {} : { description }),
    security: open ? [] : [{ key: [] }, { apiKey: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: { [bodyType]: { schema: body } } } }),
    responses: { 200: answerOf(operation), ...errors.of(operation) },
  };
}

function parametersOf(operation: Operation): object[] {
  const { path, method, query, name } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, part]) => ({
    ...{ name: part, in: 'path', required: true, schema: text() },
  }));
  const { properties = {}, required = [] } = (query ?? {}) as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  const inQuery = Object.entries(properties).map(([part, { description, ...schema }]) => ({
    ...{ name: part, in: 'query', required: required.includes(part) },
    ...(description === undefined ? {} : { description }),
    schema,
  }));
  const headers = isGeneration(operation)
    ? Object.keys(HEADERS)
    : method === 'post' && name !== 'quote.create'
      ? ['IdempotencyKey']
      : [];
  return [...inPath, ...inQuery, ...headers.map((header) => reference('parameters', header))];
}

function answerOf({ answer, summary, streams }: Operation): object {
  if (typeof answer === 'object') {
    const schema = answer.type === JSON_TYPE ? { type: 'object' } : text();
    return { description: summary, content: { [answer.type]: { schema } } };
  }
  const content = { [JSON_TYPE]: { schema: reference('schemas', schemaName(answer)) } };
  const stream = { 'text/event-stream': { schema: text({ description: 'With `stream: true`.' }) } };
  return { description: summary, content: streams ? { ...content, ...stream } : content };
}

interface ErrorAnswers {
  /** By name, for the document's components. */
  all: Record<string, object>;
  /** One answer per status, its codes named. */
  of(operation: Operation): object;
}

/** Operations that refuse with the same codes share an answer: `Error404`, `Error404b`, ... */
function errorAnswers(): ErrorAnswers {
  const names = new Map<string, string>();
  const all: Record<string, object> = {};
  const nameOf = (status: number, codes: readonly ErrorCode[]): string => {
    const description = codes.toSorted().join(', ');
    const known = names.get(description);
    if (known !== undefined) return known;
    const before = Object.keys(all).filter((name) => name.startsWith(`Error${status}`)).length;
    const name = `Error${status}${before === 0 ? '' : String.fromCharCode('a'.charCodeAt(0) + before)}`;
    names.set(description, name);
    all[name] = { description, content: { [JSON_TYPE]: { schema: reference('schemas', 'HostError') } } };
    return name;
  };
  return {
    all,
    of({ errors = [], open }) {
      const codes = new Set<ErrorCode>([...EVERY, ...(open ? [] : WITH_KEY), ...errors]);
      const byStatus = Map.groupBy(codes, (code) => (ERRORS[code] as ErrorSpec).status);
      return Object.fromEntries(
        [...byStatus].map(([status, here]) => [String(status), reference('responses', nameOf(status, here))]),
      );
    },
  };
}

/** Answers may get further fields: clients must not refuse them. */
function opened(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(opened);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(
    ([name, value]) => !(name === 'additionalProperties' && (value === false || JSON.stringify(value) === '{}')),
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, opened(value)]));
}
