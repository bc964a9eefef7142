/**
 * Configuration from environment variables. A service declares one zod shape whose keys are the variable
 * names; everything wrong is reported together, before any port opens, with exit status 78 (EX_CONFIG).
 * Any variable NAME may be given as NAME_FILE instead, the path of a file holding the value.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { maskSecrets } from './logger.ts';

/** sysexits.h EX_CONFIG. */
export const EXIT_CONFIG = 78;

export type Environment = Record<string, string | undefined>;

export interface ConfigProblem {
  /** Name of the variable. */
  name: string;
  /** What is wrong; never contains the value. */
  message: string;
}

/** All problems of one configuration. `message` lists them one per line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = EXIT_CONFIG;
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => `${problem.name}: ${problem.message}`).join('\n'));
    this.problems = problems;
  }
}

const secrets = new WeakSet<object>();

/** Marks a variable whose value is never printed. */
export function secret<T extends z.ZodType>(schema: T): T {
  secrets.add(schema);
  return schema;
}

/** `host:port` (also `[::1]:port`, `:port` for all interfaces) -> its parts. Port 0 means any free port. */
export function listenAddress() {
  return z.string().transform((text, context): ListenAddress => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
    const port = match ? Number(match[3]) : Number.NaN;
    if (!match || port > 65_535) {
      context.addIssue({ code: 'custom', message: 'must be host:port, for example 127.0.0.1:8080' });
      return z.NEVER;
    }
    return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
  });
}

export interface ListenAddress {
  host: string;
  port: number;
}

/** An integer in a range, written in decimal. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .regex(/^-?\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));
}

/** `true/false`, `1/0`, `yes/no`, `on/off`. */
export function flag() {
  return z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] });
}

/** A comma-separated list; blanks around and empty parts are dropped. */
export function commaList() {
  return z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );
}

/** A URL with one of the given schemes, e.g. `redis`, `rediss`. The text is kept as written. */
export function urlOf(...schemes: string[]) {
  return z.string().refine((text) => URL.canParse(text) && schemes.includes(new URL(text).protocol.slice(0, -1)), {
    message: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });
}

export const redisUrl = () => urlOf('redis', 'rediss', 'valkey', 'valkeys');
export const postgresUrl = () => urlOf('postgres', 'postgresql');
export const httpUrl = () => urlOf('http', 'https');
export const logLevel = () => z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']);

/**
 * Reads the variables named by `shape`. An empty variable counts as absent.
 * @throws {ConfigError} with every problem found.
 */
export function parseConfig<S extends z.ZodRawShape>(shape: S, env: Environment): z.output<z.ZodObject<S>> {
  const problems: ConfigProblem[] = [];
  const raw = readVariables(shape, env, problems);
  const named = new Set(problems.map((problem) => problem.name));
  const result = z.object(shape).safeParse(raw);
  if (!result.success) {
    for (const issue of result.error.issues) {
      const name = String(issue.path[0] ?? 'configuration');
      if (named.has(name)) continue;
      named.add(name);
      problems.push({ name, message: raw[name] === undefined ? 'is required' : issue.message });
    }
  }
  if (problems.length > 0 || !result.success) throw new ConfigError(problems);
  return result.data as z.output<z.ZodObject<S>>;
}

/** The effective values as text, for people: secrets as `[redacted]`, passwords in URLs masked. */
export function redactedConfig<S extends z.ZodRawShape>(shape: S, env: Environment): Record<string, unknown> {
  const values = parseConfig(shape, env) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (value !== undefined && isSecret(shape[name])) return [name, '[redacted]'];
      return [name, typeof value === 'string' ? maskSecrets(value) : value];
    }),
  );
}

/**
 * `parseConfig` for a process's entry: on problems prints them and exits 78; with `--check-config` prints the
 * redacted configuration and exits 0. Call it before anything is opened.
 */
export function loadConfig<S extends z.ZodRawShape>(
  service: string,
  shape: S,
  argv: readonly string[],
  env: Environment,
): z.output<z.ZodObject<S>> {
  try {
    const config = parseConfig(shape, env);
    if (argv.includes('--check-config')) {
      // Money is a bigint here and a decimal string in JSON, as everywhere.
      const shown = (_name: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
      process.stdout.write(`${JSON.stringify(redactedConfig(shape, env), shown, 2)}\n`);
      process.exit(0);
    }
    return config;
  } catch (error) {
    exitOnConfigError(service, error);
    throw error;
  }
}

/** Prints a `ConfigError` and exits 78; returns for any other error. For checks beyond one variable. */
export function exitOnConfigError(service: string, error: unknown): void {
  if (!(error instanceof ConfigError)) return;
  const lines = error.problems.map((problem) => `  ${problem.name}: ${problem.message}\n`);
  process.stderr.write(`${service}: bad configuration (${lines.length})\n${lines.join('')}`);
  process.exit(EXIT_CONFIG);
}

function readVariables(shape: z.ZodRawShape, env: Environment, problems: ConfigProblem[]) {
  const raw: Record<string, string | undefined> = {};
  for (const name of Object.keys(shape)) {
    const value = env[name] || undefined;
    const file = env[`${name}_FILE`] || undefined;
    raw[name] = value;
    if (file === undefined) continue;
    if (value !== undefined) {
      problems.push({ name, message: `is given twice: as ${name} and as ${name}_FILE` });
      continue;
    }
    try {
      raw[name] = readFileSync(file, 'utf8').trim() || undefined;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'error';
      problems.push({ name, message: `${name}_FILE cannot be read (${code})` });
    }
  }
  return raw;
}

function isSecret(schema: unknown): boolean {
  for (let node = schema; typeof node === 'object' && node !== null; ) {
    if (secrets.has(node)) return true;
    const def = (node as { _zod?: { def?: { innerType?: unknown; in?: unknown } } })._zod?.def;
    node = def?.innerType ?? def?.in;
  }
  return false;
}
