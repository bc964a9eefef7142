/**
 * Kept bodies: nothing anywhere while the switch is off, sealed while it is on, read by those who may and by nobody else,
 * gone when their time is over.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { BodyStore } from '@tollgate/shared/db/body-store';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { sql } from 'kysely';
import { PASSWORD } from '../../services/console/src/testing/harness.ts';
import { atRest, placesOf } from './at-rest.ts';
import { type ConsoleWorld, type Customer, startConsoleWorld } from './console-world.ts';
import { hello } from './router-kit.ts';

jest.setTimeout(300_000);

const DAY_MS = 86_400_000;
let world: ConsoleWorld;
let ada: Customer;
let eve: Customer;
const retention = (who: Customer) => `/api/accounts/${who.accountId}/body-retention`;
const ask = (who: Customer, content: string, more: object = {}) =>
  world.call(who.key, 'POST', '/v1/chat/completions', hello({ messages: [{ role: 'user', content }], ...more }));
const rows = async () => (await sql<{ request_id: string }>`SELECT * FROM kept_bodies`.execute(world.h.db)).rows;
const bodyOf = (who: Customer, id: string, as = who.browser) =>
  as.get(`/api/accounts/${who.accountId}/requests/${id}/body`);
const detail = (who: Customer, id: string) => who.browser.get(`/api/accounts/${who.accountId}/requests/${id}`);
/** Waits until what was kept of a request is there. */
const kept = (who: Customer, id: string) =>
  eventually('the body is kept', async () => {
    const answer = await bodyOf(who, id);
    return answer.status === 200 ? answer.body : null;
  });

beforeAll(async () => {
  world = await startConsoleWorld({ router: { TOLLGATE_KEPT_BODY_BYTES: '16384' } });
  [ada, eve] = [await world.customer('ada@example.com'), await world.customer('eve@example.com')];
});
afterAll(() => world?.stop());

const whereIs = async (text: string) => {
  const { h, spool, logs } = world;
  return placesOf(text, await atRest({ ...h, folders: { spool }, texts: { log: logs() } }));
};

async function turn(who: Customer, body: object): Promise<void> {
  const answer = await who.browser.post(retention(who), body);
  if (answer.status !== 200) throw new Error(`switch: ${answer.text}`);
}

describe('while it is off', () => {
  test('nothing is kept anywhere', async () => {
    expect((await ada.browser.get(retention(ada))).body).toMatchObject({ enabled: false, days: 30, storedBytes: 0 });
    const asked = await ask(ada, 'canary-while-off-5d1c');
    expect(asked.status).toBe(200);
    const id = asked.headers.get('x-request-id')!;
    await eventually('it is in the log', async () => (await detail(ada, id)).status === 200);
    expect((await detail(ada, id)).body.bodyKeptUntil).toBeNull();
    expect(await rows()).toEqual([]);
    expect(await whereIs('canary-while-off-5d1c')).toEqual([]);
  });
});

describe('the switch', () => {
  test('is for owners and admins of the organisation, who have just proved who they are', async () => {
    const on = { enabled: true };
    expect((await eve.browser.post(retention(ada), on)).status).toBe(404);
    expect((await world.h.post(retention(ada), on)).status).toBe(403);
    const developer = world.h.browser();
    const invited = await ada.browser.post(`/api/accounts/${ada.accountId}/invitations`, {
      ...{ email: 'dev@example.com', role: 'developer' },
    });
    const token = invited.body.link.split('#')[1];
    await developer.post('/api/auth/invitations/accept', { token, password: PASSWORD, name: 'dev' });
    expect((await developer.post(retention(ada), on)).status).toBe(403);
    world.h.shift(11 * 60_000);
    const stale = await ada.browser.post(retention(ada), on);
    expect([stale.status, stale.body.error.code]).toEqual([403, 'reauthentication_required']);
    expect((await ada.browser.post('/api/auth/reauthenticate', { password: PASSWORD })).status).toBe(200);
    expect((await ada.browser.post(retention(ada), { enabled: true, days: 91 })).status).toBe(400);
    const turned = await ada.browser.post(retention(ada), { enabled: true, days: 7 });
    expect(turned.body).toMatchObject({ enabled: true, days: 7, changedBy: ada.userId });
    const { body } = await ada.browser.get(`/api/accounts/${ada.accountId}/audit?action=body_retention`);
    expect(body.data[0]).toMatchObject({ action: 'body_retention.set', detail: { enabled: true, days: 7 } });
  });
});

