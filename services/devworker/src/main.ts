/**
 * devworker: one process that answers like one GPU worker running vLLM 0.29, without a GPU.
 *
 * What is real: the HTTP surface (recorded from a real vLLM and replayed by a test), the engine's behaviour under load
 * (continuous batching, chunked prefill, prefix cache, preemption, step times of an H100), a byte-level BPE, XGrammar
 * for JSON schemas, regular expressions and grammars, aborts, metrics. What is made up: the text, by a seeded grammar of
 * English sentences.
 *
 *   devworker --port 8000 --speed 4
 *   curl localhost:8000/v1/chat/completions -H 'content-type: application/json' \
 *     -d '{"messages":[{"role":"user","content":"Tell me about bread"}]}'
 *
 * Where to look: `http/server.ts` (requests in), `http/chat.ts` (a chat from body to last byte), `engine/engine.ts`
 * (the model of the engine, also for virtual time), `generation/` (what is said), `grammar/` (XGrammar in its thread),
 * `dialects/` (what goes over the wire), `http/faults.ts` (how to make it fail). In-process: `startDevworker` in app.ts.
 */
import { createRedis, waitUntilReady } from '@tollgate/shared/redis/client';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { Registrar } from '@tollgate/shared/redis/registrar';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { type Environment, exitOnConfigError } from '@tollgate/shared/runtime/config';
import { createLifecycle, type Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { optionsOf, startDevworker } from './app.ts';
import { type DevworkerConfig, processEnvironment, readConfig, USAGE } from './config.ts';

/** Connections that are still open after this are cut: a worker that is told to stop aborts, as vLLM does. */
const GRACE_MS = 2_000;
/** Routers forget an announced worker so long after its last word. */
const TTL_MS = 15_000;

function readConfigOrExit(argv: readonly string[], env: Environment): DevworkerConfig {
  try {
    return readConfig(argv, env);
  } catch (error) {
    exitOnConfigError('devworker', error);
    throw error;
  }
}

/** Runs one worker until SIGTERM or SIGINT. Bad configuration ends the process with status 78. */
export async function main(argv: readonly string[], env: Environment): Promise<void> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE);
    return;
  }
  const config = readConfigOrExit(argv, env);
  const logger = createLogger({ service: 'devworker', level: config.LOG_LEVEL });
  const lifecycle = createLifecycle({ logger, graceMs: GRACE_MS });
  const running = lifecycle.run();
  try {
    const worker = await startDevworker(optionsOf(config));
    lifecycle.defer('server', () => worker.close());
    if (config.TOLLGATE_DEVWORKER_REGISTER) announce(config, config.TOLLGATE_DEVWORKER_REGISTER, worker.url, lifecycle);
    logger.info({ url: worker.url, model: config.TOLLGATE_DEVWORKER_MODEL }, 'listening');
    // A supervisor that started this process with an IPC channel waits for this word.
    process.send?.({ ready: true });
  } catch (error) {
    await lifecycle.fail(error);
  }
  await running;
}

/** Tells routers through Redis that this worker is there, for as long as it runs. */
function announce(config: DevworkerConfig, redisUrl: string, ownUrl: string, lifecycle: Lifecycle): void {
  const redis = createRedis({ url: redisUrl, name: 'devworker' });
  lifecycle.defer('redis', () => redis.disconnect());
  const registration = {
    url: config.TOLLGATE_DEVWORKER_ADVERTISE?.replace(/\/+$/, '') ?? ownUrl,
    engine: config.TOLLGATE_DEVWORKER_DIALECT,
  };
  const registrar = new Registrar(new FleetStore(redis), systemClock, { registration, ttlMs: TTL_MS });
  lifecycle.defer('announcement', () => registrar.withdraw());
  waitUntilReady(redis, lifecycle.signal).then(
    () => registrar.announce(),
    () => {},
  );
}

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
