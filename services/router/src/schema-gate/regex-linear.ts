/**
 * Matching in time linear in the text: a non-deterministic automaton run as a lazily built deterministic one. Customers' patterns
 * and a model's text meet in the router's own thread, where a backtracking engine could be made to run for minutes.
 */
import { type CharSet, has, WORD } from './charset.ts';
import { Lru } from './lru.ts';
import { PatternError, parseRegex, type RegexNode } from './regex-parse.ts';

export interface LinearRegex {
  /** Whether the pattern occurs anywhere in the text (JSON Schema's `pattern`). */
  test(text: string): boolean;
  /** Instructions: what it costs to keep and, at worst, per character. */
  readonly size: number;
}

/** Above this many instructions (repetitions are written out) a pattern is refused. */
export const MAX_INSTRUCTIONS = 20_000;
const MAX_STATES = 5_000;
/** Instruction visits allowed for one text that needs new states; beyond it the text counts as not matching. About 50 ms. */
const MAX_VISITS = 3_000_000;

type Op =
  | { op: 'set'; set: CharSet; next: number }
  | { op: 'split'; a: number; b: number }
  | { op: 'start' | 'end'; next: number }
  | { op: 'word'; negate: boolean; next: number }
  | { op: 'match' };

const compiled = new Lru<LinearRegex>(1_000, 200_000);

/** The matcher of a pattern, kept. Throws PatternError for what is not a regular expression or cannot be matched in linear time. */
export function linearRegex(source: string): LinearRegex {
  let regex = compiled.get(source);
  if (regex === undefined) {
    regex = compile(source);
    compiled.set(source, regex, regex.size);
  }
  return regex;
}

function compile(source: string): LinearRegex {
  const node = parseRegex(source);
  const { looks, rest } = leadingLooks(node);
  const checks = looks.map((look) => ({
    negate: look.negate,
    regex: new Automaton({ t: 'cat', parts: [{ t: 'start' }, look.node] }),
  }));
  const main = new Automaton(rest);
  const size = checks.reduce((sum, check) => sum + check.regex.size, main.size);
  return { size, test: (text) => checks.every((check) => check.regex.test(text) !== check.negate) && main.test(text) };
}

/** `^(?=A)(?!B)rest` as three automata that all start at 0; lookaheads anywhere else are refused. */
export function leadingLooks(node: RegexNode): {
  looks: Extract<RegexNode, { t: 'ahead' }>[];
  rest: RegexNode;
} {
  const parts = node.t === 'cat' ? node.parts : [node];
  const looks: Extract<RegexNode, { t: 'ahead' }>[] = [];
  let rest = node;
  if (parts[0]?.t === 'start') {
    let next = 1;
    for (; parts[next]?.t === 'ahead'; next++) looks.push(parts[next] as Extract<RegexNode, { t: 'ahead' }>);
    if (looks.length > 0) rest = { t: 'cat', parts: [{ t: 'start' }, ...parts.slice(next)] };
  }
  if (hasLook(rest) || looks.some((look) => hasLook(look.node))) {
    throw new PatternError('a lookahead that does not directly follow a leading "^"');
  }
  return { looks, rest };
}

function hasLook(node: RegexNode): boolean {
  if (node.t === 'ahead') return true;
  if (node.t === 'cat') return node.parts.some(hasLook);
  if (node.t === 'alt') return node.options.some(hasLook);
  return node.t === 'rep' && hasLook(node.node);
}

interface State {
  pcs: readonly number[];
  /** Whether the text may end here. */
  accepts: boolean;
  /** Matched already: the rest of the text does not matter. */
  matched: boolean;
  next: Map<number, State>;
}

class Automaton {
  readonly #ops: Op[] = [];
  readonly #states = new Map<string, State>();
  readonly #hasWord: boolean;
  #first: State | undefined;

  constructor(node: RegexNode) {
    const match = this.#add({ op: 'match' });
    this.#entry = this.#emit(node, match);
    this.#hasWord = this.#ops.some((op) => op.op === 'word');
  }
  readonly #entry: number;

  get size(): number {
    return this.#ops.length;
  }

  test(text: string): boolean {
    return this.#hasWord ? this.#simulate(text) : this.#run(text);
  }

  #add(op: Op): number {
    if (this.#ops.length >= MAX_INSTRUCTIONS) throw new PatternError('a repetition that is too large');
    return this.#ops.push(op) - 1;
  }

