/** The files that tidy checks look at: everything of the project that is kept, nothing that is made. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface SourceFile {
  /** Path from the project's root, with `/`. */
  path: string;
  text: string;
}

/** Folders that are made, not kept (all of them in .gitignore), and git's own. */
const MADE = new Set(['.git', 'node_modules', 'dist', '.tollgate', 'coverage']);
/** Larger files are data (recorded answers, vocabularies), never words of ours. */
const SIZE_LIMIT_BYTES = 1_000_000;
const BINARY = /\.(png|jpg|ico|gz|zst|woff2?|wasm|bin)$/;

/** Every kept text file below `root`, sorted by path. */
export function readProject(root: string): SourceFile[] {
  const files: SourceFile[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (MADE.has(entry.name) || BINARY.test(entry.name)) continue;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && statSync(join(root, path)).size <= SIZE_LIMIT_BYTES) {
        files.push({ path, text: readFileSync(join(root, path), 'utf8') });
      }
    }
  };
  walk('');
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}
