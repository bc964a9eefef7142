/**
 * Loads XGrammar 0.1.27 (the workers' grammar engine, built as WebAssembly) into this thread.
 * The package ships one UMD file that its package.json calls an ES module, and that asks for `require` and `__filename`:
 * neither import nor require can load it. So its text is compiled as the body of a CommonJS module; nothing is put on `globalThis`.
 *
 * One WebAssembly instance per thread. An abort inside it ("Aborted()") leaves it unusable: whoever feeds it input that is not
 * known to be good runs it in a worker thread and replaces the thread.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { compileFunction } from 'node:vm';

/** What must be freed by hand: the memory lies in the WebAssembly heap. */
export interface Disposable {
  dispose(): void;
}

export interface GrammarMatcher extends Disposable {
  acceptToken(tokenId: number): boolean;
  /** One bit per token, 32 to an int; a set bit may come next. */
  getNextTokenBitmask(): Promise<Int32Array>;
  isTerminated(): boolean;
  reset(): void;
}

export interface GrammarCompiler extends Disposable {
  compileJSONSchema(
    schema: string,
    anyWhitespace?: boolean,
    indent?: number,
    separators?: [string, string],
    strictMode?: boolean,
  ): Promise<Disposable>;
  compileGrammar(grammar: Disposable): Promise<Disposable>;
  compileBuiltinJSONGrammar(): Promise<Disposable>;
}

export interface XGrammar {
  Grammar: {
    fromEBNF(text: string, rootRule?: string): Promise<Disposable>;
    fromStructuralTag(tag: { format: { type: string; [key: string]: unknown } }): Promise<Disposable>;
    fromJSONSchema(
      schema: string,
      anyWhitespace?: boolean,
      indent?: number,
      separators?: [string, string],
      strictMode?: boolean,
      maxWhitespaceCnt?: number,
    ): Promise<Disposable>;
  };
  GrammarCompiler: {
    createGrammarCompiler(
      tokenizer: Disposable,
      cacheEnabled?: boolean,
      cacheLimitBytes?: number,
    ): Promise<GrammarCompiler>;
  };
  GrammarMatcher: {
    createGrammarMatcher(
      compiled: Disposable,
      overrideStopTokens?: number[] | number,
      terminateWithoutStopToken?: boolean,
    ): Promise<GrammarMatcher>;
  };
  TokenizerInfo: {
    createTokenizerInfo(
      encodedVocab: string[],
      vocabType: 'raw' | 'byte_fallback' | 'byte_level',
      prependSpaceInTokenization: boolean,
      vocabSize?: number,
      stopTokenIds?: number[] | number,
    ): Promise<Disposable>;
  };
  Testings: {
    _jsonSchemaToEBNF(
      schema: string,
      anyWhitespace?: boolean,
      indent?: number,
      separators?: [string, string],
      strictMode?: boolean,
    ): Promise<string>;
    isGrammarAcceptString(grammar: Disposable, input: string): Promise<boolean>;
  };
}

/** The release whose behaviour `docs/structured-output.md` and the tests speak of. */
export const XGRAMMAR_WASM_VERSION = '0.1.27';

let loaded: XGrammar | undefined;

/** This thread's XGrammar; reads and compiles the package's file on the first call (about 1 MB). */
export function loadXGrammar(): XGrammar {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  const file = require.resolve('@mlc-ai/web-xgrammar');
  const module = { exports: {} as Record<string, unknown> };
  const body = compileFunction(
    // The one dynamic import in it (of a built-in) would need a loader callback, which Jest's contexts do not have.
    readFileSync(file, 'utf8').replaceAll("await import('module')", "require('module')"),
    ['require', '__filename', '__dirname', 'module', 'exports'],
    { filename: file },
  );
  body.call(module.exports, createRequire(file), file, dirname(file), module, module.exports);
  loaded = module.exports as unknown as XGrammar;
  return loaded;
}
