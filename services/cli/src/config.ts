/** The command line's configuration: the only file of this package that reads environment variables. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  type Environment,
  listenAddress,
  logLevel,
  parseConfig,
  postgresUrl,
  redisUrl,
  secret,
} from '@tollgate/shared/runtime/config';
import type { LogLevel } from '@tollgate/shared/runtime/logger';
import { projectRoot } from '../../shared/src/runtime/binaries.mjs';
import { CliError, EXIT_CONFIG, EXIT_USAGE } from './output.ts';

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

/** What a running or last local start has written; null where there is none. */
export function devFile(cwd: string, env: Environment): DevFile | null {
  return readHomeJson<DevFile>('dev.json', cwd, env);
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
  /** What routers give a command, where it is told here. */
  redisDeadlineMs: number | undefined;
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
    redisDeadlineMs: Number(env.TOLLGATE_REDIS_DEADLINE_MS) || undefined,
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

export interface SidecarSettings {
  redisUrl: string;
  engineUrl: string;
  advertise: string;
  models: string[] | null;
  ttlMs: number;
  probeMs: number;
  drainMs: number;
  logLevel: LogLevel;
}

/** What `worker-sidecar` takes from its options and the environment. @throws CliError or ConfigError */
export function sidecarSettings(
  env: Environment,
  options: { engineUrl: string; advertise?: string; models?: string; ttl?: string; probe?: string; drain?: string },
): SidecarSettings {
  const { LOG_LEVEL, REDIS_URL } = parseConfig(
    { LOG_LEVEL: logLevel().default('info'), REDIS_URL: secret(redisUrl()) },
    env,
  );
  const baseUrl = (name: string, text: string): string => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && !url.search && !url.username)
      return url.origin;
    throw new CliError('usage', `${name} must be a base URL such as http://10.0.0.7:8000`, EXIT_USAGE);
  };
  const seconds = (name: string, text: string | undefined, standard: number): number => {
    const value = text === undefined ? standard : Number(text);
    if (value > 0 && value <= 86_400) return value * 1_000;
    throw new CliError('usage', `${name} must be a number of seconds above 0`, EXIT_USAGE);
  };
  const engineUrl = baseUrl('--engine-url', options.engineUrl);
  const models = (options.models ?? '')
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
  return {
    redisUrl: REDIS_URL,
    engineUrl,
    advertise: options.advertise === undefined ? engineUrl : baseUrl('--advertise', options.advertise),
    models: models.length === 0 ? null : models,
    ttlMs: seconds('--ttl', options.ttl, 15),
    probeMs: seconds('--probe', options.probe, 2),
    drainMs: seconds('--drain', options.drain, 900),
    logLevel: LOG_LEVEL,
  };
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
