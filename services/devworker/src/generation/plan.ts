/**
 * The tokens that a choice will produce, one by one, and what a biased or constrained sampler makes of them.
 * `next` is called once per engine step of the choice; it never waits.
 */
import { TOKEN, type Tokenizer } from '../model/bpe.ts';
import { answerWriter, thoughtWriter, topicsOf, type Writer } from '../model/language.ts';
import { drawFrom, hashText, mixInt } from '../model/seeded.ts';
import type { FixedText, Job } from './job.ts';

/** The end-of-turn token: the answer is over unless the sampler may not stop. */
export const END = TOKEN.imEnd;

/** From this bias on a token always wins against text, at minus this it never comes. */
const STRONG_BIAS = 30;

export interface TokenPlan {
  /** Next token id; END where the model would stop. May be asked again after END. */
  next(): number;
}

/** Seed of choice `index`: greedy decoding knows only the prompt, a seed repeats, else every request differs. */
export function seedOf(job: Job, index: number, fresh: number): number {
  const promptHash = hashText(job.promptText);
  if (job.temperature === 0) return mixInt(promptHash, index);
  if (job.seed === undefined) return mixInt(fresh, index);
  return mixInt(mixInt(promptHash, job.seed % 4_294_967_296), index * 7919 + 1);
}

function writerPlan(tokenizer: Tokenizer, writer: Writer, skip: (id: number) => boolean): TokenPlan {
  let ids: number[] = [];
  let at = 0;
  return {
    next() {
      for (;;) {
        while (at < ids.length) {
          const id = ids[at++]!;
          if (!skip(id)) return id;
        }
        const text = writer.next();
        if (text === undefined) return END;
        ids = tokenizer.encodePlain(text);
        at = 0;
      }
    },
  };
}

function listPlan(ids: readonly number[], after: number): TokenPlan {
  let at = 0;
  return { next: () => (at < ids.length ? ids[at++]! : after) };
}

function fixedPlan(tokenizer: Tokenizer, fixed: FixedText): TokenPlan {
  const ids = fixed.special ? tokenizer.encode(fixed.text) : tokenizer.encodePlain(fixed.text);
  return listPlan(ids, fixed.complete ? END : tokenizer.encodePlain(fixed.filler ?? ' ')[0]!);
}

/** A thought that always finds one more sentence. */
function endless(plan: TokenPlan): TokenPlan {
  return {
    next() {
      const id = plan.next();
      return id === END ? plan.next() : id;
    },
  };
}

/** A thought, `</think>`, then what follows it. */
function afterThought(thought: TokenPlan, rest: TokenPlan): TokenPlan {
  let thinking = true;
  return {
    next() {
      if (!thinking) return rest.next();
      const id = thought.next();
      if (id !== END) return id;
      thinking = false;
      return TOKEN.endThink;
    },
  };
}

/** The token that a strong positive bias forces, if there is one. */
function forcedToken(job: Job): number | undefined {
  let forced: number | undefined;
  let strongest = STRONG_BIAS;
  for (const [id, bias] of job.logitBias) {
    if (bias >= strongest) {
      strongest = bias;
      forced = id;
    }
  }
  return forced;
}

/**
 * Plan of one choice. `fixed` is a text that was decoded under a grammar beforehand (or a tool call); without it the
 * model writes freely.
 */
export function createPlan(tokenizer: Tokenizer, job: Job, seed: number, fixed: FixedText | undefined): TokenPlan {
  const forced = fixed === undefined ? forcedToken(job) : undefined;
  if (forced !== undefined) return { next: () => forced };
  const draw = drawFrom(seed ^ 0x9e3779b9);
  const allowed = job.allowedTokenIds;
  if (allowed && fixed === undefined) return { next: () => allowed[Math.floor(draw() * allowed.length)]! };
  const banned = new Set<number>();
  for (const [id, bias] of job.logitBias) if (bias <= -STRONG_BIAS) banned.add(id);
  for (const word of job.badWords) {
    for (const form of [word, ` ${word}`]) {
      const ids = tokenizer.encodePlain(form);
      if (ids.length > 0) banned.add(ids[ids.length - 1]!);
    }
  }
  const skip = (id: number) => banned.has(id);
  const topics = topicsOf(job.lastUserText);
  const rest =
    fixed === undefined ? writerPlan(tokenizer, answerWriter(seed, topics), skip) : fixedPlan(tokenizer, fixed);
  // A bias towards the end of the thought ends it before it begins.
  if (job.thinking && (job.logitBias.get(TOKEN.endThink) ?? 0) > 5) return afterThought(listPlan([], END), rest);
  if (!job.thinking) return rest;
  if (job.endlessThought) return endless(writerPlan(tokenizer, answerWriter(seed, topics), skip));
  return afterThought(writerPlan(tokenizer, thoughtWriter(seed, topics), skip), rest);
}
