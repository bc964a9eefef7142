/** Retrieval's configuration: the only place of this service that reads environment variables. */
import {
  type Environment,
  httpUrl,
  integer,
  listenAddress,
  loadConfig,
  logLevel,
  postgresUrl,
  redisUrl,
  secret,
} from '@tollgate/shared/runtime/config';
import { z } from 'zod';

export interface EmbeddingModel {
  id: string;
  dimensions: number;
}

/** `model=dimensions`, comma-separated; the first is the one that new collections get. */
function modelList() {
  return z.string().transform((text, context): EmbeddingModel[] => {
    const models: EmbeddingModel[] = [];
    for (const part of text.split(',').map((entry) => entry.trim())) {
      if (part === '') continue;
      const match = /^(\S{1,200})=(\d{1,4})$/.exec(part);
      const dimensions = Number(match?.[2]);
      if (match === null || dimensions < 1 || dimensions > 2_000) {
        context.addIssue({
          code: 'custom',
          message: 'must be a list such as my-org/embedder=1024 (1 to 2000 dimensions)',
        });
        return z.NEVER;
      }
      models.push({ id: match[1]!, dimensions });
    }
    if (models.length === 0) context.addIssue({ code: 'custom', message: 'must name at least one model' });
    return models;
  });
}

export const retrievalShape = {
  TOLLGATE_RETRIEVAL_LISTEN: listenAddress().default({ host: '127.0.0.1', port: 8083 }),
  /** Port of its own for /metrics, /healthz, /readyz. */
  TOLLGATE_RETRIEVAL_METRICS_LISTEN: listenAddress().optional(),
  DATABASE_URL: secret(postgresUrl()),
  REDIS_URL: secret(redisUrl()),
  TOLLGATE_SERVICE_TOKEN: secret(z.string().min(24, 'must be at least 24 characters')),
  /** The router's base URL: embeddings are made and billed through it. */
  TOLLGATE_ROUTER_URL: httpUrl(),
  /** The console's base URL: it keeps the files. */
  TOLLGATE_CONSOLE_URL: httpUrl(),
  /** `model=dimensions`, comma-separated. */
  TOLLGATE_EMBEDDING_MODELS: modelList(),
  /** Connections to Postgres at most; 1 is right for the embedded one. */
  TOLLGATE_RETRIEVAL_DB_CONNECTIONS: integer(1, 100).default(8),
  /** Time limit of one search, embeddings of the question included. */
  TOLLGATE_SEARCH_TIMEOUT_MS: integer(10, 60_000).default(2_000),
  /** Time limit of one call for embeddings of chunks. */
  TOLLGATE_EMBED_TIMEOUT_MS: integer(100, 600_000).default(60_000),
  TOLLGATE_EMBED_BATCH: integer(1, 512).default(32),
  TOLLGATE_INGEST_CONCURRENCY: integer(1, 64).default(2),
  /** A file whose reader is silent for so long is given to another. */
  TOLLGATE_INGEST_LOCK_MS: integer(500, 600_000).default(30_000),
  TOLLGATE_INGEST_SWEEP_MS: integer(100, 600_000).default(30_000),
  TOLLGATE_PARSE_TIMEOUT_MS: integer(100, 600_000).default(60_000),
  TOLLGATE_PARSE_MEMORY_MB: integer(32, 8_192).default(256),
  /** Chunks of one file at most. */
  TOLLGATE_FILE_CHUNKS: integer(1, 1_000_000).default(20_000),
  /** Collections of one account at most. */
  TOLLGATE_ACCOUNT_COLLECTIONS: integer(1, 1_000_000).default(1_000),
  TOLLGATE_STOP_GRACE_MS: integer(0, 600_000).default(15_000),
  LOG_LEVEL: logLevel().default('info'),
};

export type RetrievalConfig = z.output<z.ZodObject<typeof retrievalShape>>;

/** Exits 78 with every problem listed; `--check-config` prints the redacted configuration and exits 0. */
export function readConfig(argv: readonly string[], env: Environment): RetrievalConfig {
  return loadConfig('retrieval', retrievalShape, argv, env);
}

/** This process's environment, for `main`. */
export function processEnvironment(): Environment {
  return process.env;
}
