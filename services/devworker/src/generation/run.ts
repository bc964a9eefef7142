/** Runs a job on the engine: one sequence per choice, block hashes that follow the text, abort. */
import type { BlockHash } from '../engine/blocks.ts';
import type { Engine, EngineFinish, Seen } from '../engine/engine.ts';
import type { Tokenizer } from '../model/bpe.ts';
import { hashText, mixInt } from '../model/seeded.ts';
import { type ChoiceState, createChoice } from './choice.ts';
import { continuedPlan } from './continued.ts';
import type { FixedText, Job } from './job.ts';
import type { TokenPlan } from './plan.ts';
import { createPlan, seedOf } from './plan.ts';

export interface RunListener {
  /** A choice has taken a token: its deltas are fresh. */
  onToken(choice: ChoiceState): void;
  /** A choice is over. `seen` is what the engine measured of it. */
  onChoiceEnd(choice: ChoiceState, reason: EngineFinish, seen: Seen): void;
  /** All choices are over. */
  onEnd(): void;
}

export interface Run {
  readonly choices: readonly ChoiceState[];
  /** Ends every choice now. */
  abort(): void;
}

/** A 52-bit hash chain over blocks of token ids: equal prefixes (and salts) have equal hashes. */
export function blockHashes(ids: readonly number[], blockSize: number, salt: string | undefined): BlockHash[] {
  const hashes: BlockHash[] = [];
  for (let from = 0; from + blockSize <= ids.length; from += blockSize) {
    appendBlock(hashes, ids.slice(from, from + blockSize), salt);
  }
  return hashes;
}

export interface RunOptions {
  engine: Engine;
  tokenizer: Tokenizer;
  job: Job;
  /** Per choice: text decoded beforehand under a grammar, or undefined for free text. */
  fixed: readonly (FixedText | undefined)[];
  /** Randomness for requests without a seed, 32 bits. */
  freshSeed: number;
  slowFactor?: number | undefined;
  listener: RunListener;
}

export function startRun(options: RunOptions): Run {
  const { engine, tokenizer, job, listener } = options;
  const { blockSize } = engine.stats();
  const shared = blockHashes(job.promptIds, blockSize, job.cacheSalt);
  const engineIds: number[] = [];
  let left = job.n;
  const choices: ChoiceState[] = [];
  for (let index = 0; index < job.n; index++) {
    const plan = planOf(tokenizer, job, seedOf(job, index, options.freshSeed), options.fixed[index]);
    choices.push(createChoice(tokenizer, job, index, plan));
  }
  for (const choice of choices) {
    const hashes = shared.slice();
    const prompt = job.promptIds.length;
    /** Tokens of the block that the answer is filling, from the prompt's last full block on. */
    const tail = job.promptIds.slice(shared.length * blockSize);
    engineIds.push(
      engine.submit(
        {
          promptTokens: prompt,
          blockHashes: hashes,
          outputTokens: job.maxTokens,
          priority: job.priority,
          ...(options.slowFactor === undefined ? {} : { slowFactor: options.slowFactor }),
        },
        {
          onToken() {
            choice.step();
            if (choice.lastId >= 0 && tail.push(choice.lastId) === blockSize) {
              appendBlock(hashes, tail, job.cacheSalt);
              tail.length = 0;
            }
            listener.onToken(choice);
            return choice.finish !== undefined;
          },
          onFinish(reason, seen) {
            listener.onChoiceEnd(choice, reason, seen);
            if (--left === 0) listener.onEnd();
          },
        },
      ),
    );
  }
  return {
    choices,
    abort() {
      for (const id of engineIds) engine.abort(id);
    },
  };
}

function planOf(tokenizer: Tokenizer, job: Job, seed: number, fixed: FixedText | undefined): TokenPlan {
  const whole = (each: Job) => createPlan(tokenizer, each, seed, fixed);
  if (job.continued === undefined || fixed !== undefined) return whole(job);
  return continuedPlan(tokenizer, job, job.continued, whole) ?? whole(job);
}

function appendBlock(hashes: BlockHash[], block: readonly number[], salt: string | undefined): void {
  const parent = hashes.length === 0 ? hashText(salt ?? '') : (hashes[hashes.length - 1] as number);
  let high = mixInt(0x2545f491, Math.floor(parent / 2 ** 26));
  let low = mixInt(0x9e3779b1, parent % 2 ** 32);
  for (const id of block) {
    high = mixInt(high, id);
    low = mixInt(low ^ 0x5bd1e995, id);
  }
  hashes.push((high >>> 6) * 2 ** 26 + (low >>> 6));
}
