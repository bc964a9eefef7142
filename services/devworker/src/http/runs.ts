/** How every endpoint runs a job: counted where it begins, measured where each of its choices ends. */
import type { Seen } from '../engine/engine.ts';
import type { ChoiceState } from '../generation/choice.ts';
import type { FixedText, Job } from '../generation/job.ts';
import { type Run, startRun } from '../generation/run.ts';
import type { Fault } from './faults.ts';
import type { Worker } from './worker.ts';

export interface RunTerms {
  /** What must be written, per choice; see `decodeWithQuirk`. */
  fixed: readonly (FixedText | undefined)[];
  freshSeed: number;
  fault?: Fault | undefined;
  /** A choice has taken a token: its deltas are fresh. */
  onToken?: (choice: ChoiceState) => void;
}

export interface BegunRun {
  run: Run;
  /** What the engine measured of each choice that is over, by its index. */
  seen: readonly Seen[];
  /** All choices are over. */
  ended: Promise<void>;
}

export function beginRun(worker: Worker, job: Job, { fixed, freshSeed, fault, onToken }: RunTerms): BegunRun {
  const seen: Seen[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  worker.metrics.onRequest(job.n, job.maxTokens);
  const run = startRun({
    engine: worker.engine,
    tokenizer: worker.tokenizer,
    job,
    fixed,
    freshSeed,
    slowFactor: fault?.kind === 'slow' ? fault.factor : undefined,
    listener: {
      onToken: onToken ?? (() => {}),
      onChoiceEnd(choice, _reason, measured) {
        seen[choice.index] = measured;
        worker.metrics.onSequence(job.promptIds.length, measured, choice.finish);
      },
      onEnd: resolve,
    },
  });
  return { run, seen, ended };
}
