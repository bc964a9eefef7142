/**
 * One run of the batch study: interactive requests of a workload before a modelled fleet (`../modelled-fleet.ts`), and
 * beside them, if wanted, a backlog of batch requests that never ends.
 */
import { type Ended, ModelledFleet } from '../modelled-fleet.ts';
import type { Workload } from '../routing/workload.ts';

export interface BatchRun {
  workload: Workload;
  /** Times the workload's knee. */
  load: number;
  seed: number;
  workers: number;
  durationMs: number;
  /** Batch requests that metering keeps under way; 0 = none. */
  backlog: number;
  /** How they are sent: in their own lane, or as a comparison like any other request. */
  batchLane: 'batch' | 'interactive';
  /** 1 unless told; they share their books. */
  routers?: number;
}

export interface BatchRunResult {
  requests: number;
  ttftP50Ms: number;
  ttftP95Ms: number;
  /** Mean time per output token after the first, interactive. */
  tpotMs: number;
  batchDone: number;
  /** Output tokens of finished batch requests, per second of the run. */
  batchTokensPerS: number;
}

/** A line of a batch as metering sends many. */
export const BATCH_PROMPT_TOKENS = 500;
export const BATCH_OUTPUT_TOKENS = 200;

const PATIENCE_MS = 60_000;
const ROOM = { maxDepth: 10_000, maxDepthPerAccount: 10_000, batchPatienceMs: PATIENCE_MS, maxHoldMs: 5_000 };
/** Cold caches and new workers (`slow-start.ts`) are left out of the figures. */
const WARM_UP_MS = 60_000;

export async function simulateBatch(run: BatchRun): Promise<BatchRunResult> {
  const { workers, seed, routers = 1 } = run;
  const fleet = await ModelledFleet.start({ workers, seed, room: ROOM, routers });
  const ttfts: number[] = [];
  let tpotSum = 0;
  let batchDone = 0;
  const isCounted = (cameMs: number) => cameMs >= WARM_UP_MS && cameMs < run.durationMs;
  fleet.begin(run.workload, run.load, run.durationMs, (sim, onEnd) => {
    const manner = { lane: 'interactive', isWhole: false, work: sim.promptTokens } as const;
    fleet.send(sim, manner, ({ cameMs, ttftMs, totalMs, tokens }: Ended) => {
      onEnd?.();
      if (!isCounted(cameMs)) return;
      ttfts.push(ttftMs);
      tpotSum += tokens > 1 ? (totalMs - ttftMs) / (tokens - 1) : 0;
    });
  });
  const nextLine = () => {
    const sim = {
      tenant: 'batch',
      session: null,
      promptTokens: BATCH_PROMPT_TOKENS,
      outputTokens: BATCH_OUTPUT_TOKENS,
      blocks: [],
      answerBlocks: [],
    };
    fleet.send(sim, { lane: run.batchLane, isWhole: true, work: BATCH_PROMPT_TOKENS }, () => {
      if (isCounted(fleet.nowMs)) batchDone++;
      if (fleet.nowMs < run.durationMs) fleet.at(fleet.nowMs, nextLine);
    });
  };
  for (let i = 0; i < run.backlog; i++) fleet.at(i, nextLine);
  await fleet.run(run.durationMs + PATIENCE_MS);

  ttfts.sort((a, b) => a - b);
  const quantile = (q: number) => ttfts[Math.min(ttfts.length - 1, Math.floor(q * ttfts.length))] ?? 0;
  return {
    requests: ttfts.length,
    ttftP50Ms: quantile(0.5),
    ttftP95Ms: quantile(0.95),
    tpotMs: tpotSum / Math.max(1, ttfts.length),
    batchDone,
    batchTokensPerS: (1_000 * batchDone * BATCH_OUTPUT_TOKENS) / (run.durationMs - WARM_UP_MS),
  };
}
