import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { VERSION } from '../app.ts';
import { allRoutes } from '../routes.ts';
import { openApiDocument } from './openapi.ts';

/** Handlers are never called here, so the services need not exist. */
const routes = allRoutes({} as Parameters<typeof allRoutes>[0]);

interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      { operationId: string; 'x-audience': string; security: unknown[]; responses: Record<string, unknown> }
    >
  >;
}
const document = openApiDocument(routes, VERSION) as Document;

describe('the OpenAPI document', () => {
  test('follows the rules of OpenAPI 3.1', async () => {
    const result = await new Validator().validate(structuredClone(document) as object as Record<string, unknown>);
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(document.openapi).toBe('3.1.0');
  });

  test('holds every route and nothing else', () => {
    const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { operationId }]) => `${method} ${path} ${operationId}`),
    );
    expect(listed.sort()).toEqual(routes.map((r) => `${r.method} ${r.path} ${r.operation}`).sort());
  });

  test('holds every endpoint that docs/internals.md section 6 promises', () => {
    const promised = [
      'POST /api/accounts',
      'GET /api/accounts',
      'GET /api/accounts/{id}',
      'PATCH /api/accounts/{id}',
      'POST /api/keys',
      'GET /api/keys',
      'GET /api/keys/{id}',
      'PATCH /api/keys/{id}',
      'POST /api/keys/{id}/rotate',
      'POST /api/keys/{id}/revoke',
      'POST /api/accounts/{id}/credits',
      'GET /api/accounts/{id}/credits',
      'GET /api/accounts/{id}/usage',
      'GET /api/accounts/{id}/ledger',
      'GET /api/accounts/{id}/rollups',
      'GET /api/models',
      'POST /api/models',
      'PATCH /api/models/{id}',
      'POST /api/models/{id}/prices',
      'GET /api/models/{id}/prices',
      'GET /api/workers',
      'POST /api/workers/drain',
      'POST /api/workers/undrain',
    ];
    const there = new Set(routes.map((r) => `${r.method.toUpperCase()} ${r.path}`));
    expect(promised.filter((line) => !there.has(line))).toEqual([]);
  });

  test('says of every operation who may use it and how it refuses', () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const operation of Object.values(operations)) {
        const open = operation['x-audience'] === 'public';
        expect([path, operation.security.length > 0]).toEqual([path, !open]);
        if (open) expect(path).toMatch(/^\/api\/(auth|status|stripe)\b/);
        expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['401', '500', '503']));
      }
    }
  });

  test('names of operations are unique', () => {
    const names = routes.map((r) => r.operation);
    expect(new Set(names).size).toBe(names.length);
  });

  test('the map in docs/console-api.md names every route and no other, and marks those that want a fresh proof', () => {
    const documented = routesOf(
      readFileSync(fileURLToPath(new URL('../../../../docs/console-api.md', import.meta.url)), 'utf8'),
    );
    const marked = routes.map((r) => `${r.method.toUpperCase()} ${r.path}${r.stepUp ? ' ⧗' : ''}`);
    expect(documented.sort()).toEqual(marked.sort());
  });

  test('whatever makes a key or moves money wants a fresh proof', () => {
    const sensitive = routes.filter(
      ({ operation, audited }) =>
        audited && /^(keys\.(create|patch|rotate)|me\.token_create|credits\.|topup\.|codes\.create)/.test(operation),
    );
    expect(sensitive.length).toBeGreaterThan(7);
    expect(sensitive.filter(({ stepUp }) => !stepUp).map(({ operation }) => operation)).toEqual([]);
  });
});

/** First cells of the tables; under the headings of collections and webhooks, paths are told below a base. */
function routesOf(markdown: string): string[] {
  const bases: Record<string, string[]> = {
    Collections: ['/api/accounts/{id}/collections'],
    Webhooks: ['/api/accounts/{id}/webhooks', '/api/webhooks'],
  };
  return markdown.split(/^## /m).flatMap((section) => {
    const below = bases[/^\w+/.exec(section)?.[0] ?? ''] ?? [''];
    const cells = [...section.matchAll(/^\| ((?:GET|POST|PATCH) [^|]*) \|/gm)].map(([, cell]) => cell!);
    return cells.flatMap((cell) =>
      [...cell.matchAll(/(GET|POST|PATCH) `{1,2} ?([^`?]*?) ?(?:\?[^`]*)?`{1,2}( ⧗)?/g)].flatMap(
        ([, method, path, mark]) => below.map((base) => `${method} ${base}${path}${mark ?? ''}`),
      ),
    );
  });
}
