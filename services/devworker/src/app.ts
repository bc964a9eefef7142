/**
 * Starts one worker inside this process: `const worker = await startDevworker({ port: 0 })`, `worker.url`,
 * `await worker.close()`.
 */
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '@tollgate/shared/runtime/clock';
import { type Random, systemRandom } from '@tollgate/shared/runtime/random';
import type { DevworkerConfig } from './config.ts';
import { DIALECTS, type DialectName } from './dialects/index.ts';
import { createMetrics } from './dialects/vllm/metrics.ts';
import { realTimeClock } from './engine/clock.ts';
import { createEngine, type Engine } from './engine/engine.ts';
import { GPUS, type Gpu } from './engine/step-time.ts';
import { createGrammarClient } from './grammar/pool.ts';
import { createWorkerServer } from './http/server.ts';
import type { Worker } from './http/worker.ts';
import { defaultTokenizer } from './model/bpe.ts';
import { hashText } from './model/seeded.ts';

export interface DevworkerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
  /** What it speaks. Default vllm. */
  dialect?: DialectName;
  /** Default `Qwen/Qwen3-30B-A3B-FP8`. */
  model?: string;
  /** `root` in /v1/models: where the weights came from. Default: the model's id. */
  modelRoot?: string;
  /** Id under which `/v1/embeddings` answers; undefined: the route is absent, as on a real chat worker. */
  embeddingModel?: string | undefined;
  /** Tokens of prompt and answer together. Default 32768. */
  maxModelLen?: number;
  /** Thinking when a request does not say. Default false, as production workers are started. */
  thinkingByDefault?: boolean;
  /** Engine milliseconds per millisecond. Default 1: as slow as the GPU. */
  speed?: number;
  /** Which GPU the engine stands for. Default h100. */
  gpu?: Gpu;
  /** KV cache in tokens. Default: the GPU's. */
  kvTokens?: number;
  /** Default 16. */
  blockSize?: number;
  /** Sequences in one batch. Default 256. */
  maxSequences?: number;
  /** Tokens computed in one step. Default 8192. */
  maxBatchedTokens?: number;
  /** Time and randomness of ids, stamps and requests without a seed. Default: the machine's. */
  clock?: Clock;
  random?: Random;
  /** Called for the fault `die;how=exit`. Default: SIGKILL to this process. */
  kill?: () => void;
}

/** Start options of a configuration. */
export function optionsOf(config: DevworkerConfig): DevworkerOptions {
  const { host, port } = config.TOLLGATE_DEVWORKER_LISTEN;
  const kvTokens = config.TOLLGATE_DEVWORKER_KV_TOKENS;
  return {
    host,
    port,
    dialect: config.TOLLGATE_DEVWORKER_DIALECT,
    model: config.TOLLGATE_DEVWORKER_MODEL,
    embeddingModel: config.TOLLGATE_DEVWORKER_EMBEDDING_MODEL,
    maxModelLen: config.TOLLGATE_DEVWORKER_MAX_MODEL_LEN,
    thinkingByDefault: config.TOLLGATE_DEVWORKER_THINKING,
    speed: config.TOLLGATE_DEVWORKER_SPEED,
    gpu: config.TOLLGATE_DEVWORKER_GPU,
    ...(kvTokens === undefined ? {} : { kvTokens }),
    blockSize: config.TOLLGATE_DEVWORKER_BLOCK_SIZE,
    maxSequences: config.TOLLGATE_DEVWORKER_MAX_SEQUENCES,
    maxBatchedTokens: config.TOLLGATE_DEVWORKER_MAX_BATCHED_TOKENS,
  };
}

export interface Devworker {
  /** `http://host:port`, without a slash at the end. */
  url: string;
  port: number;
  /** The engine model, for tests that look inside. */
  engine: Engine;
  /** Counters since start. */
  totals: Worker['totals'];
  /** Stops listening, cuts open connections, ends the grammar thread. */
  close(): Promise<void>;
}

export const DEFAULT_MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
export const DEFAULT_MAX_MODEL_LEN = 32_768;

export async function startDevworker(options: DevworkerOptions = {}): Promise<Devworker> {
  const model = options.model ?? DEFAULT_MODEL;
  const speed = options.speed ?? 1;
  const blockSize = options.blockSize ?? 16;
  const gpu = GPUS[options.gpu ?? 'h100'];
  const host = options.host ?? '127.0.0.1';
  const maxSequences = options.maxSequences ?? 256;
  const engine = createEngine({
    clock: realTimeClock(speed),
    cost: gpu.cost,
    kvTokens: options.kvTokens ?? gpu.kvTokens,
    blockSize,
    maxSequences,
    maxBatchedTokens: options.maxBatchedTokens ?? 8192,
  });
  const grammar = createGrammarClient();
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const startedMs = clock.monotonicMs();
  const worker: Worker = {
    settings: {
      model,
      modelRoot: options.modelRoot ?? model,
      embeddingModel: options.embeddingModel,
      maxModelLen: options.maxModelLen ?? DEFAULT_MAX_MODEL_LEN,
      thinkingByDefault: options.thinkingByDefault ?? false,
      speed,
      blockSize,
      maxSequences,
    },
    dialect: DIALECTS[options.dialect ?? 'vllm'],
    running: new Map(),
    engine,
    tokenizer: defaultTokenizer(),
    grammar,
    metrics: createMetrics(clock.nowMs() / 1000, speed),
    fingerprint: `vllm-0.29.0-${hashText(model).toString(16).padStart(8, '0')}`,
    totals: {
      requests: 0,
      finished: 0,
      failed: 0,
      aborted: 0,
      promptTokens: 0,
      completionTokens: 0,
      cachedTokens: 0,
      aborts: [],
    },
    openRequests: 0,
    fault: undefined,
    randomId: () => Buffer.from(random.bytes(8)).toString('hex'),
    randomSeed: () => random.int(2 ** 32),
    sinceStartMs: () => clock.monotonicMs() - startedMs,
    epochSeconds: () => Math.floor(clock.nowMs() / 1000),
    kill: options.kill ?? (() => process.kill(process.pid, 'SIGKILL')),
  };
  const server = createWorkerServer(worker);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    engine,
    totals: worker.totals,
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await grammar.close();
    },
  };
}