describe('while it is on', () => {
  test('both bodies of plain and streamed requests are kept, as they were, sealed at rest', async () => {
    const plain = await ask(ada, 'canary-plain-77aa');
    const streamed = await ask(ada, 'canary-streamed-88bb', { stream: true });
    for (const [asked, canary, type] of [
      [plain, 'canary-plain-77aa', 'application/json'],
      [streamed, 'canary-streamed-88bb', 'text/event-stream; charset=utf-8'],
    ] as const) {
      expect(asked.status).toBe(200);
      const id = asked.headers.get('x-request-id')!;
      const body = await kept(ada, id);
      expect(JSON.parse(body.request.text).messages[0].content).toBe(canary);
      expect(body.answer).toEqual({
        ...{ status: 200, contentType: type, text: asked.text },
        ...{ bytes: Buffer.byteLength(asked.text), truncated: false },
      });
      const own = await world.call(ada.key, 'GET', `/v1/requests/${id}?include=body`);
      expect(own.json.body.answer.text).toBe(asked.text);
      expect((await world.call(ada.key, 'GET', `/v1/requests/${id}`)).json.body).toBeUndefined();
      expect(Date.parse((await detail(ada, id)).body.bodyKeptUntil) - Date.parse(body.admittedAt)).toBe(7 * DAY_MS);
    }
    expect(await whereIs('canary-plain-77aa')).toEqual([]);
    expect(await whereIs('canary-streamed-88bb')).toEqual([]);
    const words = JSON.parse(plain.text).choices[0].message.content as string;
    expect(await whereIs(words)).toEqual([]);
  });

  test('what is longer than the bound is cut, and says so', async () => {
    const asked = await ask(ada, `${'word '.repeat(4_000)}the-end`);
    const body = await kept(ada, asked.headers.get('x-request-id')!);
    expect(body.request).toMatchObject({ truncated: true });
    expect([body.request.text.length, body.request.bytes > 20_000]).toEqual([16_384, true]);
    expect(body.answer.truncated).toBe(false);
  });

  test('a repeat under an Idempotency-Key is kept once, for the request that ran', async () => {
    const before = (await rows()).length;
    const headers = { 'idempotency-key': 'once' };
    const first = await world.call(ada.key, 'POST', '/v1/chat/completions', hello({ stream: true }), headers);
    const again = await world.call(ada.key, 'POST', '/v1/chat/completions', hello({ stream: true }), headers);
    expect(again.text).toBe(first.text);
    const body = await kept(ada, first.headers.get('x-request-id')!);
    expect(body.answer.text).toBe(first.text);
    expect((await rows()).length).toBe(before + 1);
  });

  test('what was refused before it was admitted is not kept', async () => {
    const before = (await rows()).length;
    const refused = await ask(ada, 'canary-refused-41', { max_tokens: -1 });
    expect(refused.status).toBe(400);
    await kept(ada, (await ask(ada, 'after it')).headers.get('x-request-id')!);
    expect((await rows()).length).toBe(before + 1);
  });

  test('members with the permission read it, each look is audited; nobody else does', async () => {
    const id = (await ask(ada, 'for some eyes only')).headers.get('x-request-id')!;
    await kept(ada, id);
    expect((await bodyOf(ada, id, eve.browser)).status).toBe(404);
    expect((await bodyOf(eve, id, eve.browser)).status).toBe(404);
    expect((await world.h.get(`/api/accounts/${ada.accountId}/requests/${id}/body`)).status).toBe(403);
    expect((await world.call(eve.key, 'GET', `/v1/requests/${id}?include=body`)).status).toBe(404);
    const second = (await ada.browser.post('/api/keys', { accountId: ada.accountId, name: 'second' })).body.key;
    expect((await world.call(second, 'GET', `/v1/requests/${id}?include=body`)).status).toBe(404);
    for (const role of ['viewer', 'billing'] as const) {
      const invited = await ada.browser.post(`/api/accounts/${ada.accountId}/invitations`, {
        ...{ email: `${role}@example.com`, role },
      });
      const member = world.h.browser();
      const token = invited.body.link.split('#')[1];
      await member.post('/api/auth/invitations/accept', { token, password: PASSWORD, name: role });
      expect((await bodyOf(ada, id, member)).status).toBe(403);
    }
    expect((await world.call(ada.key, 'GET', `/v1/requests/${id}?include=body`)).status).toBe(200);
    const { body } = await ada.browser.get(`/api/accounts/${ada.accountId}/audit?action=bodies.read`);
    const looks = body.data.filter(({ target }: { target: string }) => target === `${ada.accountId} ${id}`);
    expect(new Set(looks.map(({ actor }: { actor: string }) => actor))).toEqual(new Set([ada.userId, ada.keyId]));
  });

  test('another organisation’s requests are not kept', async () => {
    const id = (await ask(eve, 'canary-of-eve-9')).headers.get('x-request-id')!;
    await kept(ada, (await ask(ada, 'a later one')).headers.get('x-request-id')!);
    expect((await rows()).map((row) => row.request_id)).not.toContain(id);
  });
});

