/** The end of a batch's window, with a crash between any two steps of it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { BatchStore } from '@tollgate/shared/db/batch-store';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { type RunnerParts, runBatch } from './runner.ts';

const LINES = 5;
const ACCOUNT = 'acct_batches';
let server: TestDatabase;
let db: Db;
let store: BatchStore;

beforeAll(async () => {
  server = await startPglite();
  db = openDatabase({ url: server.url, poolMax: 4, applicationName: 'test' });
  await migrate(db);
  await new AccountStore(db).create({ id: ACCOUNT, name: 'batches', createdAtMs: 0 });
  store = new BatchStore(db);
}, 60_000);

afterAll(async () => {
  await db?.destroy();
  await server?.stop();
});

async function newBatch(id: string, nowMs: number): Promise<void> {
  await store.create({
    id,
    accountId: ACCOUNT,
    projectId: '',
    keyId: 'key_1',
    userId: null,
    endpoint: '/v1/chat/completions',
    inputFileId: 'file_in',
    outputFileId: 'file_out',
    errorFileId: 'file_err',
    completionWindow: '24h',
    outputExpiresS: null,
    metadata: {},
    createdAtMs: nowMs,
    expiresAtMs: nowMs + 60_000,
  });
  const body = '{"model":"m","messages":[]}';
  await store.addLines(
    id,
    Array.from({ length: LINES }, (_, i) => ({ line: i + 1, customId: `c${i + 1}`, body, result: null })),
  );
  await store.begin(id, LINES, nowMs);
}

/** A fleet that answers the first `answers` lines at once and leaves the rest waiting for ever. */
function parts(clock: ReturnType<typeof fakeClock>, answers: number) {
  const written = new Map<string, string[]>();
  let asked = 0;
  const answer = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    if (asked++ < answers) return new Response('{"ok":true}', { headers: { 'x-request-id': `req_${asked}` } });
    return await new Promise((_, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new Error('cut')));
    });
  };
  const runner: RunnerParts = {
    store,
    files: {
      facts: async () => null,
      read: async () => null,
      async remove() {},
      async write(_batch, fileId, _name, content) {
        const rows: string[] = [];
        for await (const row of content) rows.push(String(row));
        written.set(fileId, rows);
      },
    },
    line: {
      routerUrl: 'http://router',
      actFor: async () => 'a key',
      clock,
      fetch: answer as typeof fetch,
      retryMs: 10,
      tryMs: 600_000,
    },
    limits: { maxLines: 10, maxLineBytes: 1_000 },
    parallel: LINES,
    clock,
    logger: createLogger({ service: 'test', level: 'silent' }),
    onLine() {},
  };
  return { runner, written, asked: () => asked };
}

test('a batch whose window ends keeps what ran, says of the rest that it did not, and is expired', async () => {
  const clock = fakeClock();
  await newBatch('batch_window', clock.nowMs());
  const { runner, written, asked } = parts(clock, 2);
  const running = runBatch('batch_window', runner, new AbortController().signal);
  await eventually('all lines were sent', () => asked() === LINES);
  await eventually('two have ended', async () => (await store.find('batch_window'))!.completed === 2);
  await clock.advance(60_000);
  await running;
  expect(await store.find('batch_window')).toMatchObject({ status: 'expired', expired: true, completed: 2, failed: 3 });
  expect(written.get('file_out')).toHaveLength(2);
  const errors = written.get('file_err')!.map((row) => JSON.parse(row).error.code);
  expect(errors).toEqual(['batch_expired', 'batch_expired', 'batch_expired']);
});

test('a process that is killed after it gave the lines up leaves an expired batch to the next one', async () => {
  const clock = fakeClock();
  await newBatch('batch_killed', clock.nowMs());
  await clock.advance(60_000);
  await store.giveUp('batch_killed', true, () => '{"error":{"code":"batch_expired"}}');
  const { runner, asked } = parts(clock, LINES);
  await runBatch('batch_killed', runner, new AbortController().signal);
  expect(asked()).toBe(0);
  expect(await store.find('batch_killed')).toMatchObject({ status: 'expired', completed: 0, failed: LINES });
});

test('a batch whose lines all ended in time is completed, however late its files are written', async () => {
  const clock = fakeClock();
  await newBatch('batch_in_time', clock.nowMs());
  const { runner } = parts(clock, LINES);
  for (let line = 1; line <= LINES; line++) await store.endLine('batch_in_time', line, 'failed', '{"error":null}');
  await clock.advance(120_000);
  await runBatch('batch_in_time', runner, new AbortController().signal);
  expect(await store.find('batch_in_time')).toMatchObject({ status: 'completed', expired: false, failed: LINES });
});
