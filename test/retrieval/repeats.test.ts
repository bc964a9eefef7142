/**
 * `Idempotency-Key` on the POSTs of files and collections, through the router as a customer sends them: what is asked for
 * again is the same thing, whoever asks at once, whatever is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { identityHeaders } from '@tollgate/shared/contracts/internal';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { sql } from 'kysely';
import type { TestKey } from '../e2e/router-kit.ts';
import { SERVICE_TOKEN, startRetrievalWorld, type World } from './world.ts';

jest.setTimeout(180_000);

let world: World;
let key: TestKey;
let names = 0;
beforeAll(async () => {
  world = await startRetrievalWorld();
  key = await world.key();
});
afterAll(() => world.stop());

const fresh = () => `name ${++names}`;
const under = (name: string) => ({ 'idempotency-key': name });
const post = (path: string, body: unknown, name: string, as = key, headers = {}) =>
  world.call(as, 'POST', path, body, { ...headers, ...under(name) });
const isReplayed = ({ headers }: { headers: Headers }) => headers.get('idempotent-replayed') === 'true';
const storesOf = async (as = key) => (await world.call(as, 'GET', '/v1/vector_stores?limit=100')).json.data.length;
const filesOf = async (as = key) => (await world.call(as, 'GET', '/v1/files?limit=1000')).json.data.length;
/** Rows of files, and files in the folder. */
async function kept(): Promise<[number, number]> {
  const { rows } = await sql<{ n: number }>`SELECT count(*)::int AS n FROM files`.execute(world.db);
  const inFolder = readdirSync(world.filesFolder, { recursive: true, withFileTypes: true });
  return [rows[0]!.n, inFolder.filter((entry) => entry.isFile()).length];
}

describe('a collection', () => {
  let file: string;
  let second: string;
  let store: string;
  beforeAll(async () => {
    file = (await world.upload(key, 'a.txt', 'The heron stands on one leg.')).json.id;
    second = (await world.upload(key, 'b.txt', 'A beech keeps its leaves.')).json.id;
    store = (await world.call(key, 'POST', '/v1/vector_stores', { name: 'birds', file_ids: [file] })).json.id;
    await world.settled(key, store);
  });

  const at = (rest: string) => `/v1/vector_stores/${store}${rest}`;
  const CASES: [string, () => string, () => object, () => object][] = [
    ['is made', () => '/v1/vector_stores', () => ({ name: 'x', file_ids: [file] }), () => ({ name: 'y' })],
    ['is changed', () => at(''), () => ({ metadata: { a: 'b' } }), () => ({ metadata: { a: 'c' } })],
    ['is given a file', () => at('/files'), () => ({ file_id: second }), () => ({ file_id: file })],
    [
      'is given a batch of files',
      () => at('/file_batches'),
      () => ({ file_ids: [file, second] }),
      () => ({ file_ids: [file] }),
    ],
    [
      'has a file’s attributes changed',
      () => at(`/files/${file}`),
      () => ({ attributes: { a: 1 } }),
      () => ({ attributes: { a: 2 } }),
    ],
    ['is searched', () => at('/search'), () => ({ query: 'heron' }), () => ({ query: 'beech' })],
  ];
  test.each(CASES)(
    '%s once, however often it is asked for under one key; something else is refused',
    async (_what, path, body, other) => {
      const name = fresh();
      const before = await storesOf();
      const [first, atOnce] = await Promise.all([post(path(), body(), name), post(path(), body(), name)]);
      expect([first.status, atOnce.status]).toEqual([200, 200]);
      const again = await post(path(), body(), name);
      expect([again.status, isReplayed(again)]).toEqual([200, true]);
      // Both at once may be answered in either order; one of them did it.
      expect([isReplayed(first), isReplayed(atOnce)]).toContain(false);
      expect([atOnce.json.id, again.json.id]).toEqual([first.json.id, first.json.id]);
      expect((await storesOf()) - before).toBe(path() === '/v1/vector_stores' ? 1 : 0);
      for (const [wrongPath, wrongBody] of [
        [path(), other()],
        [`/v1/vector_stores/${store}/search`, { query: 'another path' }],
      ] as const) {
        const wrong = await post(wrongPath, wrongBody, name);
        expect([wrong.status, wrong.json.error]).toEqual([
          422,
          expect.objectContaining({ code: 'idempotency_key_reused', param: 'idempotency-key' }),
        ]);
      }
      for (const bad of ['x'.repeat(256), 'caf\u00e9', '']) {
        const refused = await post(path(), body(), bad);
        expect([refused.status, refused.json.error.param]).toEqual([400, 'idempotency-key']);
      }
    },
  );

  test('that was changed since is not changed back by a repeat, and one that was deleted does not come again', async () => {
    const [made, first] = [fresh(), fresh()];
    const { id } = (await post('/v1/vector_stores', { name: 'one' }, made)).json;
    await post(`/v1/vector_stores/${id}`, { name: 'two' }, first);
    await world.call(key, 'POST', `/v1/vector_stores/${id}`, { name: 'three' });
    expect((await post(`/v1/vector_stores/${id}`, { name: 'two' }, first)).json.name).toBe('three');
    expect((await post('/v1/vector_stores', { name: 'one' }, made)).json).toMatchObject({ id, name: 'three' });
    await world.call(key, 'DELETE', `/v1/vector_stores/${id}`);
    const before = await storesOf();
    expect((await post('/v1/vector_stores', { name: 'one' }, made)).status).toBe(404);
    expect(await storesOf()).toBe(before);
  });

  test('a cancelled batch of files is cancelled once', async () => {
    const batch = (await world.call(key, 'POST', at('/file_batches'), { file_ids: [file] })).json.id;
    const name = fresh();
    const path = at(`/file_batches/${batch}/cancel`);
    const [first, again] = [await post(path, {}, name), await post(path, {}, name)];
    expect([first.status, again.status, isReplayed(first), isReplayed(again)]).toEqual([200, 200, false, true]);
    expect(again.json).toEqual(first.json);
  });

  test('what was refused was not done: the key is free for the next try', async () => {
    const name = fresh();
    const refused = await post('/v1/vector_stores', { file_ids: ['file_nothing'] }, name);
    expect(refused.status).toBe(404);
    expect((await post('/v1/vector_stores', { name: 'x', typo: 1 }, name)).status).toBe(400);
    const made = await post('/v1/vector_stores', { name: 'right' }, name);
    expect([made.status, isReplayed(made)]).toEqual([200, false]);
  });

  test('a search is billed once for all its repeats', async () => {
    const payer = await world.key();
    const { store: own } = await world.filled(payer, { 'a.txt': 'Cats purr.' });
    const name = fresh();
    const search = () => post(`/v1/vector_stores/${own}/search`, { query: 'Do cats purr?' }, name, payer);
    const answers = [...(await Promise.all([search(), search(), search()])), await search()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]!.json.usage.embedding_tokens).toBeGreaterThan(0);
    // One for the file, one for the question.
    const bills = async () =>
      (await world.around.records()).filter(({ accountId }) => accountId === payer.record.accountId);
    await eventually('both are billed', async () => (await bills()).length >= 2);
    expect(await bills()).toHaveLength(2);
  });

  test('a key counts within its account, project and user', async () => {
    const name = fresh();
    const mine = await post('/v1/vector_stores', { name: 'mine' }, name);
    const others = [await world.key(), await world.key({ accountId: key.record.accountId, projectId: 'other' })];
    const ids = [mine.json.id];
    for (const other of others) ids.push((await post('/v1/vector_stores', { name: 'theirs' }, name, other)).json.id);
    const service = await world.key({ accountId: key.record.accountId, kind: 'service' });
    for (const user of ['ann', 'bob']) {
      const acts = { 'x-user-id': user, 'x-project-id': 'p' };
      ids.push((await post('/rag/v1/vector_stores', { name: user }, name, service, acts)).json.id);
    }
    expect(new Set(ids).size).toBe(5);
    // A key of the same project that replaced it.
    const rotated = await world.key({ accountId: key.record.accountId });
    expect((await post('/v1/vector_stores', { name: 'mine' }, name, rotated)).json.id).toBe(mine.json.id);
  });
});

