/** Writes docs/errors: `node --conditions=tollgate-source services/console/src/errors/write-pages.ts`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES, errorIndexMarkdown, errorPageMarkdown } from './pages.ts';

/** File name -> text of every page; a test compares them with what is committed. */
export function errorFiles(): Map<string, string> {
  return new Map([
    ['README.md', errorIndexMarkdown()],
    ...ERROR_CODES.map((code): [string, string] => [`${code}.md`, errorPageMarkdown(code)]),
  ]);
}

/** From src and from dist alike: four folders up. */
export const ERRORS_FOLDER = fileURLToPath(new URL('../../../../docs/errors/', import.meta.url));

if (import.meta.main) {
  mkdirSync(ERRORS_FOLDER, { recursive: true });
  for (const [name, text] of errorFiles()) writeFileSync(ERRORS_FOLDER + name, text);
}
