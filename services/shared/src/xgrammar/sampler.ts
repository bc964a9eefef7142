/**
 * A masked random sampler: documents drawn from a grammar one byte at a time, as a model with uniform taste would write them.
 * Its vocabulary is the 256 bytes and a stop token, so every spelling that the grammar admits can come out: what XGrammar lets
 * through here, it lets through in a worker.
 */
import type { Random } from '../runtime/random.ts';
import { type Disposable, type GrammarCompiler, loadXGrammar } from './loader.ts';

const STOP_TOKEN = 256;

/** XGrammar's "byte fallback" spelling of a one-byte token. */
const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** A JSON schema as text, an EBNF grammar with a rule `root`, or a regular expression for the whole text. */
export interface ConstraintText {
  kind: 'schema' | 'ebnf' | 'regex';
  text: string;
}

export interface SampleOptions {
  random: Random;
  /** Stop with `complete: false` beyond this many bytes. */
  maxBytes: number;
  /**
   * How strongly to head for the end once `windDownAfter` bytes are out: among the allowed bytes the closers `"`, `}`, `]`,
   * then `,` are preferred with this chance. Without it, unbounded strings never end.
   */
  windDownAfter?: number;
}

export interface Sample {
  text: string;
  /** False when `maxBytes` came first, or no byte was allowed (a grammar with a dead end). */
  complete: boolean;
}

const CLOSERS = [0x22, 0x7d, 0x5d];

export class GrammarSampler {
  readonly #compiler: GrammarCompiler;
  readonly #tokenizer: Disposable;

  private constructor(compiler: GrammarCompiler, tokenizer: Disposable) {
    this.#compiler = compiler;
    this.#tokenizer = tokenizer;
  }

  static async create(): Promise<GrammarSampler> {
    const xgrammar = loadXGrammar();
    const vocabulary = Array.from({ length: 256 }, (_, byte) => byteToken(byte));
    vocabulary.push('<stop>');
    const tokenizer = await xgrammar.TokenizerInfo.createTokenizerInfo(
      vocabulary,
      'byte_fallback',
      false,
      vocabulary.length,
      STOP_TOKEN,
    );
    return new GrammarSampler(await xgrammar.GrammarCompiler.createGrammarCompiler(tokenizer, false), tokenizer);
  }

  /** Compiles a JSON schema (compact form, strict mode, as the pinned workers do) or an EBNF grammar. Throws what XGrammar throws. */
  async compile(constraint: ConstraintText): Promise<Disposable> {
    if (constraint.kind === 'schema') {
      return this.#compiler.compileJSONSchema(constraint.text, false, -1, undefined, true);
    }
    const grammar = await (constraint.kind === 'ebnf' ? fromEbnf(constraint.text) : fromRegex(constraint.text));
    try {
      return await this.#compiler.compileGrammar(grammar);
    } finally {
      grammar.dispose();
    }
  }

  /** One document from a compiled grammar. */
  async sample(compiled: Disposable, options: SampleOptions): Promise<Sample> {
    const matcher = await loadXGrammar().GrammarMatcher.createGrammarMatcher(compiled);
    const bytes: number[] = [];
    const windDownAfter = options.windDownAfter ?? options.maxBytes / 2;
    const utf8 = new Utf8State();
    try {
      while (!matcher.isTerminated()) {
        if (bytes.length >= options.maxBytes) return { text: decode(bytes), complete: false };
        const next = pick(await matcher.getNextTokenBitmask(), utf8, bytes.length > windDownAfter, options.random);
        if (next === undefined || !matcher.acceptToken(next)) return { text: decode(bytes), complete: false };
        if (next === STOP_TOKEN) continue;
        bytes.push(next);
        utf8.push(next);
      }
      return { text: decode(bytes), complete: true };
    } finally {
      matcher.dispose();
    }
  }

  dispose(): void {
    this.#compiler.dispose();
    this.#tokenizer.dispose();
  }
}

const fromEbnf = (text: string) => loadXGrammar().Grammar.fromEBNF(text);
/** This build has no regular expressions of its own, but structural tags have. */
const fromRegex = (pattern: string) => loadXGrammar().Grammar.fromStructuralTag({ format: { type: 'regex', pattern } });

const decode = (bytes: number[]) => Buffer.from(bytes).toString('utf8');

/** Which byte may follow in well-formed UTF-8 (Unicode table 3-7): a tokenizer's text is that, a grammar's bytes need not be. */
class Utf8State {
  #left = 0;
  #low = 0x80;
  #high = 0xbf;

  allows(byte: number): boolean {
    if (this.#left > 0) return byte >= this.#low && byte <= this.#high;
    return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
  }

  push(byte: number): void {
    if (this.#left > 0) this.#left--;
    else this.#left = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
  }
}

function pick(mask: Int32Array, utf8: Utf8State, hurry: boolean, random: Random): number | undefined {
  const has = (token: number) => ((mask[token >> 5]! >>> (token & 31)) & 1) === 1;
  if (has(STOP_TOKEN) && (hurry || random.int(4) > 0)) return STOP_TOKEN;
  if (hurry || random.int(8) === 0) {
    const closer = CLOSERS.find(has);
    if (closer !== undefined && utf8.allows(closer) && (!hurry || random.int(16) > 0)) return closer;
  }
  // Plain ASCII three times of four: a byte drawn from all would make nearly every string a run of multi-byte characters.
  const allowed = collect(has, utf8, random.int(4) > 0 ? [0x20, 0x7f] : [0, 256]);
  const choice = allowed.length > 0 ? allowed : collect(has, utf8, [0, 256]);
  if (choice.length === 0) return has(STOP_TOKEN) ? STOP_TOKEN : undefined;
  return choice[random.int(choice.length)]!;
}

function collect(has: (token: number) => boolean, utf8: Utf8State, [from, to]: [number, number]): number[] {
  const bytes: number[] = [];
  for (let byte = from; byte < to; byte++) if (has(byte) && utf8.allows(byte)) bytes.push(byte);
  return bytes;
}
