/** Everything `tollgate doctor` looks at. Each check stands alone: one that fails hides no other. */
import { openDatabase } from '@tollgate/shared/db/client';
import { pendingMigrations } from '@tollgate/shared/db/migrate';
import type { Context } from '../context.ts';
import { CliError } from '../output.ts';
import { type Check, failed, passed } from './check.ts';
import { checkNode } from './node.ts';
import { checkPublic, type PublicTarget } from './public.ts';
import { checkRedis } from './redis.ts';
import { checkWorker } from './worker.ts';

const LIMIT_MS = 5_000;
/** A fleet is alike: so many of its workers are examined one by one. */
const EXAMINED_MOST = 16;

export interface DoctorOptions {
  /** Examine the workers themselves; costs each a few dozen tokens. */
  workers: boolean;
  /** A stream and a plain request through this public address; null: none. */
  stream: PublicTarget | null;
}

export async function runChecks(context: Context, options: DoctorOptions): Promise<Check[]> {
  const backend = context.backend();
  const groups = await Promise.all([
    [checkNode(process.versions.node)],
    checkRedis(backend.redisUrl, backend.redisDeadlineMs),
    checkPostgres(backend.databaseUrl),
    checkReady('router', backend.routerUrl, 'set TOLLGATE_ROUTER_URL, or run npm start'),
    // Only those who run metering beside them know its address; its work shows in the other checks too.
    backend.meteringUrl === null ? [] : checkReady('metering', backend.meteringUrl, ''),
    checkReady('console', backend.consoleUrl, 'set TOLLGATE_CONSOLE_URL, or run npm start'),
    checkWorkers(context, options.workers),
    options.stream === null ? [] : checkPublic(options.stream),
  ]);
  return groups.flat();
}

async function checkPostgres(url: string | null): Promise<Check[]> {
  if (url === null) return [failed('postgres', 'no address', 'set DATABASE_URL, or run npm start')];
  const db = openDatabase({ url, poolMax: 1, applicationName: 'tollgate-doctor', connectTimeoutMs: LIMIT_MS });
  try {
    const pending = await pendingMigrations(db);
    const schema =
      pending.length === 0
        ? passed('postgres migrations', 'up to date')
        : failed('postgres migrations', `${pending.length} not applied: ${pending.join(', ')}`, 'run tollgate migrate');
    return [passed('postgres', 'answers'), schema];
  } catch {
    return [failed('postgres', 'cannot be reached', 'start it, or correct DATABASE_URL')];
  } finally {
    await db.destroy();
  }
}

/** `/readyz` of a service, whose address may end in an API path. */
async function checkReady(name: string, url: string | null, noAddress: string): Promise<Check[]> {
  if (url === null) return [failed(name, 'no address', noAddress)];
  try {
    const response = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(LIMIT_MS) });
    if (response.ok) return [passed(name, `ready at ${url}`)];
    return [failed(name, `answers ${response.status} at ${url}`, `read the log of the ${name}: it is not ready`)];
  } catch {
    return [failed(name, `cannot be reached at ${url}`, `start the ${name} (npm start)`)];
  }
}

async function checkWorkers(context: Context, examine: boolean): Promise<Check[]> {
  try {
    const { data } = await context.console().listWorkers();
    const ready = data.filter((worker) => worker.state === 'ready' && !worker.breakerOpen);
    if (ready.length > 0) {
      const examined = examine ? ready.slice(0, EXAMINED_MOST) : [];
      const each = await Promise.all(examined.map(({ url }) => checkWorker(url)));
      return [passed('workers', `${ready.length} of ${data.length} ready`), ...each.flat()];
    }
    return [failed('workers', `none of ${data.length} is ready`, 'start a worker and name it in TOLLGATE_WORKERS')];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [failed('workers', error.message, 'the console tells about workers: make it answer first')];
  }
}
