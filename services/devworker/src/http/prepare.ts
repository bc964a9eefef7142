/** What must be decoded before a job can run: constrained documents and tool calls, one text per choice. */
import { lateBadRequest } from '../dialects/vllm/errors.ts';
import { explainRefusal } from '../dialects/vllm/grammar-errors.ts';
import type { FixedText, Job } from '../generation/job.ts';
import { seedOf } from '../generation/plan.ts';
import { applyQuirk, QUIRKS } from '../generation/quirks.ts';
import { CALL_SUFFIX, callPrefix, type ToolSpec, toolsToCall } from '../generation/tools.ts';
import { type Constraint, ConstraintError } from '../grammar/constraint.ts';
import { drawFrom, mixInt } from '../model/seeded.ts';
import type { Fault } from './faults.ts';
import type { Worker } from './worker.ts';

/** Bytes per token, below what the tokenizer's own text gives: a document should end well before its limit. */
const BYTES_PER_TOKEN = 2;
const MAX_SOFT_LIMIT = 1600;
const MIN_SOFT_LIMIT = 40;

function softLimit(maxTokens: number): number {
  return Math.max(MIN_SOFT_LIMIT, Math.min(MAX_SOFT_LIMIT, Math.floor(maxTokens * BYTES_PER_TOKEN * 0.6)));
}

async function decodeArguments(worker: Worker, tool: ToolSpec, seed: number, maxTokens: number): Promise<string> {
  const constraint =
    tool.parameters === undefined
      ? ({ kind: 'json_object' } as const)
      : ({ kind: 'json', schema: tool.parameters } as const);
  return (await worker.grammar.decode({ constraint, seed, softLimit: softLimit(maxTokens) })).text;
}

/** Compiles a constraint that will not be applied. Throws a late ApiError when it is refused. */
export async function checkConstraint(worker: Worker, constraint: Constraint): Promise<void> {
  try {
    await worker.grammar.check(constraint);
  } catch (error) {
    throw error instanceof ConstraintError ? explainRefusal(error, constraint) : error;
  }
}

/** Decodes, then lets the quirk that a fault asked for spoil the result. */
export async function decodeWithQuirk(
  worker: Worker,
  job: Job,
  freshSeed: number,
  fault: Fault | undefined,
): Promise<(FixedText | undefined)[]> {
  // Its words are its own; the grammar is compiled all the same, since a bad one is refused before the model speaks.
  if (fault?.kind === 'say') {
    await decodeFixed(worker, job, freshSeed);
    const said: FixedText = { text: fault.text, complete: fault.end === 'stop', filler: '\n' };
    return Array.from({ length: job.n }, () => said);
  }
  const quirk = QUIRKS.find((name) => name === fault?.kind);
  if (quirk === 'endless-thought') job.endlessThought = true;
  const fixed = await decodeFixed(worker, job, freshSeed);
  if (!quirk) return fixed;
  return fixed.map((text) => text && applyQuirk(text, quirk, fault!.count));
}

/** Per choice: the text it must produce, or undefined for free text. Throws a late ApiError when a grammar is refused. */
export async function decodeFixed(worker: Worker, job: Job, freshSeed: number): Promise<(FixedText | undefined)[]> {
  const { constraint, tools, toolMode } = job;
  // A strict tool's schema wins over the response format, silently: so does vLLM.
  const strictTools = toolMode === 'auto' && tools.some((tool) => tool.strict);
  try {
    if (toolMode === 'forced' || strictTools) {
      for (const tool of tools)
        if (tool.parameters !== undefined) await worker.grammar.check({ kind: 'json', schema: tool.parameters });
    }
  } catch (error) {
    if (error instanceof ConstraintError) throw lateBadRequest('Invalid structural tag specification.');
    throw error;
  }
  const constrained = strictTools ? undefined : constraint;
  return Promise.all(
    Array.from({ length: job.n }, async (_, index) => {
      const seed = seedOf(job, index, freshSeed);
      if (constrained) {
        try {
          return await worker.grammar.decode({ constraint: constrained, seed, softLimit: softLimit(job.maxTokens) });
        } catch (error) {
          if (error instanceof ConstraintError) throw explainRefusal(error, constrained);
          throw error;
        }
      }
      const called = toolsToCall(
        toolMode,
        tools,
        {
          named: job.namedTool,
          lastUserText: job.lastUserText,
          answeringTool: job.answeringTool,
          parallel: job.parallelToolCalls,
        },
        drawFrom(seed),
      );
      if (called.length === 0) return undefined;
      const calls = await Promise.all(
        called.map(async (tool, i) => {
          try {
            const args = await decodeArguments(
              worker,
              tool,
              mixInt(seed, i),
              Math.floor(job.maxTokens / called.length),
            );
            return callPrefix(tool.name) + args + CALL_SUFFIX;
          } catch (error) {
            // Without a grammar the model would write what it likes: an empty object is as good.
            if (error instanceof ConstraintError) return `${callPrefix(tool.name)}{}${CALL_SUFFIX}`;
            throw error;
          }
        }),
      );
      return { text: calls.join('\n'), complete: true };
    }),
  );
}
