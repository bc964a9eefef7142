/** A router as a process of its own, for tests that restart it or send it signals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { freePort } from '@tollgate/shared/testkit/ports';
import { BUCKETS, PEPPER, type Surroundings } from './router-kit.ts';

const SCRIPT = fileURLToPath(new URL('../../services/router/src/main.ts', import.meta.url));

export interface RouterProcess {
  readonly url: string;
  start(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Its exit code, once it is gone; null: a signal ended it. */
  exited(): Promise<number | null>;
  /** SIGTERM; its exit code. */
  stop(): Promise<number | null>;
}

/** Started, with a spool folder of its own that survives a restart. `env` adds variables. */
export async function startRouterProcess(
  around: Surroundings,
  workers: readonly string[],
  env: Record<string, string> = {},
): Promise<RouterProcess> {
  const port = await freePort();
  const spool = around.folder();
  let child: ChildProcess;
  const exited = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  };
  const router: RouterProcess = {
    url: `http://127.0.0.1:${port}`,
    async start() {
      child = spawn(process.execPath, ['--conditions=tollgate-source', SCRIPT], {
        env: childEnvironment({
          NODE_OPTIONS: undefined,
          REDIS_URL: around.redis.url,
          TOLLGATE_KEY_PEPPER: PEPPER,
          TOLLGATE_BUCKETS: String(BUCKETS),
          TOLLGATE_WORKERS: workers.join(','),
          TOLLGATE_ROUTER_LISTEN: `127.0.0.1:${port}`,
          TOLLGATE_SPOOL_DIR: spool,
          TOLLGATE_PROBE_MS: '100',
          TOLLGATE_CONFIRM_MS: '50',
          TOLLGATE_REDIS_DEADLINE_MS: '10000',
          LOG_LEVEL: 'error',
          ...env,
        }),
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      const started = child;
      await Promise.race([
        once(started, 'message'),
        once(started, 'exit').then(() => {
          throw new Error('the router ended at once');
        }),
      ]);
    },
    signal: (name) => void child.kill(name),
    exited,
    stop() {
      router.signal('SIGTERM');
      return exited();
    },
  };
  await router.start();
  return router;
}
