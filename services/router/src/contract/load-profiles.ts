/** Reads contract profiles from their folder; everything wrong with any of them is told at once. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { isObject, type JsonObject } from './checks.ts';
import { compileProfile } from './compile-profile.ts';
import { ContractError, type ContractProfile } from './profile.ts';
import { type ProfileFile, profileFile } from './profile-file.ts';

/** The profiles that come with the product; the same folder from `src` and from `dist`. */
export const CONTRACTS_FOLDER = fileURLToPath(new URL('../../contracts/', import.meta.url));

export interface LoadOptions {
  folder?: string;
  /** Names of those to serve; all of the folder when absent. */
  names?: readonly string[];
  /** Base of the pages of error codes. */
  docsBase: string;
}

/** The profiles to serve, `openai` first (its path is the shortest), else by name. Throws ContractError. */
export function loadProfiles(options: LoadOptions): ContractProfile[] {
  const { files, problems } = readProfileFiles(options.folder ?? CONTRACTS_FOLDER);
  const names = options.names ?? [...files.keys()];
  if (names.length === 0) problems.push('no contract is to be served');
  const profiles: ContractProfile[] = [];
  for (const name of [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))) {
    const file = files.get(name);
    if (file === undefined) {
      if (!problems.some((problem) => problem.startsWith(`${name}: `))) problems.push(`${name}: no such contract`);
      continue;
    }
    try {
      profiles.push(compileProfile(file, options.docsBase));
    } catch (error) {
      if (!(error instanceof ContractError)) throw error;
      problems.push(...error.problems);
    }
  }
  const places = new Map<string, string>();
  for (const { name, basePath } of profiles) {
    const other = places.get(basePath);
    if (other !== undefined) problems.push(`${name}: its path ${basePath} is that of ${other}`);
    places.set(basePath, name);
  }
  if (problems.length > 0) throw new ContractError(problems);
  return profiles;
}

const rank = (name: string): number => (name === 'openai' ? 0 : 1);

/** All files of a folder by name, each merged over what it extends; and what is wrong with them. */
export function readProfileFiles(folder: string): { files: Map<string, ProfileFile>; problems: string[] } {
  const problems: string[] = [];
  const raw = new Map<string, JsonObject>();
  for (const entry of readdirSync(folder).sort()) {
    if (!['.yaml', '.yml', '.json'].includes(extname(entry))) continue;
    const name = basename(entry, extname(entry));
    try {
      const value: unknown = parse(readFileSync(join(folder, entry), 'utf8'));
      if (isObject(value)) raw.set(name, value);
      else problems.push(`${name}: the file is not an object`);
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message.split('\n')[0] : 'cannot be read'}`);
    }
  }
  const files = new Map<string, ProfileFile>();
  for (const name of raw.keys()) {
    const merged = withBase(name, raw, [], problems);
    if (merged === null) continue;
    const parsed = profileFile.safeParse(merged);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) problems.push(`${[name, ...issue.path].join('.')}: ${issue.message}`);
    } else if (parsed.data.name !== name) problems.push(`${name}: name: must be that of its file`);
    else files.set(name, parsed.data);
  }
  return { files, problems };
}

function withBase(
  name: string,
  raw: ReadonlyMap<string, JsonObject>,
  below: readonly string[],
  problems: string[],
): JsonObject | null {
  const own = raw.get(name)!;
  if (own.extends === undefined) return own;
  const base = String(own.extends);
  if (!raw.has(base) || base === name || below.includes(base)) {
    problems.push(`${name}: extends: there is no contract ${base} that does not extend this one`);
    return null;
  }
  const inherited = withBase(base, raw, [...below, name], problems);
  return inherited === null ? null : merge(inherited, own);
}

/** `over` on top of `under`, key by key; null takes a key away, lists are replaced. */
function merge(under: JsonObject, over: JsonObject): JsonObject {
  const merged: JsonObject = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const inherited = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isObject(value) ? merge(isObject(inherited) ? inherited : {}, value) : value;
  }
  return merged;
}
