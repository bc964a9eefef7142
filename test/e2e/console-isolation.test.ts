/** Generated over the OpenAPI document: nobody reaches another organisation, and no role more than the documented table. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { VERSION } from '../../services/console/src/app.ts';
import { openApiDocument } from '../../services/console/src/http/openapi.ts';
import { allRoutes } from '../../services/console/src/routes.ts';
import {
  type Browser,
  type Harness,
  PASSWORD,
  startHarness,
  TOKEN,
} from '../../services/console/src/testing/harness.ts';
import { atRest, placesOf } from './at-rest.ts';

jest.setTimeout(300_000);

interface Operation {
  operationId: string;
  'x-audience': string;
  'x-permission': string;
}
interface Endpoint extends Operation {
  method: string;
  path: string;
}

const document = openApiDocument(allRoutes({} as Parameters<typeof allRoutes>[0]), VERSION) as {
  paths: Record<string, Record<string, Operation>>;
};
const endpoints: Endpoint[] = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
);
const ROLES = ['owner', 'admin', 'developer', 'billing', 'viewer'] as const;

let h: Harness;
/** The organisation that is asked about, and the ids of what it has. */
let owner: Browser;
const ids: Record<string, string> = {};
const people = new Map<string, Browser>();
/** Texts that must be nowhere. */
const canaries = new Map<string, string>([
  ['admin token', TOKEN],
  ['password', PASSWORD],
]);

beforeAll(async () => {
  h = await startHarness();
  owner = h.browser();
  const made = await owner.signUp('first@example.com');
  ids.account = made.accountId;
  ids.userId = made.userId;
  const at = `/api/accounts/${ids.account}`;
  const key = (await owner.post('/api/keys', { accountId: ids.account, name: 'k' })).body;
  ids.key = key.keyId;
  canaries.set('key', key.key);
  const pat = (await owner.post('/api/me/tokens', { accountId: ids.account, name: 't' })).body;
  ids.token = pat.keyId;
  canaries.set('access token', pat.key);
  ids.session = (await owner.get('/api/me')).body.session.sessionId;
  canaries.set('session', owner.cookie!);
  ids.projectId = (await owner.post(`${at}/projects`, { name: 'p' })).body.projectId;
  const hook = (await owner.post(`${at}/webhooks`, { url: 'https://example.com/h', events: ['test'] })).body;
  ids.webhookId = hook.webhookId;
  canaries.set('webhook secret', hook.secret);
  canaries.set('webhook secret, bare', hook.secret.replace('whsec_', ''));
  ids.deliveryId = (await owner.post(`${at}/webhooks/${ids.webhookId}/test`)).body.deliveryId;
  const invitation = (await owner.post(`${at}/invitations`, { email: 'i@example.com', role: 'viewer' })).body;
  ids.invitationId = invitation.invitationId;
  canaries.set('invitation', invitation.link.split('#')[1]);
  const code = (await h.post('/api/redemption-codes', { usd: 1, uses: 2 })).body;
  ids.code = code.codeId;
  canaries.set('redemption code', code.code);
  await owner.post(`${at}/redeem`, { code: code.code });
  const totp = (await owner.post('/api/me/totp')).body;
  canaries.set('second factor', totp.secret);
  await owner.post(`${at}/playground/chat`, {
    model: 'm',
    messages: [{ role: 'user', content: 'prompt-canary-7f3a' }],
  });
  canaries.set('prompt', 'prompt-canary-7f3a');
  for (const role of ROLES) {
    const { link } = (await owner.post(`${at}/invitations`, { email: `${role}@example.com`, role })).body;
    const member = h.browser();
    await member.post('/api/auth/invitations/accept', { token: link.split('#')[1], password: PASSWORD, name: role });
    people.set(role, member);
  }
  const stranger = h.browser();
  await stranger.signUp('stranger@example.com');
  people.set('stranger', stranger);
});
afterAll(() => h?.stop());

/** Of ids that name nothing here, by the parameter. */
const PREFIXES: Record<string, string> = { requestId: 'req', paymentId: 'pay', collectionId: 'vs', fileId: 'file' };

/** The path with the first organisation's ids in it. */
function fill({ path, operationId }: Endpoint): string {
  const subject = path.startsWith('/api/keys')
    ? ids.key
    : path.startsWith('/api/me/tokens')
      ? ids.token
      : path.startsWith('/api/me/sessions')
        ? ids.session
        : path.startsWith('/api/redemption')
          ? ids.code
          : ids.account;
  const filled = path
    .replace('{id}', subject!)
    .replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? `${PREFIXES[name]}_0`);
  return operationId === 'keys.list' ? `${filled}?accountId=${ids.account}` : filled;
}

