/**
 * The one process that owns the local start's database folder. Behind a lock file, because PGlite itself lets two
 * processes open one folder (tried), which no one should trust.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger, type Logger } from '@tollgate/shared/runtime/logger';
import { openPgliteServer } from '@tollgate/shared/runtime/pglite';
import { CliError } from '../output.ts';
import { takeLock } from './lock.ts';

const GRACE_MS = 20_000;

/** `--data DIR --port N`: serves the database on 127.0.0.1 until told to stop. Tells a supervisor `ready` over IPC. */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({ args: argv, options: { data: { type: 'string' }, port: { type: 'string' } } });
  if (!values.data || !values.port) throw new CliError('usage', 'pglite needs --data DIR and --port N', 2);
  const logger = createLogger({ service: 'pglite' });
  mkdirSync(dirname(values.data), { recursive: true });
  const lock = takeLock(`${values.data}.lock`);
  if (!lock.taken) throw new CliError('database_in_use', `another process (${lock.owner.pid}) owns ${values.data}`);
  const lifecycle = createLifecycle({ logger, graceMs: GRACE_MS });
  lifecycle.defer('lock', lock.release);
  const complete = `${values.data}.complete`;
  setIncompleteAside(values.data, complete, logger);
  const isNew = !existsSync(values.data);
  const server = await openPgliteServer({
    dataDir: values.data,
    listen: { host: '127.0.0.1', port: Number(values.port) },
  });
  lifecycle.defer('pglite', () => server.close());
  if (isNew) writeFileSync(complete, '');
  logger.info({ port: server.port, isNew }, 'database ready');
  process.send?.({ ready: true });
  await lifecycle.run();
}

/**
 * A first start that was killed leaves half a database, which PGlite would open and fail on for ever. Only a folder that
 * was once opened counts; another one is moved away, not deleted, for it may be somebody's after all.
 */
function setIncompleteAside(data: string, complete: string, logger: Logger): void {
  if (!existsSync(data) || existsSync(complete)) return;
  let aside = `${data}.incomplete`;
  for (let i = 1; existsSync(aside); i++) aside = `${data}.incomplete-${i}`;
  renameSync(data, aside);
  logger.warn({ aside }, 'the first start of the database was cut short; starting it anew');
}
