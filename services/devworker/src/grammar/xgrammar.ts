/**
 * Loads XGrammar's WebAssembly build. The package is a UMD bundle marked as an ES module that wants CommonJS names;
 * it is given them for the time of its import. Load it in a worker thread only: a failed compilation can end the whole
 * WebAssembly instance ("Aborted()"), and then the thread has to go.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as XGrammar from '@mlc-ai/web-xgrammar';

export type XGrammarModule = typeof XGrammar;

export async function loadXGrammar(): Promise<XGrammarModule> {
  const path = fileURLToPath(import.meta.resolve('@mlc-ai/web-xgrammar'));
  const globals = globalThis as Record<string, unknown>;
  globals.require = createRequire(import.meta.url);
  globals.__filename = path;
  globals.__dirname = dirname(path);
  const module = (await import('@mlc-ai/web-xgrammar')) as unknown as Record<string, unknown>;
  const loaded = (globals.xgrammar ?? module.default ?? module) as XGrammarModule;
  if (typeof loaded.GrammarCompiler !== 'function') throw new Error('web-xgrammar did not load');
  return loaded;
}
