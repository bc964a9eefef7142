/** Composition root of retrieval: build everything, start it, stop it in reverse. */
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import { CollectionFileStore, type IngestRef } from '@tollgate/shared/db/retrieval/collection-files';
import { CollectionStore } from '@tollgate/shared/db/retrieval/collections';
import { migrateRetrieval } from '@tollgate/shared/db/retrieval/migrate';
import { type Clock, systemClock } from '@tollgate/shared/runtime/clock';
import type { Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { createRegistry, startMetricsServer } from '@tollgate/shared/runtime/metrics';
import { type Random, systemRandom } from '@tollgate/shared/runtime/random';
import type { RetrievalConfig } from './config.ts';
import { createActFor } from './embed/acting.ts';
import { createEmbedder } from './embed/client.ts';
import { expireCollections } from './expiry/sweep.ts';
import { createFileSource } from './files/source.ts';
import { startHttpServer } from './http/server.ts';
import { type IngestParts, ingest } from './ingest/ingest.ts';
import { startJobs } from './ingest/jobs.ts';
import { RetrievalMetrics } from './metrics.ts';
import { parseInThread } from './parse/parser.ts';
import { Collections } from './service/collections.ts';

export const VERSION = '0.1.0';
/** Tokens of one call for embeddings. */
const BATCH_TOKENS = 16_000;
const FILE_TIMEOUT_MS = 120_000;
const EXPIRE_EVERY_MS = 300_000;

export interface RetrievalDeps {
  config: RetrievalConfig;
  lifecycle: Lifecycle;
  logger: Logger;
  clock?: Clock;
  random?: Random;
}

export interface Retrieval {
  url: string;
  port: number;
  db: Db;
}

/**
 * Starts retrieval; everything it opens is closed by `lifecycle`. Brings its own tables up to date.
 * @throws {VectorExtensionMissing} where the database has no pgvector.
 */
export async function startRetrieval(deps: RetrievalDeps): Promise<Retrieval> {
  const { config, lifecycle, logger, clock = systemClock, random = systemRandom } = deps;
  const registry = createRegistry('retrieval', VERSION);
  const metrics = new RetrievalMetrics(registry);
  const db = openDatabase({
    url: config.DATABASE_URL,
    poolMax: config.TOLLGATE_RETRIEVAL_DB_CONNECTIONS,
    applicationName: 'tollgate-retrieval',
    onError: (error) => logger.warn({ err: error }, 'database connection lost'),
  });
  lifecycle.defer('database', () => db.destroy());
  await migrateRetrieval(db);

  const stores = {
    collections: new CollectionStore(db),
    files: new CollectionFileStore(db),
    chunks: new ChunkSearch(db),
    writer: new ChunkWriter(db),
  };
  const routerUrl = config.TOLLGATE_ROUTER_URL.replace(/\/+$/, '');
  const source = createFileSource({
    consoleUrl: config.TOLLGATE_CONSOLE_URL.replace(/\/+$/, ''),
    serviceToken: config.TOLLGATE_SERVICE_TOKEN,
    timeoutMs: FILE_TIMEOUT_MS,
  });
  const actFor = createActFor(db, config.TOLLGATE_SERVICE_TOKEN, clock);
  const parser = {
    timeMs: config.TOLLGATE_PARSE_TIMEOUT_MS,
    memoryMb: config.TOLLGATE_PARSE_MEMORY_MB,
    maxChunks: config.TOLLGATE_FILE_CHUNKS,
  };
  const parts: IngestParts = {
    files: stores.files,
    writer: stores.writer,
    readFile: (work) => source.content(work, work.fileId),
    parse: (request) => parseInThread(request, parser, clock),
    embed: createEmbedder({ routerUrl, timeoutMs: config.TOLLGATE_EMBED_TIMEOUT_MS }),
    actFor,
    batch: { texts: config.TOLLGATE_EMBED_BATCH, tokens: BATCH_TOKENS },
  };
  const jobs = startJobs({
    redisUrl: config.REDIS_URL,
    files: stores.files,
    run: (ref: IngestRef, progress, signal) => ingest(ref, parts, progress, signal),
    fail: (ref, error) => stores.files.fail(db, ref, error),
    clock,
    logger,
    onEnd: (end) => metrics.fileEnded(end),
    concurrency: config.TOLLGATE_INGEST_CONCURRENCY,
    lockMs: config.TOLLGATE_INGEST_LOCK_MS,
    sweepMs: config.TOLLGATE_INGEST_SWEEP_MS,
  });
  lifecycle.defer('ingestion', () => jobs.stop());

  const expiring = clock.setInterval(() => {
    expireCollections({ db, ...stores }, clock.nowMs()).then(
      (ended) => ended > 0 && logger.info({ ended }, 'collections have expired'),
      (error: unknown) => logger.warn({ err: error }, 'expired collections wait for the next round'),
    );
  }, EXPIRE_EVERY_MS);
  lifecycle.defer('expiry', () => expiring.cancel());

  const service = new Collections({
    ...stores,
    db,
    jobs,
    source,
    actFor,
    embed: createEmbedder({ routerUrl, timeoutMs: config.TOLLGATE_SEARCH_TIMEOUT_MS }),
    models: config.TOLLGATE_EMBEDDING_MODELS,
    maxCollections: config.TOLLGATE_ACCOUNT_COLLECTIONS,
    clock,
    random,
  });
  const ready = async () => !lifecycle.stopping && (await stores.files.unfinished(1).then(Boolean, () => false));
  if (config.TOLLGATE_RETRIEVAL_METRICS_LISTEN) {
    const server = await startMetricsServer(config.TOLLGATE_RETRIEVAL_METRICS_LISTEN, registry, { ready });
    lifecycle.defer('metrics', () => server.close());
  }
  const server = await startHttpServer(config.TOLLGATE_RETRIEVAL_LISTEN, {
    service,
    serviceToken: config.TOLLGATE_SERVICE_TOKEN,
    logger,
    clock,
    random,
    ready,
    onRequest: (operation, status, ms) => metrics.request(operation, status, ms),
  });
  lifecycle.defer('http', () => server.close());
  logger.info({ url: server.url }, 'retrieval listens');
  return { url: server.url, port: server.port, db };
}
