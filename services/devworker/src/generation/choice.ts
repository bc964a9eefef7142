/**
 * One choice as it grows: tokens in, text out. Knows how tokens become characters (UTF-8 halves wait), where a
 * thought ends, stop strings (text that might begin one is held back), and when the answer is over.
 */
import { TOKEN, type Tokenizer } from '../model/bpe.ts';
import type { Job } from './job.ts';
import { END, type TokenPlan } from './plan.ts';

export type FinishReason = 'stop' | 'length' | 'repetition';

export interface ChoiceState {
  readonly index: number;
  /** Tokens generated so far; `ids` only while someone wants them. */
  count: number;
  ids: number[];
  reasoning: string;
  content: string;
  reasoningTokens: number;
  /** What the last token added, already without what must wait. */
  deltaReasoning: string;
  deltaContent: string;
  /** The last token that was fed. */
  lastId: number;
  finish: FinishReason | undefined;
  stopReason: string | number | null;
  /** Closed thought, or none at all. */
  inContent: boolean;
  /** Takes the next token of the plan. */
  step(): void;
}

const WHOLE = /\uFFFD/;

/** Per token: does it decode alone? Computed once per tokenizer. */
const wholeTokens = new WeakMap<Tokenizer, boolean[]>();

function wholeness(tokenizer: Tokenizer): boolean[] {
  let table = wholeTokens.get(tokenizer);
  if (!table) {
    table = Array.from({ length: tokenizer.vocabSize }, (_, id) => !WHOLE.test(tokenizer.textOf(id)));
    wholeTokens.set(tokenizer, table);
  }
  return table;
}

/** How many bytes at the end begin a character that is not complete yet (0 to 3). */
export function openTail(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const need = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return need > back ? back : 0;
    }
  }
  return 0;
}

function repeats(ids: readonly number[], rule: NonNullable<Job['repetition']>): boolean {
  for (let size = rule.minPatternSize; size <= rule.maxPatternSize; size++) {
    const span = size * rule.minCount;
    if (span > ids.length) break;
    let same = true;
    for (let i = ids.length - span + size; i < ids.length && same; i++) same = ids[i] === ids[i - size];
    if (same) return true;
  }
  return false;
}

export function createChoice(tokenizer: Tokenizer, job: Job, index: number, plan: TokenPlan): ChoiceState {
  const whole = wholeness(tokenizer);
  const holdBack = job.includeStop ? 0 : job.stop.reduce((most, text) => Math.max(most, text.length), 1) - 1;
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const nothing = new Uint8Array(0);
  /** Bytes of a character whose end has not come yet. */
  let half: Uint8Array = nothing;
  /** Text that is out of the decoder but might be the beginning of a stop string. */
  let held = '';

  function take(id: number): string {
    if (half.length === 0 && whole[id]) return tokenizer.textOf(id);
    const bytes = Buffer.concat([half, tokenizer.bytesOf(id)]);
    const tail = openTail(bytes);
    half = tail === 0 ? nothing : bytes.subarray(bytes.length - tail);
    return decoder.decode(bytes.subarray(0, bytes.length - tail));
  }

  /** Adds text; true when a stop string came. */
  function emit(text: string): boolean {
    if (job.stop.length === 0) {
      deliver(text);
      return false;
    }
    held += text;
    let cut = -1;
    let found = '';
    for (const stop of job.stop) {
      const at = held.indexOf(stop);
      if (at >= 0 && (cut < 0 || at < cut)) {
        cut = at;
        found = stop;
      }
    }
    if (cut >= 0 && state.count >= job.minTokens) {
      deliver(held.slice(0, job.includeStop ? cut + found.length : cut));
      held = '';
      state.stopReason = found;
      return true;
    }
    const ready = Math.max(0, held.length - holdBack);
    deliver(held.slice(0, ready));
    held = held.slice(ready);
    return false;
  }

  function deliver(text: string): void {
    if (text === '') return;
    if (state.inContent) {
      state.deltaContent += text;
      state.content += text;
    } else {
      state.deltaReasoning += text;
      state.reasoning += text;
    }
  }

  function flush(): void {
    const text = held + decoder.decode(half);
    half = nothing;
    held = '';
    deliver(text);
  }

  function finish(reason: FinishReason): void {
    state.finish = reason;
  }

  const state: ChoiceState = {
    index,
    count: 0,
    ids: [],
    reasoning: '',
    content: '',
    reasoningTokens: 0,
    deltaReasoning: '',
    deltaContent: '',
    lastId: -1,
    finish: undefined,
    stopReason: null,
    inContent: !job.thinking,
    step() {
      state.deltaReasoning = '';
      state.deltaContent = '';
      let id = plan.next();
      state.count++;
      if (id === END && (job.ignoreEos || (state.count < job.minTokens && job.constraint === undefined))) {
        // The sampler may not stop: the model goes on in its own words.
        id = plan.next();
      }
      state.lastId = id;
      state.ids.push(id);
      if (id === END && !job.ignoreEos) {
        flush();
        finish('stop');
        return;
      }
      if (job.stopTokenIds.length > 0 && job.stopTokenIds.includes(id) && state.count >= job.minTokens) {
        flush();
        state.stopReason = id;
        finish('stop');
        return;
      }
      if (id === TOKEN.endThink && !state.inContent) {
        flush();
        state.inContent = true;
      } else {
        if (!state.inContent) state.reasoningTokens++;
        if (emit(take(id))) {
          finish('stop');
          return;
        }
      }
      if (job.repetition && repeats(state.ids, job.repetition)) {
        flush();
        state.stopReason = 'repetition_detected';
        finish('repetition');
      } else if (state.count >= job.maxTokens) {
        flush();
        finish('length');
      }
    },
  };
  return state;
}
