/** Reads docker-compose.yml as Compose would: merge keys, then `${...}` with the given environment. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface ComposeService {
  image: string;
  build?: { context: string; dockerfile: string };
  command?: string[];
  environment?: Record<string, string>;
  networks?: string[];
  volumes?: string[];
  ports?: string[];
  profiles?: string[];
  depends_on?: string[] | Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  stop_grace_period?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, unknown>;
}

/** A variable that the file demands and the environment lacks, with the file's own message. */
export class MissingVariable extends Error {}

type Env = Record<string, string | undefined>;

const VARIABLE = /\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?])([^}]*))?\})/g;

/** Compose's own rules: `:-` default, `:?` demand; with the colon an empty value counts as unset. */
export function interpolate(text: string, env: Env): string {
  return text.replace(VARIABLE, (whole, name: string | undefined, operator: string | undefined, word = '') => {
    if (name === undefined) return whole === '$$' ? '$' : whole;
    const value = env[name];
    const set = operator?.startsWith(':') ? Boolean(value) : value !== undefined;
    if (set || operator === undefined) return value ?? '';
    if (operator.endsWith('-')) return word;
    throw new MissingVariable(`${name}: ${word}`);
  });
}

function walk(node: unknown, env: Env): unknown {
  if (typeof node === 'string') return interpolate(node, env);
  if (Array.isArray(node)) return node.map((item) => walk(item, env));
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, walk(value, env)]));
}

/** The file before interpolation. */
export function rawCompose(path = 'docker-compose.yml'): ComposeFile {
  return parse(readFileSync(join(root, path), 'utf8'), { merge: true }) as ComposeFile;
}

/** @throws {MissingVariable} for the first demanded variable that is not set. */
export function loadCompose(env: Env, path?: string): ComposeFile {
  return walk(rawCompose(path), env) as ComposeFile;
}

/** All variables that the file names, with whether it demands them. */
export function variables(): Map<string, { required: boolean; message: string }> {
  const found = new Map<string, { required: boolean; message: string }>();
  for (const [, name, operator, word] of readFileSync(join(root, 'docker-compose.yml'), 'utf8').matchAll(VARIABLE)) {
    if (name === undefined) continue;
    const required = operator?.endsWith('?') ?? false;
    found.set(name, { required: required || (found.get(name)?.required ?? false), message: word ?? '' });
  }
  return found;
}

/** What infra/docker/make-env.sh writes, with fixed values. */
export const sampleEnv: Record<string, string> = {
  POSTGRES_PASSWORD: 'a1'.repeat(32),
  REDIS_PASSWORD: 'b2'.repeat(32),
  TOLLGATE_KEY_PEPPER: 'c3'.repeat(32),
  TOLLGATE_ADMIN_TOKEN: 'd4'.repeat(32),
  TOLLGATE_SERVICE_TOKEN: 'e5'.repeat(32),
  GRAFANA_ADMIN_PASSWORD: 'f6'.repeat(32),
};