  /** Writes the node so that it goes on at `next`; returns where it starts. Built from the end, so every target exists. */
  #emit(node: RegexNode, next: number): number {
    switch (node.t) {
      case 'set':
        return this.#add({ op: 'set', set: node.set, next });
      case 'start':
      case 'end':
        return this.#add({ op: node.t, next });
      case 'word':
        return this.#add({ op: 'word', negate: node.negate, next });
      case 'cat':
        return node.parts.reduceRight((after, part) => this.#emit(part, after), next);
      case 'alt':
        return node.options
          .map((option) => this.#emit(option, next))
          .reduceRight((b, a) => this.#add({ op: 'split', a, b }));
      case 'rep':
        return this.#emitRepeat(node, next);
      case 'ahead':
        throw new PatternError('a lookahead');
    }
  }

  #emitRepeat({ node, min, max }: Extract<RegexNode, { t: 'rep' }>, next: number): number {
    let at = next;
    if (max === Number.POSITIVE_INFINITY) {
      const loop = { op: 'split' as const, a: -1, b: next };
      at = this.#add(loop);
      loop.a = this.#emit(node, at);
    } else {
      for (let i = min; i < max; i++) at = this.#add({ op: 'split', a: this.#emit(node, at), b: next });
    }
    for (let i = 0; i < min; i++) at = this.#emit(node, at);
    return at;
  }

  /** All instructions reachable without reading, given what stands left and right (undefined = the text's edge). */
  #closure(from: Iterable<number>, before: number | undefined, after: number | undefined | 'unknown'): number[] {
    const seen = new Set<number>();
    const stack = [...from];
    for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
      if (seen.has(pc)) continue;
      seen.add(pc);
      const op = this.#ops[pc]!;
      if (op.op === 'split') stack.push(op.b, op.a);
      else if (op.op === 'start' && before === undefined) stack.push(op.next);
      else if (op.op === 'end' && after === undefined) stack.push(op.next);
      else if (op.op === 'word' && after !== 'unknown' && (isWord(before) !== isWord(after)) !== op.negate) {
        stack.push(op.next);
      }
    }
    return [...seen];
  }

  #state(from: Iterable<number>, atStart: boolean): State {
    const before = atStart ? undefined : 0;
    const closed = this.#closure(from, before, 'unknown');
    const pcs = closed.filter((pc) => this.#ops[pc]!.op !== 'split').sort((a, b) => a - b);
    const key = `${atStart ? '^' : ''}${pcs.join(',')}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    if (this.#states.size >= MAX_STATES) {
      this.#states.clear();
      this.#first = undefined;
    }
    const isMatch = (list: number[]) => list.some((pc) => this.#ops[pc]!.op === 'match');
    const state: State = {
      pcs,
      matched: isMatch(pcs),
      accepts: isMatch(this.#closure(pcs, before, undefined)),
      next: new Map(),
    };
    this.#states.set(key, state);
    return state;
  }

  #run(text: string): boolean {
    this.#first ??= this.#state([this.#entry], true);
    let state = this.#first;
    let visits = 0;
    for (let i = 0; i < text.length; i++) {
      if (state.matched) return true;
      let code = text.charCodeAt(i);
      if (code >= 0xd800 && code < 0xdc00) {
        code = text.codePointAt(i)!;
        if (code > 0xffff) i++;
      }
      let next = state.next.get(code);
      if (next === undefined) {
        visits += state.pcs.length + 1;
        if (visits > MAX_VISITS) return false;
        next = this.#state(this.#step(state.pcs, code), false);
        if (state.next.size < 1_000) state.next.set(code, next);
      }
      state = next;
    }
    return state.matched || state.accepts;
  }

  /** Where reading `code` leads; the entry is added since a match may begin anywhere. */
  #step(pcs: readonly number[], code: number): Set<number> {
    const next = new Set<number>([this.#entry]);
    for (const pc of pcs) {
      const op = this.#ops[pc]!;
      if (op.op === 'set' && has(op.set, code)) next.add(op.next);
    }
    return next;
  }

  /** Without the cache of states: for `\b`, whose meaning depends on both neighbours. */
  #simulate(text: string): boolean {
    const codes = [...text].map((char) => char.codePointAt(0)!);
    let from = new Set<number>([this.#entry]);
    let visits = 0;
    for (let i = 0; i <= codes.length; i++) {
      const closed = this.#closure(from, codes[i - 1], codes[i]);
      if (closed.some((pc) => this.#ops[pc]!.op === 'match')) return true;
      visits += closed.length;
      if (visits > MAX_VISITS) return false;
      if (i < codes.length) from = this.#step(closed, codes[i]!);
    }
    return false;
  }
}

const isWord = (code: number | undefined): boolean => code !== undefined && has(WORD, code);
