/** The devworker's configuration: the only place of this service that reads environment variables. */
import { parseArgs } from 'node:util';
import {
  ConfigError,
  type Environment,
  flag,
  httpUrl,
  integer,
  listenAddress,
  loadConfig,
  logLevel,
  redisUrl,
  secret,
} from '@tollgate/shared/runtime/config';
import { z } from 'zod';

export const devworkerShape = {
  TOLLGATE_DEVWORKER_LISTEN: listenAddress().default({ host: '127.0.0.1', port: 8000 }),
  TOLLGATE_DEVWORKER_DIALECT: z.enum(['vllm', 'sglang']).default('vllm'),
  TOLLGATE_DEVWORKER_MODEL: z.string().default('Qwen/Qwen3-30B-A3B-FP8'),
  /** Id under which /v1/embeddings answers; without it that route is absent. */
  TOLLGATE_DEVWORKER_EMBEDDING_MODEL: z.string().optional(),
  TOLLGATE_DEVWORKER_MAX_MODEL_LEN: integer(64, 1_048_576).default(32_768),
  /** Thinking when a request does not say. */
  TOLLGATE_DEVWORKER_THINKING: flag().default(false),
  /** 1: a real GPU's pace. */
  TOLLGATE_DEVWORKER_SPEED: z
    .string()
    .transform(Number)
    .pipe(z.number().positive('must be a number above 0').max(10_000))
    .default(1),
  TOLLGATE_DEVWORKER_GPU: z.enum(['h100', 'h200']).default('h100'),
  /** KV cache in tokens; absent: the GPU's. */
  TOLLGATE_DEVWORKER_KV_TOKENS: integer(16).optional(),
  TOLLGATE_DEVWORKER_BLOCK_SIZE: integer(1, 1024).default(16),
  TOLLGATE_DEVWORKER_MAX_SEQUENCES: integer(1, 100_000).default(256),
  TOLLGATE_DEVWORKER_MAX_BATCHED_TOKENS: integer(1).default(8192),
  /** Redis in which it announces itself to routers; absent: it does not. */
  TOLLGATE_DEVWORKER_REGISTER: secret(redisUrl()).optional(),
  /** Where routers reach it; absent: where it listens. */
  TOLLGATE_DEVWORKER_ADVERTISE: httpUrl().optional(),
  LOG_LEVEL: logLevel().default('info'),
};

export type DevworkerConfig = z.output<z.ZodObject<typeof devworkerShape>>;

/** Command line flags and the variables that they stand for. vLLM's own names where it has them. */
const FLAGS = {
  dialect: 'TOLLGATE_DEVWORKER_DIALECT',
  model: 'TOLLGATE_DEVWORKER_MODEL',
  'embedding-model': 'TOLLGATE_DEVWORKER_EMBEDDING_MODEL',
  'max-model-len': 'TOLLGATE_DEVWORKER_MAX_MODEL_LEN',
  thinking: 'TOLLGATE_DEVWORKER_THINKING',
  speed: 'TOLLGATE_DEVWORKER_SPEED',
  gpu: 'TOLLGATE_DEVWORKER_GPU',
  'kv-tokens': 'TOLLGATE_DEVWORKER_KV_TOKENS',
  'block-size': 'TOLLGATE_DEVWORKER_BLOCK_SIZE',
  'max-num-seqs': 'TOLLGATE_DEVWORKER_MAX_SEQUENCES',
  'max-num-batched-tokens': 'TOLLGATE_DEVWORKER_MAX_BATCHED_TOKENS',
  register: 'TOLLGATE_DEVWORKER_REGISTER',
  advertise: 'TOLLGATE_DEVWORKER_ADVERTISE',
  'log-level': 'LOG_LEVEL',
} as const;

export const USAGE = `devworker: a vLLM look-alike that needs no GPU.

usage: devworker [flags]        every flag has a variable; flags win

  --host HOST --port PORT       TOLLGATE_DEVWORKER_LISTEN (127.0.0.1:8000; port 0: any free one)
  --dialect vllm|sglang         what it speaks (vllm)
  --model ID                    the model it answers for (Qwen/Qwen3-30B-A3B-FP8)
  --embedding-model ID          also serve /v1/embeddings under this id
  --max-model-len N             tokens of prompt and answer together (32768)
  --thinking true|false         think when a request does not say (false)
  --speed X                     1: a real GPU's pace; 4: four times as fast (1)
  --gpu h100|h200               whose step times and memory (h100)
  --kv-tokens N                 size of the KV cache (the GPU's)
  --block-size N                tokens of a KV block (16)
  --max-num-seqs N              answers under way at once (256)
  --max-num-batched-tokens N    tokens computed in one step (8192)
  --register REDIS_URL          announce itself to routers there (not announced)
  --advertise URL               where routers reach it (where it listens)
  --log-level LEVEL             LOG_LEVEL (info)
  --check-config                print the configuration and exit
  --help                        this text

Faults: header x-devworker-fault, or POST /devworker/faults {"fault": "die;after=3"}.
State and counters: GET /devworker/state.
`;

/** This process's environment, for `main`. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Reads flags and variables. Bad ones are listed together and end the process with status 78. */
export function readConfig(argv: readonly string[], env: Environment): DevworkerConfig {
  const options = Object.fromEntries(
    [...Object.keys(FLAGS), 'host', 'port'].map((name) => [name, { type: 'string' as const }]),
  );
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({ args: [...argv], options: { ...options, 'check-config': { type: 'boolean' } } }));
  } catch (error) {
    throw new ConfigError([{ name: 'command line', message: (error as Error).message }]);
  }
  const merged: Environment = { ...env };
  for (const [name, variable] of Object.entries(FLAGS)) {
    if (typeof values[name] === 'string') merged[variable] = values[name];
  }
  if (values.host !== undefined || values.port !== undefined) {
    const host = String(values.host ?? '127.0.0.1');
    merged.TOLLGATE_DEVWORKER_LISTEN = `${host.includes(':') ? `[${host}]` : host}:${values.port ?? 8000}`;
  }
  return loadConfig('devworker', devworkerShape, argv, merged);
}
