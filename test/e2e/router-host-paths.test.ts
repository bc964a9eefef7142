/**
 * Paths of the API's host that another service answers: a real router, the console's own routes over a real database,
 * and records that a real request left behind.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import type { Db } from '@tollgate/shared/db/client';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { SettlementStore } from '@tollgate/shared/db/settlement-store';
import { tx } from '@tollgate/shared/db/tx';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { Registry } from '@tollgate/shared/runtime/metrics';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { TestDatabase } from '@tollgate/shared/testkit/postgres';
import express from 'express';
import { errorHandler } from '../../services/console/src/http/errors.ts';
import { ownUsageRoutes } from '../../services/console/src/http/own-usage.ts';
import { OwnUsage } from '../../services/console/src/internal/own-usage.ts';
import { Recorder } from '../../services/metering/src/drain/recorder.ts';
import { createMetrics } from '../../services/metering/src/metrics.ts';
import { addAccount, PRICE, startDatabase } from '../chaos/metering-harness.ts';
import {
  CATALOG_MODEL,
  chat,
  eventuallyQuiet,
  hello,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(60_000);

const PRICE_ID = 'price_receipt';
const TOKEN = 'the-service-token-of-these-tests';
const logger = createLogger({ service: 'test', level: 'silent' });

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;
let database: TestDatabase;
let db: Db;
let consoleServer: Server;
let key: TestKey;
let other: TestKey;
/** Headers of the last call that reached the stand-in for a further service. */
let seen: IncomingMessage['headers'] = {};
let echo: Server;

