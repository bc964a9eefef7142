/**
 * Retrieval with all its surroundings: router, a worker that chats and embeds, the console's file store, PGlite with
 * pgvector, Redis. Keys exist in Redis (for the router) and in Postgres (for whom retrieval acts for).
 */
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FileService } from '@tollgate/console/files/service';
import { errorHandler } from '@tollgate/console/http/errors';
import { fileRoutes } from '@tollgate/console/http/files';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { type Retrieval, startRetrieval } from '@tollgate/retrieval/app';
import { retrievalShape } from '@tollgate/retrieval/config';
import type { RunningRouter } from '@tollgate/router/app';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { migrate } from '@tollgate/shared/db/migrate';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { FolderFileStore } from '@tollgate/shared/runtime/file-store';
import { createLifecycle, type Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import express from 'express';
import { type Reply, readReply } from '../e2e/reply.ts';
import { CATALOG_MODEL, MODEL, type Surroundings, startSurroundings, type TestKey } from '../e2e/router-kit.ts';

export const EMBEDDER = 'Qwen/Qwen3-Embedding-0.6B';
export const DIMENSIONS = 1_024;
export const SERVICE_TOKEN = 'service-token-of-the-tests-only';

export interface World {
  around: Surroundings;
  worker: Devworker;
  router: RunningRouter;
  db: Db;
  databaseUrl: string;
  /** Where the bytes of files lie. */
  filesFolder: string;
  consoleUrl: string;
  retrievalUrl: string;
  /** Bodies that reached the worker's chat endpoint. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was sent
  sent: any[];
  /** All log lines of all services. */
  logs: string[];
  /** A key of an account with credit, known to router and database. */
  key(change?: Partial<KeyRecord>): Promise<TestKey>;
  call(key: TestKey, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  upload(key: TestKey, name: string, content: string | Uint8Array, headers?: Record<string, string>): Promise<Reply>;
  /** A collection with these files, completely read; returns its id and the ids of the files by name. */
  filled(
    key: TestKey,
    files: Record<string, string>,
    more?: object,
  ): Promise<{ store: string; ids: Record<string, string> }>;
  /** Waits until no file of the collection is being read. */
  settled(key: TestKey, store: string): Promise<void>;
  /** Environment of one more retrieval process on the same stores. */
  retrievalEnvironment: Record<string, string>;
  stopRetrieval(): Promise<void>;
  startRetrieval(): Promise<void>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  /** Overrides of retrieval's configuration. */
  retrieval?: Record<string, string>;
  router?: Record<string, string>;
  /** Use this database instead of a PGlite. */
  databaseUrl?: string;
  /** Texts per call for embeddings, for small files in many steps. */
}

export async function startRetrievalWorld(options: WorldOptions = {}): Promise<World> {
  const logs: string[] = [];
  const logger = (service: string) =>
    createLogger({ service, level: 'debug', destination: { write: (line: string) => void logs.push(line) } });
  const around = await startSurroundings([
    CATALOG_MODEL,
    { ...CATALOG_MODEL, id: EMBEDDER, templateTokens: 0, templateTokensPerMessage: 0 },
  ]);
  const worker = await startDevworker({ speed: 50, embeddingModel: EMBEDDER });
  const sent: unknown[] = [];
  const recorder = await startRecorder(worker.url, sent);
  const database: TestDatabase | null = options.databaseUrl === undefined ? await startPglite() : null;
  const databaseUrl = options.databaseUrl ?? database!.url;
  const db = openDatabase({ url: databaseUrl, poolMax: 1, applicationName: 'test' });
  await migrate(db);

  // Each needs the others' address: ports first.
  const console = await listening();
  const retrievalPort = await reserved();
  const retrievalUrl = `http://127.0.0.1:${retrievalPort}`;
  const filesFolder = around.folder();
  const files = new FileService({
    db,
    store: new FolderFileStore(filesFolder),
    maxFileBytes: 20_000_000,
    maxAccountBytes: 100_000_000,
    retrieval: { url: retrievalUrl, serviceToken: SERVICE_TOKEN },
    clock: systemClock,
    random: systemRandom,
  });
  const app = express();
  app.use(fileRoutes(files, SERVICE_TOKEN), errorHandler(logger('console')));
  console.server.on('request', app);
  const router = await around.router([`http://127.0.0.1:${(recorder.address() as AddressInfo).port}`], {
    TOLLGATE_SERVICE_TOKEN: SERVICE_TOKEN,
    TOLLGATE_CONSOLE_URL: console.url,
    TOLLGATE_RETRIEVAL_URL: retrievalUrl,
    TOLLGATE_GROUND_TIMEOUT_MS: '20000',
    ...options.router,
  });
  const retrievalEnvironment = {
    TOLLGATE_RETRIEVAL_LISTEN: `127.0.0.1:${retrievalPort}`,
    DATABASE_URL: databaseUrl,
    REDIS_URL: around.redis.url,
    TOLLGATE_SERVICE_TOKEN: SERVICE_TOKEN,
    TOLLGATE_ROUTER_URL: router.url,
    TOLLGATE_CONSOLE_URL: console.url,
    TOLLGATE_EMBEDDING_MODELS: `${EMBEDDER}=${DIMENSIONS}`,
    TOLLGATE_RETRIEVAL_DB_CONNECTIONS: '2',
    TOLLGATE_SEARCH_TIMEOUT_MS: '20000',
    TOLLGATE_INGEST_SWEEP_MS: '1000',
    TOLLGATE_INGEST_LOCK_MS: '2000',
    ...options.retrieval,
  };
  let lifecycle: Lifecycle | null = null;
  let running: Retrieval | null = null;
  async function start(): Promise<void> {
    const log = logger('retrieval');
    lifecycle = createLifecycle({ logger: log, graceMs: 10_000 });
    running = await startRetrieval({
      config: parseConfig(retrievalShape, retrievalEnvironment),
      lifecycle,
      logger: log,
    });
  }
  async function stopRetrieval(): Promise<void> {
    await lifecycle?.stop('test');
    running = null;
  }
  await start();

  const world: World = {
    around,
    worker,
    router,
    db,
    databaseUrl,
    filesFolder,
    consoleUrl: console.url,
    retrievalUrl,
    sent,
    logs,
    retrievalEnvironment,
    async key(change) {
      const made = await around.key(change);
      const { record, digest } = made;
      const accounts = new AccountStore(db);
      if (!(await accounts.get(record.accountId))) {
        await accounts.create({ id: record.accountId, name: 'test', createdAtMs: 0 });
        await around.credit(record.accountId, 100_000_000_000n);
      }
      await new KeyStore(db).create({
        id: record.keyId,
        accountId: record.accountId,
        digest,
        prefix: 'tg_live_x',
        last4: 'xxxx',
        name: 'test',
        createdAtMs: 0,
        kind: record.kind,
        projectId: record.projectId,
        userId: record.userId,
      });
      return made;
    },
    async call(key, method, path, body, headers = {}) {
      return readReply(
        await fetch(router.url + path, {
          method,
          headers: {
            authorization: `Bearer ${key.text}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        }),
      );
    },
    async upload(key, name, content, headers = {}) {
      const form = new FormData();
      form.append('purpose', 'assistants');
      form.append('file', new Blob([content as string]), name);
      const authorization = `Bearer ${key.text}`;
      return readReply(
        await fetch(`${router.url}/v1/files`, { method: 'POST', headers: { authorization, ...headers }, body: form }),
      );
    },
    async filled(key, contents, more = {}) {
      const ids: Record<string, string> = {};
      for (const [name, content] of Object.entries(contents)) {
        const made = await world.upload(key, name, content);
        if (made.status !== 200) throw new Error(`upload: ${made.text}`);
        ids[name] = made.json.id;
      }
      const made = await world.call(key, 'POST', '/v1/vector_stores', {
        name: 'c',
        file_ids: Object.values(ids),
        ...more,
      });
      if (made.status !== 200) throw new Error(`collection: ${made.text}`);
      await world.settled(key, made.json.id);
      return { store: made.json.id, ids };
    },
    async settled(key, store) {
      await eventually('all files are read', async () => {
        const { json } = await world.call(key, 'GET', `/v1/vector_stores/${store}`);
        return json.status === 'completed';
      });
    },
    stopRetrieval,
    startRetrieval: start,
    async stop() {
      if (running !== null) await stopRetrieval();
      await around.stop();
      for (const server of [recorder, console.server]) {
        server.close();
        server.closeAllConnections();
      }
      await worker.close();
      await db.destroy();
      await database?.stop();
    },
  };
  return world;
}

export const chatBody = (store: string, question: string, rag: object = {}, more: object = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content: question }],
  max_tokens: 24,
  rag_params: { vector_store_ids: [store], ...rag },
  ...more,
});

async function listening(): Promise<{ server: Server; url: string }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function reserved(): Promise<number> {
  const { server, url } = await listening();
  await new Promise((resolve) => server.close(resolve));
  return Number(new URL(url).port);
}

/** Passes everything on to the worker and keeps the bodies of chat requests. */
async function startRecorder(url: string, sent: unknown[]): Promise<Server> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks);
      if (req.url === '/v1/chat/completions' && body.length > 0) sent.push(JSON.parse(body.toString()));
      const onward = httpRequest(url + req.url, { method: req.method ?? 'GET', headers: req.headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
        answer.on('error', () => res.destroy());
      });
      onward.on('error', () => res.destroy());
      res.on('close', () => onward.destroy());
      onward.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
