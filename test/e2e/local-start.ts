/** A whole local start for tests: `npm start`'s own program, in a home folder of its own, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '@tollgate/shared/runtime/config';
import { childEnvironment } from '@tollgate/shared/testkit/config';

/** Content of `.tollgate/dev.json` (DESIGN section 10). */
export interface DevFile {
  routerUrl: string;
  consoleUrl: string;
  metricsUrl: string;
  apiKey: string;
  adminToken: string;
  adminEmail: string;
  adminPassword: string;
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface LocalStart {
  readonly dev: DevFile;
  readonly home: string;
  /** Runs `tollgate ...args` in the reach of this local start. */
  cli(...args: string[]): Promise<Finished>;
  /** `cli(..., '--json')` that must succeed; its parsed output. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever a command prints
  json(...args: string[]): Promise<any>;
  /** Process id of the supervisor (`tollgate dev` itself). */
  supervisorPid(): number;
  /** Ctrl-C; returns the exit status. */
  stop(): Promise<number | null>;
  /** Waits for the end of the process, however it comes. */
  readonly ended: Promise<number | null>;
}

export interface LocalStartOptions {
  /** A folder to start in again; a new temporary one when absent. */
  home?: string;
  /** Further options of `tollgate dev`. */
  args?: string[];
  env?: Environment;
}

const BOOTSTRAP = fileURLToPath(new URL('../../services/cli/bootstrap/', import.meta.url));
/** A first start unpacks a database and may wait for other tests' processes. */
const START_LIMIT_MS = 180_000;

const homes: string[] = [];
const running = new Set<ChildProcess>();

export function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'tollgate-home-'));
  homes.push(home);
  return home;
}

function launch(script: string, args: readonly string[], env: Environment) {
  const child = spawn(process.execPath, [join(BOOTSTRAP, script), ...args], {
    env: childEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const seen = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    seen.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    seen.stderr += chunk.toString();
  });
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, seen, ended };
}

/** Runs the command line to its end. `TOLLGATE_HOME` in `env` says which local start it belongs to. */
export async function runTollgate(args: readonly string[], env: Environment): Promise<Finished> {
  const { seen, ended } = launch('tollgate.mjs', args, env);
  return { code: await ended, ...seen };
}

/** Starts `npm start`'s program and lets it run to its end: for starts that must fail or find another one. */
export async function runStart(args: readonly string[], env: Environment): Promise<Finished> {
  const { seen, ended } = launch('start.mjs', args, env);
  return { code: await ended, ...seen };
}

/** Starts everything and waits until it has printed where it is. Fast workers unless `args` say otherwise. */
export async function startLocal({
  home = newHome(),
  args = [],
  env = {},
}: LocalStartOptions = {}): Promise<LocalStart> {
  const environment = { ...env, TOLLGATE_HOME: home };
  const all = ['--json', '--any-port', '--speed', '50', ...args];
  const { child, seen, ended } = launch('start.mjs', all, environment);
  let limit: NodeJS.Timeout | undefined;
  await Promise.race([
    (async () => {
      while (!seen.stdout.includes('\n')) await once(child.stdout, 'data');
    })(),
    ended.then((code) => {
      throw new Error(`the start ended with ${code}:\n${seen.stderr}`);
    }),
    new Promise((_, reject) => {
      limit = setTimeout(() => reject(new Error(`not started in time:\n${seen.stderr}`)), START_LIMIT_MS);
    }),
  ]).finally(() => clearTimeout(limit));
  const dev = JSON.parse(seen.stdout) as DevFile;
  const cli = (...words: string[]) => runTollgate(words, environment);
  return {
    dev,
    home,
    cli,
    async json(...words) {
      const { code, stdout, stderr } = await cli(...words, '--json');
      if (code !== 0) throw new Error(`tollgate ${words.join(' ')} ended with ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
    supervisorPid: () => (JSON.parse(readFileSync(join(home, 'dev.lock'), 'utf8')) as { pid: number }).pid,
    async stop() {
      child.kill('SIGINT');
      return ended;
    },
    ended,
  };
}

/** Ends what still runs and removes the homes: for `afterAll`. */
export async function cleanUp(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      const gone = once(child, 'close');
      child.kill('SIGINT');
      await gone;
    }),
  );
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true });
}
