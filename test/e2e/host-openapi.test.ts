/**
 * The OpenAPI document of the API's host: what is served is what would be made now, it names the very routes that the
 * routers and services have (both ways), and it says of a parameter what the router's own reader does.
 */
import { describe, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { hostDocument } from '@tollgate/cli/openapi/host';
import { CONTRACTS_FOLDER, loadProfiles, readProfileFiles } from '@tollgate/router/contract/load-profiles';
import { ENDPOINTS } from '@tollgate/router/endpoints/index';
import { hostDocumentText } from '@tollgate/shared/runtime/host-document';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { routerRoutes, serviceRoutes } from './host-routes.ts';

interface Operation {
  operationId: string;
  security: unknown[];
  parameters?: { name?: string; in?: string }[];
  requestBody?: { content: Record<string, { schema: Record<string, unknown> }> };
  responses: Record<string, unknown>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}
const served = JSON.parse(hostDocumentText()) as Document;
const operations = Object.entries(served.paths).flatMap(([path, of]) =>
  Object.entries(of).map(([method, operation]) => ({ ...operation, name: `${method.toUpperCase()} ${path}` })),
);

test('it follows the rules of OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone(served) as unknown as Record<string, unknown>);
  expect(result.errors).toBeUndefined();
  expect([result.valid, served.openapi]).toEqual([true, '3.1.0']);
});

test('it is what would be made now: `npm run openapi` writes it', () => {
  expect(served).toEqual(JSON.parse(JSON.stringify(hostDocument())));
});

test('it has every route of the host and of the services behind it, and no other', () => {
  const placeless = (name: string) =>
    name.replace(/\{\w+\}|:\w+/g, '{}').replace(/\/\^.*models.*\$\//, '/v1/models/{}');
  const routes = [...routerRoutes().own, ...serviceRoutes().forKeys].map(placeless);
  expect(operations.map(({ name }) => placeless(name)).sort()).toEqual(routes.sort());
});

test('its operations have names of their own, say who may ask, and name their errors', () => {
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  for (const { name, security, responses, parameters = [] } of operations) {
    const open = !/ \/v1\/(?!openapi)/.test(name);
    expect([name, security.length === 0]).toEqual([name, open]);
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(open ? ['200', '500'] : ['200', '401', '500']));
    const inPath = parameters.flatMap((each) => (each.in === 'path' ? [each.name] : []));
    expect(inPath).toEqual([...name.matchAll(/\{(\w+)\}/g)].map(([, part]) => part));
  }
});

describe('a body is legal here exactly when the router’s reader takes it', () => {
  const [profile] = loadProfiles({ docsBase: '', names: ['openai'] });
  const { parameters } = readProfileFiles(CONTRACTS_FOLDER).files.get('openai')!;
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const bodyAt = (path: string) =>
    ajv.compile({
      ...served.paths[path]!.post!.requestBody!.content['application/json']!.schema,
      components: served.components,
    });
  const takes = (parse: () => unknown): boolean => {
    try {
      parse();
      return true;
    } catch {
      return false;
    }
  };
  /** Around the bounds of a number, and of other kinds. */
  const values = (bounds: readonly (number | undefined)[]): unknown[] => [
    ...bounds.flatMap((bound) => (bound === undefined ? [] : [bound - 1, bound - 0.5, bound, bound + 0.5, bound + 1])),
    ...[0, 1, 2, -1, 0.5, 1e9, true, false, null, '', 'text', 'none', [], ['a'], [1], {}],
  ];
  const chat = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

  test.each(Object.entries(parameters).filter(([, { type }]) => type !== 'structured' && type !== 'rag_params'))(
    'chat: %s',
    (name, rule) => {
      const legal = bodyAt('/v1/chat/completions');
      const around = values([rule.min, rule.max, rule.above, rule.below]);
      // What only holds beside another field is given that field.
      const beside = { ...chat, ...(name === 'top_logprobs' ? { logprobs: true } : { stream: true }) };
      const wrong = around.filter((value) => {
        const body = { ...beside, [name]: value };
        // Tools and choices are read together; a name that is no tool's is an error of meaning, not of shape.
        if (name === 'tool_choice' && (value === 'text' || typeof value === 'object')) return false;
        return legal(body) !== takes(() => profile!.parseChat(body));
      });
      expect([name, wrong]).toEqual([name, []]);
    },
  );

  const GOOD: Record<string, Record<string, unknown>> = {
    '/completions': { model: 'm', prompt: 'p' },
    '/embeddings': { model: 'm', input: 'i' },
    '/responses': { model: 'm', input: 'i' },
    '/messages': { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] },
  };
  /** Read together with others, or by the schema gate. */
  const TOGETHER =
    /^(messages|input|prompt|min_tokens|tools|tool_choice|text|system|best_of|metadata|model|stream_options)$|guided|regex|ebnf|json_schema|structured|response_format/;
  test.each(Object.entries(GOOD))('%s', (path, good) => {
    const endpoint = ENDPOINTS[path as keyof typeof ENDPOINTS];
    const legal = bodyAt(`/v1${path}`);
    const schema = served.paths[`/v1${path}`]!.post!.requestBody!.content['application/json']!.schema;
    const shown = schema.properties as Record<
      string,
      { minimum?: number; maximum?: number; exclusiveMinimum?: number }
    >;
    expect(legal(good)).toBe(true);
    expect([
      legal({ ...good, unheard_of: 1 }),
      takes(() => endpoint.parse({ ...good, unheard_of: 1 }, profile!)),
    ]).toEqual([false, false]);
    const wrong = Object.entries(shown)
      .filter(([name]) => !TOGETHER.test(name))
      .flatMap(([name, { minimum, maximum, exclusiveMinimum }]) =>
        values([minimum, maximum, exclusiveMinimum])
          .filter((value) => {
            const body = { ...good, [name]: value };
            return legal(body) !== takes(() => endpoint.parse(body, profile!));
          })
          .map((value) => `${name}: ${JSON.stringify(value)}`),
      );
    expect(wrong).toEqual([]);
  });
});
