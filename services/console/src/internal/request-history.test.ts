/** Request history as a key's holder asks for it: by conversation, user and project. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { OwnUsage } from './own-usage.ts';

let database: TestDatabase;
let db: Db;
let own: OwnUsage;
beforeAll(async () => {
  database = await startPglite();
  db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  own = new OwnUsage(db, systemClock);
  const rows: [string, string, string | null, string | null, string | null, string | null][] = [
    ['req_1', 'key_a', 'chat-1', 'ann', 'u1', 'p1'],
    ['req_2', 'key_a', 'chat-1', 'bob', 'u2', 'p1'],
    ['req_3', 'key_a', 'chat-2', null, 'u1', 'p2'],
    ['req_4', 'key_a', null, null, null, null],
    ['req_5', 'key_b', 'chat-1', 'ann', 'u1', 'p1'],
  ];
  for (const [i, [id, key, chat, user, userId, projectId]] of rows.entries()) {
    await db
      .insertInto('request_log')
      .values({
        request_id: id,
        admitted_at: new Date(1_760_000_000_000 + i * 1_000),
        account_id: 'acct_a',
        key_id: key,
        project_id: projectId,
        user_id: userId,
        model: 'm',
        endpoint: '/chat/completions',
        stream: true,
        final: true,
        outcome: 'served',
        status: 200,
        finish_reason: 'stop',
        prompt_tokens: 10,
        cached_tokens: 0,
        completion_tokens: 5,
        reasoning_tokens: 0,
        count_source: 'engine',
        amount_nusd: 7n,
        held_nusd: 9n,
        price_id: 'price_1',
        clipped: false,
        absorbed: 'null',
        worker_url: null,
        router_id: 'r',
        finished_at: new Date(1_760_000_000_900 + i * 1_000),
        queue_ms: 0,
        first_token_ms: 120,
        duration_ms: 900,
        client_request_id: null,
        chat_id: chat,
        end_user: user,
      })
      .execute();
  }
}, 300_000);
afterAll(async () => {
  await db.destroy();
  await database.stop();
});

const service = { accountId: 'acct_a', keyId: 'key_a', userId: null, projectId: null };
const idsOf = async (who: typeof service, query: object) =>
  ((await own.requests(who, { limit: 10, ...query } as never)).data as { id: string }[]).map(({ id }) => id);

test('by conversation, by the client’s own user, by user and project; never another key’s', async () => {
  expect(await idsOf(service, {})).toEqual(['req_4', 'req_3', 'req_2', 'req_1']);
  expect(await idsOf(service, { chat_id: 'chat-1' })).toEqual(['req_2', 'req_1']);
  expect(await idsOf(service, { chat_id: 'chat-1', user: 'ann' })).toEqual(['req_1']);
  expect(await idsOf(service, { user_id: 'u1' })).toEqual(['req_3', 'req_1']);
  expect(await idsOf(service, { project_id: 'p1', user_id: 'u2' })).toEqual(['req_2']);
  expect(await idsOf(service, { chat_id: `x' OR true --` })).toEqual([]);
});

test('tells status, latency and tokens, and what the client called it', async () => {
  const [line] = (await own.requests(service, { limit: 1, chat_id: 'chat-2' } as never)).data;
  expect(line).toMatchObject({
    id: 'req_3',
    status: 200,
    first_token_ms: 120,
    duration_ms: 900,
    prompt_tokens: 10,
    completion_tokens: 5,
    chat_id: 'chat-2',
    user: null,
    user_id: 'u1',
    project_id: 'p2',
  });
});

test('who speaks for a user and a project sees theirs alone', async () => {
  const ann = { ...service, userId: 'u1', projectId: 'p1' } as never;
  expect(await idsOf(ann, {})).toEqual(['req_1']);
  await expect(own.requests(ann, { limit: 10, project_id: 'p2' } as never)).rejects.toMatchObject({
    param: 'project_id',
  });
  await expect(own.requests(ann, { limit: 10, user_id: 'u2' } as never)).rejects.toMatchObject({ param: 'user_id' });
});