const portOf = (server: Server) => (server.address() as AddressInfo).port;
const listen = (server: Server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

beforeAll(async () => {
  const { prices } = PRICE;
  [around, worker, { server: database, db }] = await Promise.all([
    startSurroundings([{ ...CATALOG_MODEL, priceId: PRICE_ID, prices }]),
    startDevworker({ speed: 20 }),
    startDatabase(),
  ]);
  const models = new ModelStore(db);
  await models.create({ id: CATALOG_MODEL.id, ownedBy: 'test', maxModelLen: 32_768, createdAtMs: 1 });
  await models.addPrice({ id: PRICE_ID, prices, model: CATALOG_MODEL.id, validFromMs: 0 });
  const app = express();
  app.use(ownUsageRoutes(new OwnUsage(db, systemClock), TOKEN), errorHandler(logger));
  consoleServer = createServer(app);
  echo = createServer((request, response) => {
    seen = request.headers;
    response.setHeader('set-cookie', 'a=b');
    request.pipe(response);
  });
  await Promise.all([listen(consoleServer), listen(echo)]);
  router = await around.router([worker.url], {
    TOLLGATE_SERVICE_TOKEN: TOKEN,
    TOLLGATE_CONSOLE_URL: `http://127.0.0.1:${portOf(consoleServer)}`,
    TOLLGATE_METERING_URL: `http://127.0.0.1:${portOf(echo)}`,
    TOLLGATE_RETRIEVAL_URL: 'http://127.0.0.1:9',
  });
  const [mine, theirs] = [await addAccount(db, 0n), await addAccount(db, 0n)];
  key = await around.key({ accountId: mine.account, keyId: mine.key, projectId: 'proj_1', userId: 'user_1' });
  other = await around.key({ accountId: theirs.account, keyId: theirs.key });
  await around.credit(mine.account, 1_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
  for (const server of [consoleServer, echo]) {
    server.closeAllConnections();
    server.close();
  }
  await db.destroy();
  await database.stop();
});

async function get(path: string, as: TestKey | null = key, more: RequestInit = {}) {
  const response = await fetch(router.url + path, {
    ...more,
    headers: { ...(as === null ? {} : { authorization: `Bearer ${as.text}` }), ...more.headers },
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  let json: any = null;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: response.status, headers: response.headers, text, json };
}

/** What metering does with the outboxes. */
async function post(): Promise<string[]> {
  const recorder = new Recorder({ store: new SettlementStore(db), metrics: createMetrics(new Registry()), logger });
  const records = await around.drain();
  const texts = records.map((record) => ({
    source: record.requestId,
    text: encodeUsageRecord(record),
    streamId: null,
  }));
  await tx(db, (trx) => recorder.record(trx, texts));
  return records.map(({ requestId }) => requestId);
}

describe('a receipt', () => {
  test('tells tokens, prices, ledger entries and times of a request, to its own key alone', async () => {
    const answer = await chat(router, key.text, hello());
    expect(answer.status).toBe(200);
    await eventuallyQuiet(router);
    let ids: string[] = [];
    await eventually('the record is posted', async () => {
      ids = [...ids, ...(await post())];
      return ids.length > 0;
    });
    const id = answer.headers.get('x-request-id')!;
    expect(ids).toEqual([id]);
    const receipt = await get(`/v1/requests/${id}`);
    expect(receipt.status).toBe(200);
    expect(receipt.json).toMatchObject({
      object: 'request',
      id,
      endpoint: '/chat/completions',
      outcome: 'served',
      prompt_tokens: answer.json.usage.prompt_tokens,
      completion_tokens: answer.json.usage.completion_tokens,
      project_id: 'proj_1',
      price: { id: PRICE_ID, input: String(PRICE.prices.inputNusd) },
    });
    expect(receipt.json.timing.duration_ms).toBeGreaterThanOrEqual(0);
    const sum = receipt.json.entries.reduce(
      (total: bigint, entry: { amount_nusd: string }) => total + BigInt(entry.amount_nusd),
      0n,
    );
    expect([receipt.json.entries.length > 0, sum]).toEqual([true, 0n]);
    expect(receipt.headers.get('x-request-id')).not.toBe(id);

    const list = await get('/v1/requests?limit=10');
    expect(list.json.data.map((row: { id: string }) => row.id)).toEqual([id]);
    const history = await get('/v1/key/history');
    expect(history.json.spend_nusd).toEqual({
      day: receipt.json.amount_nusd,
      week: receipt.json.amount_nusd,
      month: receipt.json.amount_nusd,
    });
    expect((await get('/v1/usage')).json).toMatchObject({ object: 'list', data: [] });

    expect((await get(`/v1/requests/${id}`, other)).status).toBe(404);
    expect((await get('/v1/requests', other)).json.data).toEqual([]);
    expect((await get('/v1/requests/req_nothing')).status).toBe(404);
  });

  test('a bad query is refused by name', async () => {
    expect((await get('/v1/requests?limit=x')).json.error).toMatchObject({ code: 'invalid_request', param: 'limit' });
    expect((await get('/v1/requests?keyId=key_other')).status).toBe(400);
  });
});

describe('what is passed on', () => {
  test('carries the verified identity and the service token, and nothing that the client claims', async () => {
    const answer = await get('/v1/batches/x?after=1', key, {
      method: 'POST',
      body: 'some bytes',
      headers: {
        'x-tollgate-account-id': 'acct_somebody',
        'x-tollgate-anything': '1',
        'x-forwarded-for': '10.0.0.1',
        cookie: 'session=1',
        'x-api-key': 'tg_live_whatever',
        'content-type': 'text/plain',
      },
    });
    expect([answer.status, answer.text, answer.headers.get('set-cookie')]).toEqual([200, 'some bytes', null]);
    expect(seen).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'x-tollgate-account-id': key.record.accountId,
      'x-tollgate-key-id': key.record.keyId,
      'x-tollgate-project-id': 'proj_1',
      'x-tollgate-user-id': 'user_1',
      'content-type': 'text/plain',
    });
    for (const name of ['cookie', 'x-api-key', 'x-tollgate-anything', 'x-forwarded-for'])
      expect(seen[name]).toBeUndefined();
    expect(JSON.stringify(seen)).not.toContain(key.text);
  });

  test('a stranger, a revoked key and a key without the scope do not get through', async () => {
    seen = {};
    expect((await get('/v1/batches', null)).status).toBe(401);
    const narrow = await around.key({ scopes: ['chat'] });
    const refused = await get('/v1/batches', narrow);
    expect([refused.status, refused.json.error.code]).toEqual([403, 'endpoint_not_allowed']);
    expect(seen).toEqual({});
  });

  test.each(['/v1/batches/../requests', '/v1/batches/%2e%2e/x', '/v1/batches/..%2Fx/./y'])(
    '%s goes nowhere else',
    async (path) => {
      seen = {};
      // fetch resolves dots by itself; a raw socket does not.
      const { request } = await import('node:http');
      const status = await new Promise<number>((resolve, reject) => {
        const sent = request(
          `${router.url}/`,
          { path, headers: { authorization: `Bearer ${key.text}` } },
          (response) => {
            response.resume();
            resolve(response.statusCode!);
          },
        );
        sent.on('error', reject);
        sent.end();
      });
      expect([status, seen]).toEqual([404, {}]);
    },
  );

  test('a service that is down is a 503 of its paths alone', async () => {
    const down = await get('/v1/vector_stores');
    expect([down.status, down.json.error.code]).toEqual([503, 'service_unavailable']);
    expect(down.headers.get('retry-after')).not.toBeNull();
    expect((await chat(router, key.text, hello())).status).toBe(200);
    expect((await get('/v1/requests')).status).toBe(200);
  });
});

test('the routes of the console do not answer without the service token', async () => {
  const base = `http://127.0.0.1:${portOf(consoleServer)}`;
  const headers = { 'x-tollgate-account-id': key.record.accountId, 'x-tollgate-key-id': key.record.keyId };
  for (const path of ['/v1/usage', '/v1/requests', '/v1/requests/req_1', '/v1/key/history']) {
    expect((await fetch(base + path, { headers })).status).toBe(401);
    const wrong = { ...headers, authorization: `Bearer ${key.text}` };
    expect((await fetch(base + path, { headers: wrong })).status).toBe(401);
  }
});
