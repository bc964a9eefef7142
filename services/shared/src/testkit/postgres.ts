/**
 * Real databases for tests: PGlite in this process (what a local start uses; one session, so races cannot show),
 * and PostgreSQL's own server where it is installed (`havePostgres`), for everything about concurrency.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { dyingWithParent, findPostgres } from '../../src/runtime/binaries.mjs';
import { openPgliteServer } from '../runtime/pglite.ts';
import { childEnvironment } from './config.ts';
import { eventually } from './eventually.ts';
import { freePort } from './ports.ts';

export interface TestDatabase {
  /** Connection URL of an empty database. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface TestPostgres extends TestDatabase {
  /** Creates one more empty database on the same server and returns its URL. */
  createDatabase(): Promise<string>;
  /** SIGKILL of the whole server, then start again on the same folder: a crash with recovery. */
  crash(): Promise<void>;
}

/** An empty PGlite in memory, served on a free loopback port. Takes about half a second and some 300 MB. */
export async function startPglite(): Promise<TestDatabase> {
  const server = await openPgliteServer({ loadDataDir: await emptyCluster(), listen: { host: '127.0.0.1', port: 0 } });
  return { url: server.url, stop: () => server.close() };
}

/** What initdb makes, 1.5 s of a core for each PGlite, is made once for each version and kept beside the packages. */
async function emptyCluster(): Promise<Blob> {
  const packageFile = join(dirname(fileURLToPath(import.meta.resolve('@electric-sql/pglite'))), '..', 'package.json');
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  const folder = fileURLToPath(new URL('../../../../node_modules/.cache/tollgate/', import.meta.url));
  const file = join(folder, `pglite-${version}.tar`);
  if (existsSync(file)) return new Blob([readFileSync(file)]);
  const fresh = await PGlite.create();
  const dump = await fresh.dumpDataDir('none');
  await fresh.close();
  mkdirSync(folder, { recursive: true });
  // Renamed when whole: another process, or this one killed half-way, never leaves a part for the next.
  writeFileSync(`${file}.${process.pid}`, new Uint8Array(await dump.arrayBuffer()));
  renameSync(`${file}.${process.pid}`, file);
  return dump;
}

/** Whether `startPostgres` can work on this machine. */
export function havePostgres(): boolean {
  return findPostgres() !== null;
}

/** Ids of an account that may run the server: PostgreSQL refuses root. */
function serverAccount(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const account = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  return account ? { uid: Number(account[2]), gid: Number(account[3]) } : { uid: 65_534, gid: 65_534 };
}

export interface PostgresOptions {
  /** Folder of its programs and what they need to run; the machine's own unless told. */
  program?: { folder: string; env: Record<string, string> };
  /** `name=value`, over the tests' own. */
  settings?: readonly string[];
}

/** A fresh PostgreSQL server in a temporary folder, without fsync. Throws where no server is installed. */
export async function startPostgres({ program, settings: more = [] }: PostgresOptions = {}): Promise<TestPostgres> {
  const found = program ?? findPostgres();
  if (!found) throw new Error('no PostgreSQL server found: install Debian package postgresql');
  const account = serverAccount();
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-postgres-'));
  if (account) chownSync(dir, account.uid, account.gid);
  const data = join(dir, 'data');
  const env = childEnvironment({ ...found.env, LC_ALL: 'C', TZ: 'UTC' });
  const options = { cwd: dir, env, ...account };
  const port = await freePort();
  const base = `postgres://postgres@127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  let databases = 0;

  const initArgs = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions'];
  await promisify(execFile)(join(found.folder, 'initdb'), initArgs, options);

  async function start(): Promise<void> {
    const settings = [
      `port=${port}`,
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${dir}`,
      'fsync=off',
      'full_page_writes=off',
      'shared_buffers=64MB',
      'max_connections=200',
      ...more,
    ];
    const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    const line = dyingWithParent(join(found!.folder, 'postgres'), args, 'TERM');
    const started = spawn(line.command, line.args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    started.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2000);
    });
    child = started;
    await Promise.race([
      eventually('PostgreSQL accepts connections', () => query('SELECT 1').then(() => true), { everyMs: 30 }),
      once(started, 'exit').then(() => {
        throw new Error(`postgres ended at once: ${output.trim()}`);
      }),
    ]);
  }

  async function query(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: `${base}/postgres`, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {});
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, 'exit');
    running.kill(signal);
    await gone;
  }

  await start();
  return {
    url: `${base}/postgres`,
    async createDatabase() {
      const name = `test_${++databases}`;
      await query(`CREATE DATABASE ${name}`);
      return `${base}/${name}`;
    },
    async crash() {
      await end('SIGKILL');
      // Backends of a killed postmaster end by themselves; a new one refuses the folder until they have.
      rmSync(join(data, 'postmaster.pid'), { force: true });
      await eventually('the crashed server restarts', () => start().then(() => true), { everyMs: 100 });
    },
    async stop() {
      // SIGINT is PostgreSQL's fast shutdown: ends sessions, leaves nothing behind.
      await end('SIGINT');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