describe('a file', () => {
  /** Each try with a boundary of its own, as SDKs write it, and the fields in either order. */
  async function upload(
    name: string,
    change: { content?: string; file?: string; purpose?: string; last?: boolean } = {},
  ) {
    const { content = 'The moon orbits the earth.', file = 'moon.txt', purpose = 'assistants', last = false } = change;
    const form = new FormData();
    if (!last) form.append('purpose', purpose);
    form.append('file', new Blob([content]), file);
    if (last) form.append('purpose', purpose);
    const headers = { authorization: `Bearer ${key.text}`, ...under(name) };
    const answer = await fetch(`${world.router.url}/v1/files`, { method: 'POST', headers, body: form });
    // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
    return { status: answer.status, headers: answer.headers, json: (await answer.json()) as any };
  }

  test('is kept once, however often it is sent under one key, whatever the boundary and the order of the form', async () => {
    const [name, before] = [fresh(), await filesOf()];
    const atOnce = await Promise.all([upload(name), upload(name, { last: true }), upload(name)]);
    const again = await upload(name, { last: true });
    const [first] = atOnce;
    expect(again.json).toEqual(first!.json);
    for (const each of atOnce) expect([each.status, each.json]).toEqual([200, first!.json]);
    expect([atOnce.filter(isReplayed).length, isReplayed(again)]).toEqual([2, true]);
    expect((await filesOf()) - before).toBe(1);
    const content = await world.call(key, 'GET', `/v1/files/${first!.json.id}/content`);
    expect(content.text).toBe('The moon orbits the earth.');
    await eventually('bytes of one alone are left', async () => new Set(await kept()).size === 1);
  });

  test('that is another one is refused under the same key, and nothing of it is kept', async () => {
    const name = fresh();
    await upload(name);
    const before = await filesOf();
    for (const other of [{ content: 'Cheese.' }, { file: 'sun.txt' }, { purpose: 'user_data' }]) {
      const refused = await upload(name, other);
      expect([refused.status, refused.json.error.code]).toEqual([422, 'idempotency_key_reused']);
    }
    const race = fresh();
    const both = await Promise.all([upload(race), upload(race, { content: 'Cheese.' })]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 422]);
    expect((await filesOf()) - before).toBe(1);
    await eventually('nothing of the others is left', async () => new Set(await kept()).size === 1);
    expect((await upload('caf\u00e9')).status).toBe(400);
  });

  test('that was deleted does not come again', async () => {
    const name = fresh();
    const { json } = await upload(name);
    await world.call(key, 'DELETE', `/v1/files/${json.id}`);
    const before = await filesOf();
    expect((await upload(name)).status).toBe(404);
    expect(await filesOf()).toBe(before);
  });
});

