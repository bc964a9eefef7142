/**
 * The whole product in this process, as people meet it: console, metering, retrieval and a router on one Redis and one
 * database, and a worker that chats and embeds. Keys and credit are made by the console's own API.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { startRetrieval } from '@tollgate/retrieval/app';
import { retrievalShape } from '@tollgate/retrieval/config';
import { type RunningRouter, startRouter } from '@tollgate/router/app';
import { routerShape } from '@tollgate/router/config';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import {
  type Browser,
  BUCKETS,
  type Harness,
  PEPPER,
  startHarness,
} from '../../services/console/src/testing/harness.ts';
import { type Metering, optionsOf, startMetering } from '../../services/metering/src/app.ts';
import { meteringShape } from '../../services/metering/src/config.ts';
import { type Reply, readReply } from './reply.ts';
import { MODEL } from './router-kit.ts';

export const SERVICE_TOKEN = 'the-service-token-of-these-tests';
export const EMBEDDER = 'Qwen/Qwen3-Embedding-0.6B';

/** An organisation, its owner's browser, and a key. */
export interface Customer {
  browser: Browser;
  accountId: string;
  userId: string;
  keyId: string;
  key: string;
}

export interface ConsoleWorld {
  h: Harness;
  worker: Devworker;
  router: RunningRouter;
  metering: Metering;
  /** Every log line of every service. */
  logs(): string;
  /** Where the services behind the router answer. */
  services: { console: string; metering: string; retrieval: string };
  /** Folder of the router's spool. */
  spool: string;
  /** Folder of uploaded files. */
  files: string;
  customer(email: string): Promise<Customer>;
  /** A call to the router's host. */
  call(
    key: string | null,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Reply>;
  upload(key: string, name: string, content: string, purpose: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startConsoleWorld(
  settings: { router?: Record<string, string>; metering?: Record<string, string> } = {},
): Promise<ConsoleWorld> {
  const lines: string[] = [];
  const logger = (service: string) =>
    createLogger({ service, level: 'debug', destination: { write: (line: string) => void lines.push(line) } });
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-world-'));
  const [spool, files] = [join(folder, 'spool'), join(folder, 'files')];
  const [routerPort, meteringPort, retrievalPort] = [await freePort(), await freePort(), await freePort()];
  const at = (port: number) => `http://127.0.0.1:${port}`;
  const [h, worker] = await Promise.all([
    startHarness({
      serviceToken: SERVICE_TOKEN,
      files: {
        folder: files,
        serviceToken: SERVICE_TOKEN,
        maxFileBytes: 5_000_000,
        maxAccountBytes: 50_000_000,
        retrievalUrl: at(retrievalPort),
      },
      people: { signUp: 'open', routerUrl: at(routerPort) },
    }),
    startDevworker({ speed: 50, embeddingModel: EMBEDDER }),
  ]);
  const log = logger('world');
  const lifecycle = createLifecycle({ logger: log, graceMs: 15_000 });
  const common = {
    REDIS_URL: h.redis.url,
    TOLLGATE_BUCKETS: String(BUCKETS),
    TOLLGATE_KEY_PEPPER: PEPPER,
    TOLLGATE_SERVICE_TOKEN: SERVICE_TOKEN,
    TOLLGATE_CONSOLE_URL: h.url,
  };
  const price = { inputUsd: 0.1, cachedInputUsd: 0.01, outputUsd: 0.4 };
  for (const id of [MODEL, EMBEDDER]) {
    const made = await h.post('/api/models', { id, maxModelLen: 8_192, price });
    if (made.status !== 201) throw new Error(`model: ${made.text}`);
  }
  const metering = await startMetering({
    ...optionsOf(
      parseConfig(meteringShape, {
        ...common,
        DATABASE_URL: h.databaseUrl,
        TOLLGATE_METERING_LISTEN: `127.0.0.1:${meteringPort}`,
        TOLLGATE_METERING_METRICS_LISTEN: `127.0.0.1:${await freePort()}`,
        TOLLGATE_METERING_DB_CONNECTIONS: '1',
        TOLLGATE_METERING_DRAIN_MS: '50',
        TOLLGATE_ROUTER_URL: at(routerPort),
        TOLLGATE_BATCH_SWEEP_MS: '500',
        ...settings.metering,
      }),
    ),
    lifecycle,
    logger: logger('metering'),
  });
  const router = await startRouter({
    config: parseConfig(routerShape, {
      ...common,
      TOLLGATE_ROUTER_LISTEN: `127.0.0.1:${routerPort}`,
      TOLLGATE_WORKERS: worker.url,
      TOLLGATE_SPOOL_DIR: spool,
      TOLLGATE_METERING_URL: at(meteringPort),
      TOLLGATE_RETRIEVAL_URL: at(retrievalPort),
      TOLLGATE_PROBE_MS: '100',
      TOLLGATE_CONFIRM_MS: '50',
      TOLLGATE_STOP_GRACE_MS: '1000',
      TOLLGATE_REDIS_DEADLINE_MS: '2000',
      TOLLGATE_CREDIT_WAIT_MS: '20000',
      TOLLGATE_GROUND_TIMEOUT_MS: '20000',
      ...settings.router,
    }),
    logger: logger('router'),
  });
  await startRetrieval({
    config: parseConfig(retrievalShape, {
      REDIS_URL: h.redis.url,
      DATABASE_URL: h.databaseUrl,
      TOLLGATE_SERVICE_TOKEN: SERVICE_TOKEN,
      TOLLGATE_CONSOLE_URL: h.url,
      TOLLGATE_RETRIEVAL_LISTEN: `127.0.0.1:${retrievalPort}`,
      TOLLGATE_ROUTER_URL: router.url,
      TOLLGATE_EMBEDDING_MODELS: `${EMBEDDER}=1024`,
      TOLLGATE_RETRIEVAL_DB_CONNECTIONS: '1',
      TOLLGATE_INGEST_SWEEP_MS: '500',
    }),
    lifecycle,
    logger: logger('retrieval'),
  });
  await eventually('the router is ready', () => router.readiness().ready);

  const call: ConsoleWorld['call'] = async (key, method, path, body, headers = {}) => {
    const plain = body === undefined || typeof body === 'string' || body instanceof FormData;
    const response = await fetch(router.url + path, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: plain ? (body as string | FormData) : JSON.stringify(body) }),
    });
    return readReply(response);
  };

  return {
    h,
    worker,
    router,
    metering,
    services: { console: h.url, metering: at(meteringPort), retrieval: at(retrievalPort) },
    spool,
    files,
    logs: () => h.logs() + lines.join(''),
    async customer(email) {
      const browser = h.browser();
      const { accountId, userId } = await browser.signUp(email);
      const credits = await h.post(`/api/accounts/${accountId}/credits`, { usd: 50, reason: 'test' });
      if (credits.status !== 200) throw new Error(`credits: ${credits.text}`);
      const { body } = await browser.post('/api/keys', { accountId, name: 'k' });
      return { browser, accountId, userId, keyId: body.keyId, key: body.key };
    },
    call,
    async upload(key, name, content, purpose) {
      const form = new FormData();
      form.append('purpose', purpose);
      form.append('file', new Blob([content]), name);
      const { status, text, json } = await call(key, 'POST', '/v1/files', form);
      if (status !== 200) throw new Error(`upload: ${text}`);
      return json.id;
    },
    async stop() {
      await router.stop();
      await lifecycle.stop('test over');
      await worker.close();
      await h.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
