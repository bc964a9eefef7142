/**
 * Reads the Lua scripts from their files and runs them by digest.
 *
 * A script file begins with a header that says what it does and names its KEYS, ARGV and answer; parts shared between
 * scripts lie in `scripts/includes` and are put in place of a line `--- @include name`.
 */
import { createHash } from 'node:crypto';
import { listSharedAssets, readSharedAsset } from '../runtime/assets.ts';

export interface LuaScript {
  name: string;
  text: string;
  sha: string;
  /** Number of keys that it takes; null = told by the caller (`KEYS: ... *` in the header). */
  keyCount: number | null;
}

/** The two commands that a script needs of a client; both ioredis's `Redis` and `Cluster` have them. */
export interface ScriptClient {
  evalsha(sha: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
  eval(text: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
}

const FOLDER = 'redis/scripts';
const INCLUDE = /^--- @include (\S+)\s*$/gm;

/** Text of a script with its includes in place. Throws when the header lacks a part. */
export function loadScript(name: string): LuaScript {
  return compileScript(name, readSharedAsset(`${FOLDER}/${name}.lua`));
}

/** As `loadScript`, from text. */
export function compileScript(name: string, source: string): LuaScript {
  for (const part of ['KEYS:', 'ARGV:', 'RETURNS:']) {
    if (!source.includes(`\n--- ${part}`)) throw new Error(`script ${name}: header has no line "--- ${part}"`);
  }
  const text = source.replace(INCLUDE, (_line, include: string) =>
    readSharedAsset(`${FOLDER}/includes/${include}.lua`).trimEnd(),
  );
  const keys = /^--- KEYS: (.*)$/m.exec(source)![1]!.trim();
  return {
    name,
    text,
    sha: createHash('sha1').update(text).digest('hex'),
    keyCount: keys.includes('*') ? null : keys === 'none' ? 0 : keys.split(/\s+/).length,
  };
}

/** Names of all scripts. */
export function scriptNames(): string[] {
  return listSharedAssets(FOLDER, '.lua').map((file) => file.slice(0, -'.lua'.length));
}

/**
 * Runs a script: EVALSHA, and EVAL where the server does not know it yet (after a restart, on another cluster node).
 * A script that answers NOSCRIPT has not run, so sending it again is safe.
 */
export async function runScript(
  client: ScriptClient,
  script: LuaScript,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  if (script.keyCount !== null && script.keyCount !== keys.length) {
    throw new Error(`script ${script.name} takes ${script.keyCount} keys, got ${keys.length}`);
  }
  try {
    return await client.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.eval(script.text, keys.length, ...keys, ...args);
  }
}