test('kill -9 of retrieval among many POSTs: each is done once when it is sent again', async () => {
  const kills = counts(2, 20);
  const each = 12;
  const payer = await world.key();
  await world.stopRetrieval();
  let child = await startChild();
  const told = new Map<string, string>();
  let cut = 0;
  const make = async (name: string) => {
    const answer = await post('/v1/vector_stores', { name }, name, payer).catch(() => null);
    if (answer?.status !== 200) return false;
    // What was told before a kill is what is told after it.
    expect(told.get(name) ?? answer.json.id).toBe(answer.json.id);
    told.set(name, answer.json.id);
    return true;
  };
  for (let kill = 0; kill < kills; kill++) {
    const wave = Array.from({ length: each }, () => fresh());
    let answered = 0;
    const sent = wave.map(async (name) => {
      if (await make(name)) answered++;
      else cut++;
    });
    // Somewhere in the middle: some are answered, some committed and not answered, some not begun.
    await eventually('some are answered', () => answered > kill % 4, { everyMs: 1 });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await Promise.all(sent);
    child = await startChild();
    for (const name of wave) {
      await eventually('it is answered', () => make(name));
    }
  }
  const { rows } = await sql<{ id: string }>`
    SELECT id FROM retrieval.stores WHERE account_id = ${payer.record.accountId}`.execute(world.db);
  expect(rows.map(({ id }) => id).sort()).toEqual([...told.values()].sort());
  expect(told.size).toBe(kills * each);
  child.kill('SIGTERM');
  await once(child, 'exit');
  await world.startRetrieval();
  recordProof({
    name: 'kill -9 of retrieval among POSTs with Idempotency-Keys, then all again',
    count: kills,
    result: `${told.size} collections asked for, ${cut} answers lost, each made once`,
  });
});

test('kill -9 of the file service among many uploads: each file is there once when it is sent again', async () => {
  const kills = counts(2, 20);
  const each = 12;
  const { record } = await world.key();
  const who = { accountId: record.accountId, keyId: record.keyId, projectId: null, userId: null };
  let files = await startFiles();
  const told = new Map<string, string>();
  let cut = 0;
  const send = async (name: string) => {
    const form = new FormData();
    form.append('purpose', 'user_data');
    form.append('file', new Blob([name.repeat(1_000)]), 'a.txt');
    const headers = { authorization: `Bearer ${SERVICE_TOKEN}`, ...identityHeaders(who), ...under(name) };
    const answer = await fetch(`http://127.0.0.1:${files.port}/v1/files`, { method: 'POST', headers, body: form })
      .then(async (response) => ({ status: response.status, id: ((await response.json()) as { id: string }).id }))
      .catch(() => null);
    if (answer?.status !== 200) return false;
    expect(told.get(name) ?? answer.id).toBe(answer.id);
    told.set(name, answer.id);
    return true;
  };
  for (let kill = 0; kill < kills; kill++) {
    const wave = Array.from({ length: each }, () => fresh());
    let answered = 0;
    const sent = wave.map(async (name) => {
      if (await send(name)) answered++;
      else cut++;
    });
    await eventually('some are answered', () => answered > kill % 4, { everyMs: 1 });
    files.child.kill('SIGKILL');
    await once(files.child, 'exit');
    await Promise.all(sent);
    files = await startFiles();
    for (const name of wave) await eventually('it is answered', () => send(name));
  }
  const { rows } = await sql<{ id: string }>`
    SELECT id FROM files WHERE account_id = ${record.accountId}`.execute(world.db);
  expect(rows.map(({ id }) => id).sort()).toEqual([...told.values()].sort());
  expect(told.size).toBe(kills * each);
  files.child.kill('SIGKILL');
  await once(files.child, 'exit');
  recordProof({
    name: 'kill -9 of the file service among uploads with Idempotency-Keys, then all again',
    count: kills,
    result: `${told.size} files sent, ${cut} answers lost, each kept once`,
  });
});

async function startFiles(): Promise<{ child: ChildProcess; port: number }> {
  const main = fileURLToPath(new URL('./files-child.ts', import.meta.url));
  const args = ['--conditions=tollgate-source', main, world.databaseUrl, world.filesFolder, SERVICE_TOKEN];
  const child = spawn(process.execPath, args, {
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

async function startChild(): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('../../services/retrieval/src/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=tollgate-source', main], {
    env: childEnvironment(world.retrievalEnvironment),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  await once(child, 'message');
  return child;
}
