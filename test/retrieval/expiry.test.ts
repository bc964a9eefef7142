/**
 * `expires_after` of files, of what batches write and of collections, on a clock that the test turns: what has expired is gone
 * for everybody at once, and the next rounds of metering and retrieval leave no byte, chunk, word or index of it.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FileService } from '@tollgate/console/files/service';
import { errorHandler } from '@tollgate/console/http/errors';
import { fileRoutes } from '@tollgate/console/http/files';
import { createBatchFiles } from '@tollgate/metering/batches/files';
import { expireFiles } from '@tollgate/metering/files/expire';
import { expireCollections } from '@tollgate/retrieval/expiry/sweep';
import { createFileSource } from '@tollgate/retrieval/files/source';
import { startHttpServer } from '@tollgate/retrieval/http/server';
import { Collections } from '@tollgate/retrieval/service/collections';
import { identityHeaders } from '@tollgate/shared/contracts/internal';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import { ChunkWriter, INDEX_FROM_CHUNKS } from '@tollgate/shared/db/retrieval/chunk-writer';
import { CollectionFileStore } from '@tollgate/shared/db/retrieval/collection-files';
import { CollectionStore } from '@tollgate/shared/db/retrieval/collections';
import { migrateRetrieval } from '@tollgate/shared/db/retrieval/migrate';
import { newId } from '@tollgate/shared/domain/ids';
import { FolderFileStore } from '@tollgate/shared/runtime/file-store';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { freePort } from '@tollgate/shared/testkit/ports';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import express from 'express';
import { sql } from 'kysely';

const TOKEN = 'a service token for tests only';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DIMENSIONS = 4;
const clock = fakeClock();
const logger = createLogger({ service: 'test', level: 'silent' });
const who = {
  accountId: newId('acct', systemRandom.bytes),
  keyId: newId('key', systemRandom.bytes),
  projectId: null,
  userId: null,
};

let database: TestDatabase;
let db: Db;
let folder: string;
let fileServer: Server;
let retrieval: { url: string; close(): Promise<void> };
let files: ReturnType<typeof createBatchFiles>;
let stores: { collections: CollectionStore; files: CollectionFileStore; chunks: ChunkSearch; writer: ChunkWriter };

beforeAll(async () => {
  database = await startPglite();
  db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  await migrateRetrieval(db);
  await new AccountStore(db).create({ id: who.accountId as never, name: 'a', createdAtMs: 0 });
  folder = mkdtempSync(join(tmpdir(), 'tollgate-expiry-'));
  const port = await freePort();
  const service = new FileService({
    db,
    store: new FolderFileStore(folder),
    maxFileBytes: 1_000_000,
    maxAccountBytes: 1_000_000,
    retrieval: { url: `http://127.0.0.1:${port}`, serviceToken: TOKEN },
    clock,
    random: systemRandom,
  });
  fileServer = createServer(express().use(fileRoutes(service, TOKEN)).use(errorHandler(logger)));
  await new Promise<void>((resolve) => fileServer.listen(0, '127.0.0.1', resolve));
  const reach = { consoleUrl: consoleUrl(), serviceToken: TOKEN, timeoutMs: 20_000 };
  files = createBatchFiles(reach);
  stores = {
    collections: new CollectionStore(db),
    files: new CollectionFileStore(db),
    chunks: new ChunkSearch(db),
    writer: new ChunkWriter(db),
  };
  const collections = new Collections({
    ...stores,
    db,
    // Nobody reads files here: the tests write the chunks themselves.
    jobs: { enqueue: async () => {}, stop: async () => {} },
    source: createFileSource(reach),
    actFor: async () => 'key',
    embed: async () => {
      throw new Error('nothing here may cost anything');
    },
    models: [{ id: 'm', dimensions: DIMENSIONS }],
    maxCollections: 10,
    clock,
    random: systemRandom,
  });
  const parts = { service: collections, serviceToken: TOKEN, logger, clock, random: systemRandom };
  const listen = { host: '127.0.0.1', port };
  retrieval = await startHttpServer(listen, { ...parts, ready: async () => true, onRequest() {} });
}, 60_000);
afterAll(async () => {
  fileServer?.closeAllConnections();
  fileServer?.close();
  await retrieval?.close();
  await db.destroy();
  await database.stop();
  rmSync(folder, { recursive: true, force: true });
});

const consoleUrl = () => `http://127.0.0.1:${(fileServer.address() as AddressInfo).port}`;
const headers = { authorization: `Bearer ${TOKEN}`, ...identityHeaders(who) };
const expire = () => expireFiles({ db, files, clock, logger });
const nowS = () => Math.floor(clock.nowMs() / 1_000);

// biome-ignore lint/suspicious/noExplicitAny: answers of an HTTP API
type Json = any;

async function call(
  base: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Json }> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await fetch(`${base}${path}`, { method, headers, ...sent });
  return { status: answer.status, json: await answer.json().catch(() => null) };
}
const atConsole = (method: string, path: string) => call(consoleUrl(), method, path);
const atRetrieval = (method: string, path: string, body?: unknown) => call(retrieval.url, method, path, body);

async function upload(fields: Record<string, string>, content = 'The heron stands on one leg.') {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob([content]), 'a.txt');
  const answer = await fetch(`${consoleUrl()}/v1/files`, { method: 'POST', headers, body: form });
  return { status: answer.status, json: (await answer.json()) as Json };
}
const after = (seconds: number) => ({
  'expires_after[anchor]': 'created_at',
  'expires_after[seconds]': String(seconds),
});
const bytesKept = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;

/** As an ingestion would: chunks, word counts and, where there are enough, an index. */
async function read(storeId: string, fileId: string, chunks = 1): Promise<void> {
  const work = (await stores.files.unfinished(10)).find((each) => each.storeId === storeId && each.fileId === fileId)!;
  const ref = { storeId, fileId, ingestId: work.ingestId };
  const made = Array.from({ length: chunks }, (_, seq) => ({
    seq,
    heading: '',
    place: '',
    text: `heron number ${seq}`,
    tokens: 3,
    embedding: [1, seq, 1, 0],
  }));
  expect(await stores.writer.append(ref, made)).toBe('written');
  expect(await stores.writer.complete(ref)).toBe(true);
  await stores.writer.ensureIndex(storeId, DIMENSIONS);
}

