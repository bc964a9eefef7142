/** `/v1/files` over HTTP, with a real folder and PGlite. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { identityHeaders } from '@tollgate/shared/contracts/internal';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { FolderFileStore } from '@tollgate/shared/runtime/file-store';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import express from 'express';
import { FileService } from '../files/service.ts';
import { errorHandler } from './errors.ts';
import { fileRoutes } from './files.ts';
import { checkOrigin } from './security.ts';

const TOKEN = 'a service token for tests only';
const MAX_BYTES = 200_000;
const alice = { accountId: 'acct_alice', keyId: 'key_a', projectId: null, userId: null };
const bob = { accountId: 'acct_bob', keyId: 'key_b', projectId: null, userId: null };

let database: TestDatabase;
let db: Db;
let folder: string;
let server: Server;
let retrieval: Server;
let url: string;
let files: FileService;
/** What the stand-in for retrieval's port answers: status of a deletion, null = nobody listens. */
let forgets: number | null = 200;
const forgotten: string[] = [];

async function listen(handler: Parameters<typeof createServer>[1]): Promise<Server> {
  const made = createServer(handler!);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return made;
}

beforeAll(async () => {
  database = await startPglite();
  db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  for (const { accountId } of [alice, bob])
    await new AccountStore(db).create({ id: accountId as never, name: accountId, createdAtMs: 0 });
  folder = mkdtempSync(join(tmpdir(), 'tollgate-files-'));
  retrieval = await listen((request, response) => {
    if (forgets === null) return void request.socket.destroy();
    forgotten.push(`${request.method} ${request.url}`);
    response.writeHead(forgets).end('{}');
  });
  files = new FileService({
    db,
    store: new FolderFileStore(folder),
    maxFileBytes: MAX_BYTES,
    maxAccountBytes: MAX_BYTES * 2,
    retrieval: { url: `http://127.0.0.1:${(retrieval.address() as AddressInfo).port}`, serviceToken: TOKEN },
    clock: systemClock,
    random: systemRandom,
  });
  const app = express()
    // Its rules are for browsers: services come by an inner name, with the Origin of whoever called the router.
    .use(checkOrigin({ allowedHosts: ['console.example'], allowedOrigins: [] }))
    .use(fileRoutes(files, TOKEN))
    .use(errorHandler(createLogger({ service: 'test', level: 'silent' })));
  server = await listen(app);
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/files`;
}, 300_000);
afterAll(async () => {
  for (const each of [server, retrieval]) each.close();
  await db.destroy();
  await database.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  forgets = 200;
});

const headersOf = (who: typeof alice) => ({
  authorization: `Bearer ${TOKEN}`,
  origin: 'https://app.example',
  ...identityHeaders(who),
});
const call = async (method: string, path = '', who = alice) => {
  const answer = await fetch(url + path, { method, headers: headersOf(who) });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
};
async function upload(
  content: string,
  fields: [string, string][] = [['purpose', 'assistants']],
  who = alice,
  fieldsLast = false,
) {
  const form = new FormData();
  if (!fieldsLast) for (const [name, value] of fields) form.append(name, value);
  form.append('file', new Blob([content]), '../../etc/notes é.md');
  if (fieldsLast) for (const [name, value] of fields) form.append(name, value);
  const answer = await fetch(url, { method: 'POST', headers: headersOf(who), body: form });
  return { status: answer.status, json: (await answer.json()) as Record<string, string> };
}
const kept = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;

test('a file comes back as it was sent, under a name and not a place', async () => {
  for (const fieldsLast of [false, true]) {
    const content = `# Notes\n${'ü'.repeat(1_000)}\n`;
    const made = await upload(content, undefined, alice, fieldsLast);
    expect(made).toMatchObject({
      status: 200,
      json: { object: 'file', bytes: Buffer.byteLength(content), filename: 'notes é.md', purpose: 'assistants' },
    });
    const answer = await fetch(`${url}/${made.json.id}/content`, { headers: headersOf(alice) });
    expect(await answer.text()).toBe(content);
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
  }
});

test('nobody sees, reads, lists or deletes a file of another account or project', async () => {
  const { json } = await upload('mine');
  for (const stranger of [bob, { ...alice, projectId: 'p1' as never }]) {
    for (const [method, path] of [
      ['GET', `/${json.id}`],
      ['GET', `/${json.id}/content`],
      ['DELETE', `/${json.id}`],
    ] as const) {
      expect((await call(method, path, stranger)).status).toBe(404);
    }
    expect((await call('GET', '', stranger)).json.data).toEqual([]);
  }
  expect((await call('GET', `/${json.id}`)).status).toBe(200);
});