const bodyOf = ({ operationId, method }: Endpoint) =>
  method === 'GET'
    ? undefined
    : operationId === 'keys.create' || operationId === 'me.token_create'
      ? { accountId: ids.account, name: 'x' }
      : {};

/** Everything about one organisation, or about one person. */
const scoped = endpoints.filter(
  ({ path, 'x-audience': audience }) =>
    ['account', 'key', 'query', 'body', 'platform'].includes(audience) ||
    /^\/api\/me\/(tokens|sessions)\/\{/.test(path) ||
    path === '/api/me/tokens',
);

describe('a user of another organisation gets 403 or 404', () => {
  test.each(
    scoped
      .filter(({ operationId }) => operationId !== 'me.tokens')
      .map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const),
  )('%s', async (_name, endpoint) => {
    const answer = await people.get('stranger')!.call(endpoint.method, fill(endpoint), bodyOf(endpoint));
    expect([403, 404]).toContain(answer.status);
    expect(answer.text).not.toContain('first@example.com');
  });

  test('nobody at all gets 401 everywhere but where it is public', async () => {
    const nobody = h.browser();
    for (const endpoint of endpoints) {
      if (endpoint['x-audience'] === 'public') continue;
      const { status } = await nobody.call(endpoint.method, fill(endpoint), bodyOf(endpoint));
      expect([endpoint.operationId, status]).toEqual([endpoint.operationId, 401]);
    }
  });

  test('search and lists show only one’s own', async () => {
    const stranger = people.get('stranger')!;
    expect((await stranger.get('/api/me')).text).not.toContain(ids.account);
    expect((await stranger.get('/api/keys')).status).toBe(400);
  });
});

/** The table of docs/console-api.md. */
function documentedRoles(): Map<string, Set<string>> {
  const text = readFileSync(fileURLToPath(new URL('../../docs/console-api.md', import.meta.url)), 'utf8');
  const roles = new Map<string, Set<string>>();
  for (const [, role, may] of text.matchAll(/^\| (viewer|developer|billing|admin|owner) \| (.+) \|$/gm)) {
    const own = new Set<string>();
    for (const word of may!.matchAll(/\b(viewer|developer|billing|admin)\b|([a-z]+:[a-z]+)/g)) {
      if (word[2]) own.add(word[2]);
      else for (const permission of roles.get(word[1]!) ?? []) own.add(permission);
    }
    roles.set(role!, own);
  }
  return roles;
}

describe('each role may exactly what the documentation says', () => {
  const table = documentedRoles();
  test('the table is found', () => {
    expect([...table.keys()].sort()).toEqual([...ROLES].sort());
    expect(table.get('viewer')!.size).toBeGreaterThan(5);
  });

  test.each(ROLES)('%s', async (role) => {
    const member = people.get(role)!;
    const wrong: string[] = [];
    for (const endpoint of endpoints) {
      const { operationId, 'x-permission': permission, 'x-audience': audience } = endpoint;
      if (!['account', 'key', 'query', 'body', 'platform'].includes(audience)) continue;
      // Leaving is everybody's; revoking would end what the others are asked about; a test of its own has them.
      if (['members.remove', 'keys.revoke', 'webhooks.remove', 'fleet.events'].includes(operationId)) continue;
      const allowed = audience !== 'platform' && table.get(role)!.has(permission);
      const { status } = await member.call(endpoint.method, fill(endpoint), bodyOf(endpoint));
      if ((status === 403) === allowed) wrong.push(`${operationId} ${permission}: ${status}`);
    }
    expect(wrong).toEqual([]);
  });

  test('a developer cannot get more by way of a key: neither another’s token nor credit', async () => {
    const developer = people.get('developer')!;
    const body = { accountId: ids.account, name: 'x' };
    expect((await developer.post('/api/keys', { ...body, kind: 'pat' })).status).toBe(403);
    expect((await developer.post('/api/keys', { ...body, creditUsd: 5 })).status).toBe(403);
    expect((await developer.post('/api/keys', { ...body, userId: ids.userId })).status).toBe(403);
    expect((await developer.post(`/api/keys/${ids.token}/rotate`, {})).status).toBe(403);
    const admin = people.get('admin')!;
    const at = `/api/accounts/${ids.account}`;
    expect((await admin.call('PATCH', `${at}/members/${ids.userId}`, { role: 'viewer' })).status).toBe(403);
    expect((await admin.post(`${at}/invitations`, { email: 'z@example.com', role: 'owner' })).status).toBe(403);
  });
});

test('no secret and no prompt is in any log line, table or value of Redis', async () => {
  const places = await atRest({ ...h, texts: { log: h.logs() } });
  expect(places.size).toBeGreaterThan(30);
  const found = [...canaries].flatMap(([what, text]) => placesOf(text, places).map((place) => `${what} in ${place}`));
  expect(found).toEqual([]);
});