describe('an end', () => {
  test('comes with its days, sooner where they become fewer', async () => {
    const { db } = world.h;
    const nowMs = Date.now();
    expect(await BodyStore.deleteExpired(db, nowMs + 6 * DAY_MS, 500)).toBe(0);
    await turn(ada, { enabled: true, days: 2 });
    const before = (await rows()).length;
    expect(before).toBeGreaterThan(3);
    expect(await BodyStore.deleteExpired(db, nowMs + 2 * DAY_MS + 60_000, 2)).toBe(2);
    expect((await rows()).length).toBe(before - 2);
  });

  test('comes at once when somebody says so; the total is exact again', async () => {
    const id = (await ask(ada, 'soon forgotten')).headers.get('x-request-id')!;
    await kept(ada, id);
    const stored = (await ada.browser.get(retention(ada))).body.storedBytes;
    const { rows: sums } = await sql<{ sum: bigint }>`
      SELECT sum(octet_length(sealed)) AS sum FROM kept_bodies`.execute(world.h.db);
    expect(stored).toBe(Number(sums[0]!.sum));
    await turn(ada, { enabled: true, deleteKept: true });
    expect((await bodyOf(ada, id)).status).toBe(404);
    // The console's clock was moved: what it ended is over by metering's own only later.
    await BodyStore.deleteExpired(world.h.db, Date.now() + DAY_MS, 500);
    expect([(await rows()).length, (await ada.browser.get(retention(ada))).body.storedBytes]).toEqual([0, 0]);
  });

  test('comes for everything new when it is switched off: within a second no router keeps any', async () => {
    await turn(ada, { enabled: false });
    const id = (await ask(ada, 'canary-after-off-31')).headers.get('x-request-id')!;
    await eventually('it is in the log', async () => (await detail(ada, id)).status === 200);
    expect([(await bodyOf(ada, id)).status, (await rows()).length]).toEqual([404, 0]);
    expect(await whereIs('canary-after-off-31')).toEqual([]);
  });

  test('comes with the organisation', async () => {
    const { db } = world.h;
    await new AccountStore(db).create({ id: 'acct_gone', name: 'gone', createdAtMs: 0 });
    const terms = { enabled: true, days: 30, deleteKept: false, atMs: Date.now(), by: 'test' };
    await BodyStore.setRetention(db, 'acct_gone', terms);
    const body = {
      ...{ requestId: 'req_gone', accountId: 'acct_gone', keyId: 'key_gone', admittedAtMs: Date.now(), sealed: 'AAAA' },
      ...{ requestBytes: 1, answerBytes: 1, requestTruncated: false, answerTruncated: false },
    };
    expect(await BodyStore.add(db, [body, { ...body, requestId: 'req_two' }], 5n, Date.now())).toBe(1);
    await sql`DELETE FROM balances WHERE account_id = 'acct_gone'`.execute(db);
    await sql`DELETE FROM accounts WHERE id = 'acct_gone'`.execute(db);
    expect(await rows()).toEqual([]);
  });
});