test('only a service may call, and must say for whom', async () => {
  expect((await fetch(url, { headers: identityHeaders(alice) })).status).toBe(401);
  expect((await fetch(url, { headers: { ...headersOf(alice), authorization: 'Bearer other' } })).status).toBe(401);
  expect((await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(401);
});

test('lists page by id in both directions and by purpose', async () => {
  const who = { ...alice, projectId: 'pages' as never };
  const ids: string[] = [];
  for (const purpose of ['assistants', 'batch', 'assistants'])
    ids.push((await upload('x', [['purpose', purpose]], who)).json.id!);
  const list = async (query: string) =>
    ((await call('GET', query, who)).json.data as { id: string }[]).map(({ id }) => id);
  expect(await list('?limit=2')).toEqual([ids[2], ids[1]]);
  expect(await list(`?limit=2&after=${ids[1]}`)).toEqual([ids[0]]);
  expect(await list('?order=asc')).toEqual(ids);
  expect(await list('?purpose=batch')).toEqual([ids[1]]);
  expect((await call('GET', '?limit=0', who)).status).toBe(400);
});

test('what is refused is not kept: too large, over the quota of the account, wrong or missing fields', async () => {
  const before = kept();
  const large = await upload('x'.repeat(MAX_BYTES + 1));
  expect([large.status, large.json.error]).toEqual([413, expect.objectContaining({ code: 'body_too_large' })]);
  for (const fieldsLast of [false, true]) {
    expect((await upload('x', [['purpose', 'evil']], alice, fieldsLast)).status).toBe(400);
    expect((await upload('x', [], alice, fieldsLast)).status).toBe(400);
  }
  const form = new FormData();
  form.append('purpose', 'assistants');
  expect((await fetch(url, { method: 'POST', headers: headersOf(alice), body: form })).status).toBe(400);
  expect((await fetch(url, { method: 'POST', headers: headersOf(alice), body: '{}' })).status).toBe(415);
  await eventually('nothing is left', () => kept() === before);
  const who = { ...bob, projectId: 'quota' as never };
  for (const status of [200, 413])
    expect((await upload('x'.repeat(MAX_BYTES - 5), undefined, who)).status).toBe(status === 200 ? 200 : 200);
  expect((await upload('x'.repeat(100), undefined, who)).status).toBe(413);
});

test('a gigabyte is refused before it is sent, and one of unknown length as soon as it is too much', async () => {
  const before = kept();
  const head =
    '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n' +
    '--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n';
  for (const length of [{ 'content-length': 2 ** 30 }, { 'transfer-encoding': 'chunked' }]) {
    const request = httpRequest(url, {
      method: 'POST',
      headers: { ...headersOf(alice), 'content-type': 'multipart/form-data; boundary=b', ...length },
    });
    request.on('error', () => {});
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    // Never ended: whoever waits for all of it waits for ever.
    request.write(head + 'x'.repeat(MAX_BYTES + 1));
    const [response] = await answered;
    expect(response.statusCode).toBe(413);
    request.destroy();
  }
  await eventually('nothing is left', () => kept() === before);
});

test('an upload that is cut leaves nothing', async () => {
  const before = kept();
  const boundary = 'cut';
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n`;
  const request = httpRequest(url, {
    method: 'POST',
    headers: {
      ...headersOf(alice),
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': 100_000,
    },
  });
  request.on('error', () => {});
  request.write(`${head}${'x'.repeat(50_000)}`);
  await eventually('its bytes arrive', () => kept() === before + 1);
  request.destroy();
  await eventually('nothing is left', () => kept() === before);
});

test('deleting forgets the file in collections first; while they are away nothing is deleted', async () => {
  const { json } = await upload('mine');
  for (const state of [null, 500]) {
    forgets = state;
    const answer = await call('DELETE', `/${json.id}`);
    expect([answer.status, (answer.json.error as { code: string }).code]).toEqual([503, 'retrieval_unavailable']);
    expect((await call('GET', `/${json.id}`)).status).toBe(200);
  }
  forgets = 200;
  const before = kept();
  expect((await call('DELETE', `/${json.id}`)).json).toEqual({ id: json.id, object: 'file', deleted: true });
  expect(forgotten.at(-1)).toBe(`DELETE /internal/files/${json.id}`);
  expect([(await call('GET', `/${json.id}`)).status, kept()]).toEqual([404, before - 1]);
});

test('bytes that belong to nobody are swept, but not those that may still be on their way', async () => {
  const store = new FolderFileStore(folder);
  const before = kept();
  const pathOf = (id: string) => {
    const found = readdirSync(folder, { recursive: true }).find((path) => String(path).endsWith(`/${id}`));
    return join(folder, String(found));
  };
  for (const id of ['file_old', 'file_cut', 'file_new']) await store.put(id, Readable.from([Buffer.from('x')]), 10);
  renameSync(pathOf('file_cut'), `${pathOf('file_cut')}.part`);
  for (const id of ['file_old', 'file_cut.part']) utimesSync(pathOf(id), 1_000, 1_000);
  expect(await files.sweep()).toBe(2);
  expect([kept(), await store.get('file_old')]).toEqual([before + 1, null]);
});
