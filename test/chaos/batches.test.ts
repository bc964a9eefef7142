/**
 * Batches by the OpenAI SDK through router, console's file store and metering, with metering killed again and again: every
 * line stands in the output exactly once, was run once, and was billed once, at half the price.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FileService } from '@tollgate/console/files/service';
import { errorHandler } from '@tollgate/console/http/errors';
import { fileRoutes } from '@tollgate/console/http/files';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { costNusd, pricesAt } from '@tollgate/shared/domain/money';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { FolderFileStore } from '@tollgate/shared/runtime/file-store';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import express from 'express';
import OpenAI, { toFile } from 'openai';
import { PRICE, type TestAccount } from './metering-harness.ts';
import { BUCKETS, MODEL, type RouterWorld, startRouterWorld } from './router-world.ts';

const TOKEN = 'a service token for tests, long enough';
const CREDIT = 1_000_000_000_000n;

let world: RouterWorld;
let folder: string;
let files: Server;
let routerUrl: string;
let meteringPort: number;
let child: ChildProcess | undefined;
let who: TestAccount;
let client: OpenAI;
let stranger: OpenAI;

beforeAll(async () => {
  [world, meteringPort] = await Promise.all([startRouterWorld(50), freePort()]);
  folder = mkdtempSync(join(tmpdir(), 'tollgate-batches-'));
  const service = new FileService({
    db: world.db,
    store: new FolderFileStore(join(folder, 'files')),
    maxFileBytes: 10_000_000,
    maxAccountBytes: 100_000_000,
    retrieval: null,
    clock: systemClock,
    random: systemRandom,
  });
  const app = express()
    .use(fileRoutes(service, TOKEN))
    .use(errorHandler(createLogger({ service: 'test', level: 'silent' })));
  files = createServer(app);
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  const router = await world.startRouter(join(folder, 'spool'), {
    TOLLGATE_SERVICE_TOKEN: TOKEN,
    TOLLGATE_METERING_URL: `http://127.0.0.1:${meteringPort}`,
    TOLLGATE_CONSOLE_URL: consoleUrl(),
  });
  routerUrl = router.url;
  child = await startMetering();
  who = await world.account(CREDIT);
  const other = await world.account(CREDIT);
  client = new OpenAI({ baseURL: `${routerUrl}/v1`, apiKey: await world.key(who), maxRetries: 5 });
  stranger = new OpenAI({ baseURL: `${routerUrl}/v1`, apiKey: await world.key(other), maxRetries: 5 });
}, 120_000);

afterAll(async () => {
  child?.kill('SIGKILL');
  await world?.stop();
  files?.closeAllConnections();
  files?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, 60_000);

const consoleUrl = () => `http://127.0.0.1:${(files.address() as AddressInfo).port}`;

async function startMetering(): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('metering-child.ts', import.meta.url));
  const started = spawn(process.execPath, ['--conditions=tollgate-source', script], {
    env: childEnvironment({
      NODE_OPTIONS: undefined,
      DATABASE_URL: world.databaseUrl,
      REDIS_URL: world.redis.url,
      TOLLGATE_METERING_LISTEN: `127.0.0.1:${meteringPort}`,
      TOLLGATE_METERING_METRICS_LISTEN: '127.0.0.1:0',
      TOLLGATE_SERVICE_TOKEN: TOKEN,
      TOLLGATE_BUCKETS: String(BUCKETS),
      TOLLGATE_METERING_DRAIN_MS: '20',
      TOLLGATE_METERING_SKEW_MS: '0',
      TOLLGATE_METERING_GRACE_MS: '0',
      // A machine under test load stalls; a lease lost to that is not what this is about.
      TOLLGATE_METERING_LEASE_IDLE_MS: '600000',
      TOLLGATE_ROUTER_URL: routerUrl,
      TOLLGATE_CONSOLE_URL: consoleUrl(),
      TOLLGATE_BATCH_LOCK_MS: '1000',
      TOLLGATE_BATCH_SWEEP_MS: '200',
      LOG_LEVEL: 'error',
    }),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await Promise.race([
    once(started, 'message'),
    once(started, 'exit').then(() => {
      throw new Error('metering ended at once');
    }),
  ]);
  return started;
}

interface Line {
  custom_id: string;
  method: string;
  url: string;
  body: Record<string, unknown>;
}

const line = (name: string, maxTokens: number): Line => ({
  custom_id: name,
  method: 'POST',
  url: '/v1/chat/completions',
  body: {
    model: MODEL,
    messages: [{ role: 'user', content: `a word on ${name}` }],
    max_tokens: maxTokens,
    ignore_eos: true,
  },
});

async function start(lines: readonly (Line | string)[], api = client): Promise<OpenAI.Batch> {
  const text = lines.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n');
  const file = await api.files.create({ file: await toFile(Buffer.from(text), 'in.jsonl'), purpose: 'batch' });
  return await api.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { of: 'a test' },
  });
}

async function ended(id: string, deadlineMs = 60_000): Promise<OpenAI.Batch> {
  return await eventually(
    'the batch has ended',
    async () => {
      const batch = await client.batches.retrieve(id).catch(() => null);
      return batch !== null && ['completed', 'failed', 'expired', 'cancelled'].includes(batch.status) ? batch : null;
    },
    { deadlineMs, everyMs: 50 },
  );
}

interface Row {
  custom_id: string | null;
  response: { status_code: number; request_id: string; body: OpenAI.ChatCompletion } | null;
  error: { code: string; line: number } | null;
}

async function rows(fileId: string | null | undefined): Promise<Row[]> {
  if (!fileId) return [];
  const text = await (await client.files.content(fileId)).text();
  return text
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each) as Row);
}

test('each line is answered or has its own error row; the batch tells how many', async () => {
  const good = line('good', 7);
  const batch = await start([
    good,
    '{"custom_id": "torn',
    '',
    { ...line('elsewhere', 5), url: '/v1/embeddings' },
    line('good', 5),
    { ...line('unknown model', 5), body: { ...line('', 5).body, model: 'nothing' } },
    { ...line('streamed', 5), body: { ...line('', 5).body, stream: true } },
    'x'.repeat(2_000_000),
    line('last', 3),
  ]);
  expect(batch).toMatchObject({ object: 'batch', status: expect.stringMatching(/validating|in_progress/) });
  const done = await ended(batch.id);
  expect(done).toMatchObject({
    status: 'completed',
    request_counts: { total: 8, completed: 2, failed: 6 },
    metadata: { of: 'a test' },
  });
  const output = await rows(done.output_file_id);
  expect(output.map(({ custom_id, response }) => [custom_id, response?.body.usage?.completion_tokens])).toEqual([
    ['good', 7],
    ['last', 3],
  ]);
  const errors = await rows(done.error_file_id);
  expect(errors.map(({ error, response }) => error?.code ?? response?.status_code)).toEqual([
    'invalid_json_line',
    'mismatched_url',
    'duplicate_custom_id',
    404,
    'stream_not_supported',
    'line_too_large',
  ]);
  expect(errors.map(({ error }) => error?.line ?? null)).toEqual([2, 4, 5, null, 7, 8]);
  expect((await client.batches.list()).data.map(({ id }) => id)).toEqual([batch.id]);
});

test('a stranger finds neither batch nor files; an input of nothing fails as a whole', async () => {
  const batch = await start([line('mine', 2)]);
  const done = await ended(batch.id);
  await expect(stranger.batches.retrieve(batch.id)).rejects.toMatchObject({ status: 404 });
  await expect(stranger.batches.cancel(batch.id)).rejects.toMatchObject({ status: 404 });
  await expect(stranger.files.content(done.output_file_id!)).rejects.toMatchObject({ status: 404 });
  await expect(
    stranger.batches.create({
      input_file_id: batch.input_file_id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }),
  ).rejects.toMatchObject({ status: 404 });
  expect((await stranger.batches.list()).data).toEqual([]);
  const empty = await ended((await start(['', ''])).id);
  expect(empty).toMatchObject({ status: 'failed', errors: { data: [{ code: 'empty_file' }] } });
  await expect(client.batches.cancel(empty.id)).rejects.toMatchObject({ status: 409 });
});

test('a batch that is asked for again under its Idempotency-Key is the same batch; another body is 422', async () => {
  const file = await client.files.create({
    file: await toFile(Buffer.from(JSON.stringify(line('once', 2))), 'in.jsonl'),
    purpose: 'batch',
  });
  const asked = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const under = (key: string, more = {}) =>
    client.batches.create({ ...asked, ...more }, { headers: { 'idempotency-key': key } });
  const [first, second] = await Promise.all([under('one'), under('one')]);
  expect(second.id).toBe(first.id);
  await ended(first.id);
  expect((await under('one')).id).toBe(first.id);
  expect((await under('two')).id).not.toBe(first.id);
  await expect(under('one', { metadata: { a: 'b' } })).rejects.toMatchObject({ status: 422 });
});

test('a cancelled batch keeps what ran and says of the rest that it did not', async () => {
  const batch = await start(Array.from({ length: 300 }, (_, i) => line(`c${i}`, 60)));
  await eventually(
    'some lines ran',
    async () => (await client.batches.retrieve(batch.id)).request_counts!.completed > 5,
  );
  const cancel = (name: string) => client.batches.cancel(batch.id, { headers: { 'idempotency-key': name } });
  const [first, second] = await Promise.all([cancel('cancel'), cancel('cancel')]);
  expect([first.id, second.id]).toEqual([batch.id, batch.id]);
  const done = await ended(batch.id);
  // Of a batch that has ended nothing can be cancelled; what was is told again.
  expect(await cancel('cancel')).toMatchObject({ id: batch.id, status: 'cancelled' });
  await expect(cancel('another')).rejects.toMatchObject({ status: 409 });
  const output = await rows(done.output_file_id);
  const errors = await rows(done.error_file_id);
  expect(done.status).toBe('cancelled');
  expect(output.length + errors.length).toBe(300);
  expect(new Set(errors.map(({ error }) => error?.code))).toEqual(new Set(['batch_cancelled']));
});

test(
  'killed again and again, metering loses no line, runs none twice, and bills each once at half the price',
  async () => {
    const total = counts(150, 2_000);
    const kills = counts(3, 10);
    const random = seededRandom(testSeed());
    const tokens = Array.from({ length: total }, () => 1 + random.int(40));
    const batch = await start(tokens.map((maxTokens, i) => line(`k${i}`, maxTokens)));
    for (let kill = 1; kill <= kills; kill++) {
      const target = Math.floor((total * kill) / (kills + 1));
      await eventually(
        'more lines ran',
        async () => {
          const now = await client.batches.retrieve(batch.id).catch(() => null);
          return now !== null && (now.status !== 'in_progress' || now.request_counts!.completed >= target);
        },
        { deadlineMs: 120_000, everyMs: 5 },
      );
      const gone = once(child!, 'exit');
      child!.kill('SIGKILL');
      await gone;
      child = await startMetering();
    }
    const done = await ended(batch.id, 300_000);
    expect(done).toMatchObject({ status: 'completed', request_counts: { total, completed: total, failed: 0 } });
    const output = await rows(done.output_file_id);
    expect(output.map(({ custom_id }) => custom_id)).toEqual(tokens.map((_, i) => `k${i}`));
    expect(output.map(({ response }) => response!.body.usage!.completion_tokens)).toEqual(tokens);

    const ids = output.map(({ response }) => response!.request_id);
    expect(new Set(ids).size).toBe(total);
    const settled = () =>
      world.db
        .selectFrom('settlements')
        .select(['request_id', 'state', 'amount_nusd', 'prompt_tokens', 'cached_tokens', 'completion_tokens'])
        .where('account_id', '=', who.account)
        .execute();
    await eventually(
      'every line is posted',
      async () => {
        const final = new Set((await settled()).filter(({ state }) => state === 'final').map((row) => row.request_id));
        return ids.every((id) => final.has(id as never));
      },
      { deadlineMs: 60_000, everyMs: 100 },
    );
    const half = pricesAt(PRICE.prices, 50);
    for (const row of await settled()) {
      const { prompt_tokens: promptTokens, cached_tokens: cachedTokens, completion_tokens: completionTokens } = row;
      expect(row.amount_nusd).toBe(costNusd({ promptTokens, cachedTokens, completionTokens }, half));
    }
    // Nothing was generated that is on no bill: the lines of the tests above are the rest.
    const mine = new Set(ids);
    expect((await settled()).filter((row) => mine.has(row.request_id)).length).toBe(total);
    expect((await new ReconcileStore(world.db).auditLedger(1_000)).findings).toEqual([]);
    recordProof({
      name: `kill -9 of metering during a batch of ${total} lines (${world.real ? 'PostgreSQL' : 'PGlite'})`,
      count: kills,
      seed: testSeed(),
      result: `${total} lines in the output, each once; ${total} bills at half the price; the ledger balances`,
    });
  },
  counts(120_000, 1_200_000),
);