/** Rows of a collection's contents, and its index. */
async function leftOf(storeId: string): Promise<Record<string, number>> {
  const { rows } = await sql<Record<string, number>>`
    SELECT (SELECT count(*)::int FROM retrieval.store_files WHERE store_id = ${storeId}) AS files,
           (SELECT count(*)::int FROM retrieval.chunks WHERE store_id = ${storeId}) AS chunks,
           (SELECT count(*)::int FROM retrieval.terms WHERE store_id = ${storeId}) AS terms,
           (SELECT count(*)::int FROM pg_indexes WHERE indexname = ${`hnsw_${storeId}`}) AS indexes`.execute(db);
  return rows[0]!;
}
const NOTHING = { files: 0, chunks: 0, terms: 0, indexes: 0 };

test('a file is gone for everybody when its time is over, and then deleted with what collections made of it', async () => {
  const { json: file } = await upload({ purpose: 'assistants', ...after(3_600) });
  expect(file).toMatchObject({ object: 'file', expires_at: nowS() + 3_600 });
  const { json: stays } = await upload({ purpose: 'assistants' });
  expect(stays).not.toHaveProperty('expires_at');
  const { json: store } = await atRetrieval('POST', '/v1/vector_stores', { file_ids: [file.id] });
  await read(store.id, file.id);

  await clock.advance(HOUR_MS - 1);
  expect(await expire()).toBe(0);
  expect((await atConsole('GET', `/v1/files/${file.id}`)).status).toBe(200);
  await clock.advance(1);
  expect((await atConsole('GET', `/v1/files/${file.id}`)).status).toBe(404);
  expect((await atConsole('GET', `/v1/files/${file.id}/content`)).status).toBe(404);
  expect((await atConsole('GET', '/v1/files')).json.data.map(({ id }: { id: string }) => id)).toEqual([stays.id]);
  expect((await atRetrieval('POST', `/v1/vector_stores/${store.id}/files`, { file_id: file.id })).status).toBe(404);
  expect(bytesKept()).toBe(2);

  expect(await expire()).toBe(1);
  expect(bytesKept()).toBe(1);
  expect(await leftOf(store.id)).toEqual(NOTHING);
  expect(await expire()).toBe(0);
});

test('a file whose collections cannot be reached stays whole until they can; others do not wait for it', async () => {
  const { json: held } = await upload({ purpose: 'assistants', ...after(3_600) });
  const { json: free } = await upload({ purpose: 'assistants', ...after(3_600) });
  await clock.advance(HOUR_MS);
  const before = bytesKept();
  const remove: typeof files.remove = async (owner, id) => {
    if (id === held.id) throw new Error('away');
    await files.remove(owner, id);
  };
  expect(await expireFiles({ db, files: { remove }, clock, logger })).toBe(1);
  expect(bytesKept()).toBe(before - 1);
  expect((await atConsole('GET', `/v1/files/${free.id}`)).status).toBe(404);
  expect(await expire()).toBe(1);
});

test("a batch's files go after 30 days, or when their batch said; all else stays", async () => {
  const { json: input } = await upload({ purpose: 'batch' }, '{}');
  expect(input.expires_at).toBe(nowS() + 30 * 86_400);
  const batch = { ...who, projectId: '', outputExpiresS: null as number | null } as Parameters<typeof files.write>[0];
  for (const [seconds, expected] of [
    [null, 30 * 86_400],
    [7_200, 7_200],
  ] as const) {
    const id = newId('file', systemRandom.bytes);
    await files.write({ ...batch, outputExpiresS: seconds }, id, 'out.jsonl', Readable.from([Buffer.from('x')]));
    expect((await atConsole('GET', `/v1/files/${id}`)).json.expires_at).toBe(nowS() + expected);
  }
});

