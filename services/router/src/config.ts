/** The router's configuration: the only place of this service that reads environment variables. */
import { hostname } from 'node:os';
import { KEPT_BODY_BYTES } from '@tollgate/shared/contracts/kept-body';
import {
  commaList,
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
import type { WorkerSpec } from './fleet/worker.ts';
import { modelRules } from './model-rules.ts';
import { passThroughList } from './passthrough/routes.ts';
import { POLICIES, type PolicyName } from './routing/policies/index.ts';

/** `http://host:port`, or `sglang=http://host:port`, comma-separated. */
function workerList() {
  return z.string().transform((text, context): WorkerSpec[] => {
    const specs: WorkerSpec[] = [];
    for (const part of text.split(',').map((entry) => entry.trim())) {
      if (part === '') continue;
      const match = /^(?:(vllm|sglang)=)?(https?:\/\/.+)$/.exec(part);
      const url = match && URL.canParse(match[2]!) ? new URL(match[2]!) : null;
      if (url === null || url.pathname !== '/' || url.search || url.username) {
        context.addIssue({
          code: 'custom',
          message: 'must be a list such as http://10.0.0.7:8000,http://10.0.0.8:8000',
        });
        return z.NEVER;
      }
      specs.push({ url: url.origin, engine: match![1] === 'sglang' ? 'sglang' : 'vllm', maxConcurrency: null });
    }
    return specs;
  });
}

/** `api.example.com=dottxt,chat.example.com=dmind` -> host name to contract. */
function hostList() {
  return commaList().transform((parts, context): Map<string, string> => {
    const hosts = new Map<string, string>();
    for (const part of parts) {
      const match = /^([a-z0-9.-]+)=([a-z][a-z0-9-]*)$/i.exec(part);
      if (match !== null) hosts.set(match[1]!.toLowerCase(), match[2]!);
      else context.addIssue({ code: 'custom', message: 'must be a list such as api.example.com=dottxt' });
    }
    return hosts;
  });
}

export const routerShape = {
  TOLLGATE_ROUTER_LISTEN: listenAddress().default({ host: '127.0.0.1', port: 8080 }),
  /** Port of its own for /metrics, /healthz, /readyz. */
  TOLLGATE_ROUTER_METRICS_LISTEN: listenAddress().optional(),
  /** Proxies before this router that may name the client's address, for keys that are bound to addresses. */
  TOLLGATE_ROUTER_TRUSTED_PROXIES: integer(0, 10).default(0),
  /** Stable name of this router; kept in the spool folder when not given. */
  TOLLGATE_ROUTER_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, 'must be 1 to 100 of letters, digits, . _ -')
    .optional(),
  REDIS_URL: secret(redisUrl()),
  TOLLGATE_KEY_PEPPER: secret(z.string().min(32, 'must be at least 32 characters')),
  TOLLGATE_BUCKETS: integer(1, 16_384).default(256),
  TOLLGATE_WORKERS: workerList().default([]),
  /** Requests of this router at one worker at the same time. */
  TOLLGATE_WORKER_CONCURRENCY: integer(1, 100_000).default(512),
  /** Where workers come from, besides the list above. */
  TOLLGATE_DISCOVERY: commaList()
    .pipe(z.array(z.enum(['redis', 'kubernetes'])))
    .default(['redis']),
  /** For `kubernetes`: a kubeconfig (else the pod's own account), the namespace (else its own), which slices, which port. */
  TOLLGATE_KUBECONFIG: z.string().min(1).optional(),
  TOLLGATE_KUBERNETES_NAMESPACE: z.string().min(1).optional(),
  TOLLGATE_KUBERNETES_SELECTOR: z.string().min(1).default('tollgate.io/engine'),
  TOLLGATE_KUBERNETES_PORT_NAME: z.string().min(1).default('http'),
  /** Routers tell each other what they sent where; off, each one sees its own requests alone. */
  TOLLGATE_SHARE_BOOKS: flag().default(true),
  /** What happened is told to the others within so many milliseconds, in one message. */
  TOLLGATE_SHARE_BOOKS_MS: integer(1, 1_000).default(15),
  /** How a worker is chosen. Ours by default; the others are there to compare. */
  TOLLGATE_ROUTING_POLICY: z.enum(Object.keys(POLICIES) as [PolicyName, ...PolicyName[]]).default('cost'),
  /** Folder of finished requests that Postgres does not have yet. */
  TOLLGATE_SPOOL_DIR: z.string().min(1),
  TOLLGATE_SPOOL_MAX_BYTES: integer(1_000_000).default(268_435_456),
  /** Metering's base URL and its token: the last resort for unconfirmed records at shutdown. */
  TOLLGATE_METERING_URL: httpUrl().optional(),
  TOLLGATE_SERVICE_TOKEN: secret(z.string().min(24, 'must be at least 24 characters')).optional(),
  /** Services behind this host: usage, receipts and files; vector stores. Without one its paths answer 503. */
  TOLLGATE_CONSOLE_URL: httpUrl().optional(),
  TOLLGATE_RETRIEVAL_URL: httpUrl().optional(),
  /** Worker endpoints that are opened, as a JSON list (docs/how-to/endpoints.md); none unless given. */
  TOLLGATE_PASS_THROUGH: passThroughList().default([]),
  TOLLGATE_SERVICE_TIMEOUT_MS: integer(100, 600_000).default(60_000),
  /** One call for passages (`rag_params`), and how many may run: in all, and of one account. */
  TOLLGATE_GROUND_TIMEOUT_MS: integer(10, 60_000).default(2_500),
  TOLLGATE_GROUND_CONCURRENCY: integer(1, 10_000).default(128),
  TOLLGATE_GROUND_PER_ACCOUNT: integer(1, 10_000).default(32),
  /** Base of the error pages that errors point to. */
  TOLLGATE_ERROR_DOCS_URL: z.string().default('/docs/errors'),
  /** Names of the contracts to serve; all of the folder when empty. */
  TOLLGATE_CONTRACTS: commaList().default([]),
  /** Folder of contract profiles; the product's own when absent. */
  TOLLGATE_CONTRACTS_DIR: z.string().min(1).optional(),
  /** `host=contract`, comma-separated: at that host the contract needs no prefix in its path. */
  TOLLGATE_CONTRACT_HOSTS: hostList().default(new Map()),
  TOLLGATE_BODY_LIMIT_BYTES: integer(1_024, 1_073_741_824).default(4_194_304),
  TOLLGATE_CREDIT_WAIT_MS: integer(0, 60_000).default(500),
  TOLLGATE_REDIS_DEADLINE_MS: integer(1, 60_000).default(50),
  TOLLGATE_OUTBOX_BOUND: integer(1).default(100_000),
  TOLLGATE_CONNECT_TIMEOUT_MS: integer(1, 600_000).default(1_000),
  TOLLGATE_FIRST_TOKEN_TIMEOUT_MS: integer(1).default(120_000),
  TOLLGATE_IDLE_TIMEOUT_MS: integer(1).default(60_000),
  TOLLGATE_PLAIN_TIMEOUT_MS: integer(1).default(600_000),
  TOLLGATE_TOTAL_TIMEOUT_MS: integer(1).default(1_800_000),
  TOLLGATE_EARLY_ANSWER_MS: integer(1).default(10_000),
  TOLLGATE_PING_MS: integer(1).default(15_000),
  TOLLGATE_SLOW_READER_MS: integer(1).default(60_000),
  TOLLGATE_CLIENT_BUFFER_BYTES: integer(16_384).default(1_048_576),
  /** The longest wait for a worker with room; a client may ask for less (`x-tollgate-max-queue-ms`). */
  TOLLGATE_QUEUE_MAX_MS: integer(0, 3_600_000).default(30_000),
  /** Requests that may wait in this router for one model, and of one account among them. */
  TOLLGATE_QUEUE_DEPTH: integer(0, 100_000).default(1_000),
  TOLLGATE_QUEUE_DEPTH_PER_ACCOUNT: integer(0, 100_000).default(200),
  /** Times of single models, and which of them start from zero workers: JSON, see `model-rules.ts`. */
  TOLLGATE_MODEL_RULES: modelRules().default({}),
  TOLLGATE_PROBE_MS: integer(10).default(1_000),
  TOLLGATE_HEARTBEAT_MS: integer(10).default(10_000),
  /** H of the money rules: a hold that could not be renewed for so long ends its stream. */
  TOLLGATE_HOLD_LOST_MS: integer(100).default(600_000),
  TOLLGATE_CONFIRM_MS: integer(10).default(1_000),
  /** Refuses readiness for so long before the port closes, so that balancers notice. */
  TOLLGATE_DRAIN_DELAY_MS: integer(0, 600_000).default(0),
  TOLLGATE_STOP_GRACE_MS: integer(0, 3_600_000).default(30_000),
  /** Answers kept under Idempotency-Keys: how long, and sealed bytes in Redis per answer and per account. */
  TOLLGATE_REPEAT_TTL_MS: integer(1_000, 604_800_000).default(86_400_000),
  TOLLGATE_REPEAT_ANSWER_BYTES: integer(1_024).default(4_194_304),
  TOLLGATE_REPEAT_ACCOUNT_BYTES: integer(1_024).default(16_777_216),
  /** Bodies that accounts have kept: of each one, and of all on their way to metering. */
  TOLLGATE_KEPT_BODY_BYTES: integer(1_024, 16_777_216).default(KEPT_BODY_BYTES),
  TOLLGATE_KEPT_BUFFER_BYTES: integer(1_024, 4_294_967_296).default(67_108_864),
  /** OpenTelemetry: spans go there when one of the two is set. */
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl().optional(),
  OTEL_SERVICE_NAME: z.string().min(1).default('tollgate-router'),
  OTEL_SDK_DISABLED: flag().default(false),
  /** Share of requests that are traced. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  TOLLGATE_ACCESS_LOG: z.enum(['all', 'errors', 'off']).default('all'),
  LOG_LEVEL: logLevel().default('info'),
};

export type RouterConfig = z.output<z.ZodObject<typeof routerShape>>;

/** Exits 78 with every problem listed; `--check-config` prints the redacted configuration and exits 0. */
export function readConfig(argv: readonly string[], env: Environment): RouterConfig {
  return loadConfig('router', routerShape, argv, env);
}

/** The variables of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Name of this machine, as the beginning of a router's id. */
export function machineName(): string {
  return (
    hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 60) || 'router'
  );
}

const CLOSING_MS = 5_000;

/** How long all stop steps together may take: the delay, the grace of requests and records, and closing. */
export function stopWithinMs(config: RouterConfig): number {
  return config.TOLLGATE_DRAIN_DELAY_MS + config.TOLLGATE_STOP_GRACE_MS + CLOSING_MS;
}
