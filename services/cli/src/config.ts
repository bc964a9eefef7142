/** The command line's configuration: the only file of this package that reads environment variables. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  type Environment,
  listenAddress,
  parseConfig,
  postgresUrl,
  redisUrl,
  secret,
} from '@tollgate/shared/runtime/config';
import { projectRoot } from '../../shared/src/runtime/binaries.mjs';
import { CliError, EXIT_CONFIG } from './output.ts';

/** The environment of this process; only `main.ts` calls it and hands the value on. */
export function environment(): Environment {
  return { ...process.env };
}

/** What `npm start` writes for people and scripts. Contract: these names, mode 0600. */
export interface DevFile {
  routerUrl: string;
  consoleUrl: string;
  metricsUrl: string;
  apiKey: string;
  adminToken: string;
  adminEmail: string;
  adminPassword: string;
}

/** Name of the folder that a local start keeps everything in. */
const HOME_NAME = '.tollgate';

/** Folder of the local start: TOLLGATE_HOME, else `.tollgate` in the project. */
export function homeFolder(env: Environment): string {
  return resolve(env.TOLLGATE_HOME || join(projectRoot, HOME_NAME));
}

/** The nearest `.tollgate/<file>` at or above `cwd` (TOLLGATE_HOME first); null when there is none. */
export function findInHome(file: string, cwd: string, env: Environment): string | null {
  if (env.TOLLGATE_HOME) {
    const path = join(resolve(env.TOLLGATE_HOME), file);
    return existsSync(path) ? path : null;
  }
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const path = join(folder, HOME_NAME, file);
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) return null;
  }
}

/** JSON of a file of the local start, or null when there is none or it is damaged. */
export function readHomeJson<T>(file: string, cwd: string, env: Environment): T | null {
  const path = findInHome(file, cwd, env);
  if (path === null) return null;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return null;
  }
}

export interface ConsoleAccess {
  consoleUrl: string;
  adminToken: string;
}

/** Address and credential of the console: the two variables, else the local start found upward from `cwd`. */
export function consoleAccess(cwd: string, env: Environment): ConsoleAccess {
  const dev = readHomeJson<DevFile>('dev.json', cwd, env);
  const consoleUrl = env.TOLLGATE_CONSOLE_URL || dev?.consoleUrl;
  const adminToken = readSecret('TOLLGATE_ADMIN_TOKEN', env) || dev?.adminToken;
  if (consoleUrl && adminToken) return { consoleUrl: consoleUrl.replace(/\/+$/, ''), adminToken };
  throw new CliError(
    'no_console',
    'no local start found here (.tollgate/dev.json): run npm start, or set TOLLGATE_CONSOLE_URL and TOLLGATE_ADMIN_TOKEN',
    EXIT_CONFIG,
  );
}

/** What `dev` keeps for itself and for `doctor`, `migrate` and `usage import`: `.tollgate/state.json`, mode 0600. */
export interface DevState {
  version: 1;
  pepper: string;
  serviceToken: string;
  adminToken: string;
  adminEmail: string;
  adminPassword: string;
  /** The account and key that the first start made. */
  accountId?: string;
  keyId?: string;
  apiKey?: string;
  /** Ports as last used, so that a restart keeps them. */
  ports: Record<string, number>;
  /** Addresses of the running or last run services. */
  redisUrl?: string;
  databaseUrl?: string;
  meteringUrl?: string;
}

/** Addresses for the commands that look behind the console. Null where neither variable nor local start tells. */
export interface BackendAddresses {
  redisUrl: string | null;
  databaseUrl: string | null;
  meteringUrl: string | null;
  serviceToken: string | null;
  routerUrl: string | null;
  consoleUrl: string | null;
}

export function backendAddresses(cwd: string, env: Environment): BackendAddresses {
  const state = readHomeJson<DevState>('state.json', cwd, env);
  const dev = readHomeJson<DevFile>('dev.json', cwd, env);
  return {
    redisUrl: readSecret('REDIS_URL', env) || state?.redisUrl || null,
    databaseUrl: readSecret('DATABASE_URL', env) || state?.databaseUrl || null,
    meteringUrl: env.TOLLGATE_METERING_URL || state?.meteringUrl || null,
    serviceToken: readSecret('TOLLGATE_SERVICE_TOKEN', env) || state?.serviceToken || null,
    routerUrl: env.TOLLGATE_ROUTER_URL || dev?.routerUrl || null,
    consoleUrl: env.TOLLGATE_CONSOLE_URL || dev?.consoleUrl || null,
  };
}

function readSecret(name: string, env: Environment): string | undefined {
  if (env[name]) return env[name];
  const file = env[`${name}_FILE`];
  if (!file) return undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    throw new CliError('bad_configuration', `${name}_FILE cannot be read`, EXIT_CONFIG);
  }
}

const devShape = {
  REDIS_URL: secret(redisUrl()).optional(),
  DATABASE_URL: secret(postgresUrl()).optional(),
  TOLLGATE_ROUTER_LISTEN: listenAddress().optional(),
  TOLLGATE_CONSOLE_LISTEN: listenAddress().optional(),
  TOLLGATE_ROUTER_METRICS_LISTEN: listenAddress().optional(),
};

/** What a local start takes from the environment. @throws ConfigError with all problems. */
export function devSettings(env: Environment) {
  const values = parseConfig(devShape, env);
  return {
    redisUrl: values.REDIS_URL ?? null,
    databaseUrl: values.DATABASE_URL ?? null,
    routerListen: values.TOLLGATE_ROUTER_LISTEN ?? null,
    consoleListen: values.TOLLGATE_CONSOLE_LISTEN ?? null,
    metricsListen: values.TOLLGATE_ROUTER_METRICS_LISTEN ?? null,
  };
}

/** DATABASE_URL for `migrate`: the variable, else the local start's. */
export function migrationUrl(cwd: string, env: Environment): string {
  const { databaseUrl } = backendAddresses(cwd, env);
  if (databaseUrl) return databaseUrl;
  throw new CliError('bad_configuration', 'DATABASE_URL is required (or a local start: npm start)', EXIT_CONFIG);
}
