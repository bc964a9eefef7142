/** The grammar thread: compiles constraints with XGrammar and decodes under them, one request after the other. */
import { parentPort } from 'node:worker_threads';
import { BYTE_ALPHABET } from '../model/bpe.ts';
import type { Constraint } from './constraint.ts';
import { type ByteMatcher, decode, STOP } from './decode.ts';
import { recordedMessage } from './differences.ts';
import { hasUnsupportedFeatures, prepareSchema, refusalOf028 } from './schema-lint.ts';
import { compilableTag } from './structural-tag.ts';
import { loadXGrammar, type XGrammarModule } from './xgrammar.ts';

export interface ThreadRequest {
  id: number;
  op: 'decode' | 'check';
  constraint: Constraint;
  seed: number;
  softLimit: number;
}

export type ThreadReply =
  /** Work on a request has begun: its time limit starts here, not while the thread itself starts. */
  | { id: number; begun: true }
  | { id: number; begun?: false; ok: true; text: string; complete: boolean }
  /** `unsupported`: on vLLM's own list. `fatal`: this thread is of no more use. */
  | { id: number; begun?: false; ok: false; message: string; unsupported: boolean; fatal: boolean };

const MAX_COMPILED = 128;
const MAX_ROLLBACK = 256;

/** What the WebAssembly instance printed last: its exceptions carry no text. */
let printed = '';
Object.assign(globalThis.console, {
  error(text: unknown) {
    printed += `${String(text)}\n`;
  },
});

interface Compiled {
  grammar: Awaited<ReturnType<XGrammarModule['GrammarCompiler']['prototype']['compileGrammar']>>;
  keys: ReadonlySet<string>;
  patterns: readonly string[];
  jsonAfter: string | undefined;
}

class Refused extends Error {
  readonly unsupported: boolean;
  constructor(message: string, unsupported: boolean) {
    super(message);
    this.unsupported = unsupported;
  }
}

const xgrammar = await loadXGrammar();
const vocabulary = [...BYTE_ALPHABET.charOf, '</s>'];
const tokenizerInfo = await xgrammar.TokenizerInfo.createTokenizerInfo(
  vocabulary,
  'byte_level',
  false,
  vocabulary.length,
  [STOP],
);
const compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(tokenizerInfo, false);
const compiled = new Map<string, Compiled>();

const NO_KEYS: ReadonlySet<string> = new Set();

function clock(): string {
  return `[${new Date().toISOString().slice(11, 19)}]`;
}

function parseSchema(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refused(`${clock()} <path>:4944: ${(error as Error).message}`, false);
  }
}

async function compile(constraint: Constraint): Promise<Compiled> {
  if (constraint.kind === 'json' || constraint.kind === 'json_object') {
    const source = constraint.kind === 'json' ? parseSchema(constraint.schema) : { type: 'object' };
    if (hasUnsupportedFeatures(source)) throw new Refused('', true);
    const refusal = refusalOf028(source);
    if (refusal !== undefined) throw new Refused(`${clock()} ${refusal}`, false);
    const { schema, keys, patterns } = prepareSchema(source);
    // White space as with `disable_any_whitespace`: one space after `,` and `:`, none elsewhere.
    const grammar = await compiler.compileJSONSchema(JSON.stringify(schema), false, -1, [', ', ': '], true);
    return { grammar, keys, patterns, jsonAfter: '' };
  }
  if (constraint.kind === 'regex') {
    const tag = { type: 'structural_tag', format: { type: 'regex', pattern: constraint.pattern } } as const;
    const grammar = await compiler.compileStructuralTag(tag);
    return { grammar, keys: NO_KEYS, patterns: [constraint.pattern], jsonAfter: undefined };
  }
  if (constraint.kind === 'choice') {
    const rule = constraint.choices.map((choice) => `(${JSON.stringify(choice)})`).join(' | ');
    return {
      grammar: await compiler.compileGrammar(`root ::= ${rule}`),
      keys: NO_KEYS,
      patterns: [],
      jsonAfter: undefined,
    };
  }
  if (constraint.kind === 'grammar') {
    return {
      grammar: await compiler.compileGrammar(constraint.ebnf),
      keys: NO_KEYS,
      patterns: [],
      jsonAfter: undefined,
    };
  }
  const grammar = await compiler.compileStructuralTag(compilableTag(constraint.tag));
  return { grammar, keys: NO_KEYS, patterns: [], jsonAfter: constraint.begin };
}

async function compiledFor(constraint: Constraint): Promise<Compiled> {
  const key = JSON.stringify(constraint);
  const known = compiled.get(key);
  if (known) return known;
  const fresh = await compile(constraint);
  if (compiled.size >= MAX_COMPILED) {
    for (const [oldest, entry] of compiled) {
      entry.grammar.dispose();
      compiled.delete(oldest);
      break;
    }
  }
  compiled.set(key, fresh);
  return fresh;
}

async function answer(request: ThreadRequest): Promise<ThreadReply> {
  const { id, constraint } = request;
  printed = '';
  try {
    if (constraint.kind === 'regex' && constraint.pattern === '') return { id, ok: true, text: '', complete: true };
    const { grammar, keys, patterns, jsonAfter } = await compiledFor(constraint);
    if (request.op === 'check') return { id, ok: true, text: '', complete: true };
    const inner = await xgrammar.GrammarMatcher.createGrammarMatcher(grammar, undefined, false, MAX_ROLLBACK);
    const flags = new Uint8Array(STOP + 1);
    const matcher: ByteMatcher = {
      accept: (token) => inner.acceptToken(token),
      rollback(count) {
        if (count > 0) inner.rollBack(count);
      },
      forced: () => inner.findJumpForwardString(),
      async allowed() {
        const mask = await inner.getNextTokenBitmask();
        for (let token = 0; token <= STOP; token++) flags[token] = (mask[token >> 5]! >>> (token & 31)) & 1;
        return flags;
      },
    };
    try {
      const { seed, softLimit } = request;
      const decoded = await decode(matcher, { seed, softLimit, jsonAfter, schemaKeys: keys, patterns });
      return { id, ok: true, ...decoded };
    } finally {
      inner.dispose();
    }
  } catch (error) {
    if (error instanceof Refused)
      return { id, ok: false, message: error.message, unsupported: error.unsupported, fatal: false };
    const source = constraint.kind === 'json' ? constraint.schema : '';
    const first = printed.split('\n').find((line) => line.startsWith('[FATAL]')) ?? 'internal error';
    return { id, ok: false, message: `${clock()} ${recordedMessage(first, source)}`, unsupported: false, fatal: true };
  }
}

let last: Promise<void> = Promise.resolve();
parentPort!.on('message', (request: ThreadRequest) => {
  last = last.then(async () => {
    parentPort!.postMessage({ id: request.id, begun: true } satisfies ThreadReply);
    parentPort!.postMessage(await answer(request));
  });
});
