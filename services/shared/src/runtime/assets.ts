/**
 * Files that `tsc` does not copy (.lua, .sql, .json) stay in `src`. This module is one folder below
 * both `src` and `dist`, so one relative path finds them from either.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE_ROOT = new URL('../../src/', import.meta.url);

/** Absolute path of a file under `services/shared/src`, e.g. `redis/scripts/admit.lua`. */
export function sharedAssetPath(path: string): string {
  return fileURLToPath(new URL(path, SOURCE_ROOT));
}

/** Text of a file under `services/shared/src`. Throws when it does not exist. */
export function readSharedAsset(path: string): string {
  return readFileSync(sharedAssetPath(path), 'utf8');
}

/** File names directly inside a folder under `services/shared/src`, sorted, with the given ending. */
export function listSharedAssets(folder: string, ending: string): string[] {
  return readdirSync(sharedAssetPath(folder))
    .filter((name) => name.endsWith(ending))
    .sort();
}
