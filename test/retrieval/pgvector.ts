/**
 * A PostgreSQL server with pgvector for the bench: the machine's own where it has the extension (Debian 13, PGDG), else
 * PostgreSQL 16.2 with pgvector 0.6.2 out of a Python package, installed once into the user's cache.
 */
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startPostgres, type TestPostgres } from '@tollgate/shared/testkit/postgres';
import { findPostgres } from '../../services/shared/src/runtime/binaries.mjs';
import { pgvectorFolder } from './config.ts';

/** The package that carries both; nothing else of it is used. */
const PACKAGE = 'pgserver==0.1.4';
const PYTHONS = ['python3', 'python3.12', 'python3.11'];
/** A server of an ordinary size, not the tests' small one. */
const SETTINGS = ['shared_buffers=512MB', 'maintenance_work_mem=64MB'];

const exec = promisify(execFile);

/** Whether `startPgvector` works here without installing anything. */
export function havePgvector(): boolean {
  const own = findPostgres();
  return (own !== null && hasVector(own.folder)) || existsSync(join(pgvectorFolder, 'ready'));
}

const hasVector = (bin: string): boolean => existsSync(join(shareOf(bin), 'extension', 'vector.control'));

/** @throws {Error} with one line that says why there is none here. */
export async function startPgvector(say: (text: string) => void): Promise<TestPostgres> {
  const own = findPostgres();
  if (own !== null && hasVector(own.folder)) {
    return startPostgres({ program: own, settings: SETTINGS });
  }
  const installed = await install(say);
  // The server's account cannot look into the cache of whoever runs this.
  const copy = mkdtempSync(join(tmpdir(), 'tollgate-pgvector-'));
  chmodSync(copy, 0o755);
  const remove = () => rmSync(copy, { recursive: true, force: true });
  try {
    for (const name of ['pgserver', 'pgserver.libs']) {
      cpSync(join(installed, name), join(copy, name), { recursive: true, verbatimSymlinks: true });
    }
    const program = { folder: join(copy, 'pgserver', 'pginstall', 'bin'), env: {} };
    const server = await startPostgres({ program, settings: SETTINGS });
    const stop = async () => {
      await server.stop();
      remove();
    };
    return { ...server, stop };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Debian keeps `share` apart from `lib`; elsewhere it lies beside `bin`. */
function shareOf(bin: string): string {
  const debian = /^(.*)\/usr\/lib\/postgresql\/(\d+)\/bin$/.exec(bin);
  return debian ? `${debian[1]}/usr/share/postgresql/${debian[2]}` : join(bin, '..', 'share', 'postgresql');
}

/** Folder of the installed Python packages. */
async function install(say: (text: string) => void): Promise<string> {
  const venv = join(pgvectorFolder, 'venv');
  const ready = join(pgvectorFolder, 'ready');
  if (!existsSync(ready)) {
    say(`installing PostgreSQL 16.2 with pgvector 0.6.2 into ${pgvectorFolder} (35 MB, once)`);
    mkdirSync(pgvectorFolder, { recursive: true });
    try {
      await exec(await python(), ['-m', 'venv', '--clear', venv]);
      const pip = ['install', '--no-input', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', PACKAGE];
      await exec(join(venv, 'bin', 'pip'), pip);
    } catch (error) {
      const why = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) || (error as Error).message;
      throw new Error(
        `no PostgreSQL with pgvector here: install Debian's postgresql-<version>-pgvector, or Python 3 with venv (${why})`,
      );
    }
    writeFileSync(ready, `${PACKAGE}\n`);
  }
  const lib = join(venv, 'lib');
  return join(lib, readdirSync(lib)[0]!, 'site-packages');
}

async function python(): Promise<string> {
  for (const name of PYTHONS) {
    const found = await exec(name, ['-c', 'import venv, ensurepip']).then(
      () => true,
      () => false,
    );
    if (found) return name;
  }
  throw new Error('no python3 with venv');
}