test.each([
  [{ 'expires_after[anchor]': 'created_at' }, 'expires_after[seconds]'],
  [after(3_599), 'expires_after[seconds]'],
  [after(2_592_001), 'expires_after[seconds]'],
  [{ ...after(3_600), 'expires_after[anchor]': 'last_active_at' }, 'expires_after[anchor]'],
  [{ ...after(3_600), 'expires_after[days]': '1' }, 'expires_after[days]'],
])('a wrong policy is refused and nothing is kept: %j', async (fields, param) => {
  const before = bytesKept();
  const { status, json } = await upload({ purpose: 'assistants', ...fields });
  expect([status, json.error.code, json.error.param]).toEqual([400, 'invalid_request', param]);
  expect(bytesKept()).toBe(before);
});

test('a collection ends so long after it was last used: nothing is found in it, it still says what it was', async () => {
  const { json: file } = await upload({ purpose: 'assistants' });
  const made = { name: 'birds', file_ids: [file.id], expires_after: { anchor: 'last_active_at', days: 2 } };
  const { json: store } = await atRetrieval('POST', '/v1/vector_stores', made);
  expect(store).toMatchObject({ expires_after: made.expires_after, expires_at: nowS() + 2 * 86_400 });
  await read(store.id, file.id, INDEX_FROM_CHUNKS);
  expect((await leftOf(store.id)).indexes).toBe(1);
  const path = `/v1/vector_stores/${store.id}`;
  const find = () => atRetrieval('POST', `${path}/search`, { query: 'heron', mode: 'text' });

  // Used a day later: two more days from then.
  await clock.advance(DAY_MS);
  expect((await find()).json.data.length).toBeGreaterThan(0);
  await clock.advance(2 * DAY_MS - 1_000);
  expect(await expireCollections({ db, ...stores }, clock.nowMs())).toBe(0);
  expect((await atRetrieval('GET', path)).json.status).toBe('completed');
  await clock.advance(1_000);
  expect((await atRetrieval('GET', path)).json).toMatchObject({ status: 'expired', name: 'birds' });
  expect((await find()).status).toBe(404);
  expect((await atRetrieval('POST', `${path}/files`, { file_id: file.id })).status).toBe(404);
  const asked = { vector_store_ids: [store.id], question: 'heron', mode: 'hybrid', top_k: 1, score_threshold: 0 };
  const ground = { ...asked, max_context_tokens: 100, acting_key: 'k' };
  expect((await atRetrieval('POST', '/internal/ground', ground)).status).toBe(404);

  expect(await expireCollections({ db, ...stores }, clock.nowMs())).toBe(1);
  expect(await leftOf(store.id)).toEqual(NOTHING);
  expect(await expireCollections({ db, ...stores }, clock.nowMs())).toBe(0);
  expect((await atRetrieval('GET', path)).json).toMatchObject({ status: 'expired', file_counts: { total: 0 } });
  const later = { expires_after: { anchor: 'last_active_at', days: 9 } };
  expect((await atRetrieval('POST', path, later)).status).toBe(404);
  expect((await atRetrieval('POST', path, { name: 'gone' })).json).toMatchObject({ name: 'gone', status: 'expired' });
  expect((await atRetrieval('DELETE', path)).status).toBe(200);
  expect((await atConsole('GET', `/v1/files/${file.id}`)).status).toBe(200);
});

test('a policy can be given, changed and taken away; a wrong one is refused', async () => {
  const { json: store } = await atRetrieval('POST', '/v1/vector_stores', {});
  const path = `/v1/vector_stores/${store.id}`;
  expect(store).toMatchObject({ expires_after: null, expires_at: null });
  const given = { anchor: 'last_active_at', days: 365 };
  expect((await atRetrieval('POST', path, { expires_after: given })).json.expires_after).toEqual(given);
  expect((await atRetrieval('POST', path, { name: 'n' })).json.expires_after).toEqual(given);
  expect((await atRetrieval('POST', path, { expires_after: null })).json).toMatchObject({ expires_at: null });
  await clock.advance(1_000 * DAY_MS);
  expect(await expireCollections({ db, ...stores }, clock.nowMs())).toBe(0);
  for (const wrong of [{ anchor: 'created_at', days: 1 }, { ...given, days: 0 }, { ...given, days: 366 }, given.days]) {
    expect((await atRetrieval('POST', path, { expires_after: wrong })).status).toBe(400);
  }
});

test('an index that a killed deletion left behind is dropped in the next round', async () => {
  const { json: file } = await upload({ purpose: 'assistants' });
  const { json: store } = await atRetrieval('POST', '/v1/vector_stores', { file_ids: [file.id] });
  await read(store.id, file.id, INDEX_FROM_CHUNKS);
  expect(await stores.collections.delete({ accountId: who.accountId, projectId: '' }, store.id)).toBe(true);
  expect((await leftOf(store.id)).indexes).toBe(1);
  await expireCollections({ db, ...stores }, clock.nowMs());
  expect(await leftOf(store.id)).toEqual(NOTHING);
});
