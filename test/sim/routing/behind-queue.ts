/** One run of a workload as the product is: behind the router's own waiting room, fleet and picker. */
import type { YieldRule } from '@tollgate/router/queue/waiting-room';
import { ModelledFleet } from '../modelled-fleet.ts';
import { type RunResult, Tally } from './tally.ts';
import type { Workload } from './workload.ts';

export interface QueueRun {
  workload: Workload;
  load: number;
  seed: number;
  workers: number;
  yields?: YieldRule;
}

/** The product's own settings (router/src/config.ts), but for the depths: nobody is refused. */
const ROOM = { maxDepth: 10_000, maxDepthPerAccount: 10_000, batchPatienceMs: 180_000, maxHoldMs: 5_000 };
/** What runs when the last request has come is let run on, but not for ever. */
const TAIL_MS = 600_000;

export async function simulateBehindQueue({ workload, load, ...run }: QueueRun): Promise<RunResult> {
  const fleet = await ModelledFleet.start({ ...run, room: ROOM });
  const tally = new Tally();
  const { durationMs } = workload;
  fleet.begin(workload, load, durationMs, (sim, onEnd) => {
    fleet.send(sim, { lane: 'interactive', isWhole: false }, (end) => {
      onEnd?.();
      if (sim.noise) return;
      tally.add({ ...end, generatedTokens: end.tokens, expectedHit: end.cachedTokens });
    });
  });
  await fleet.run(durationMs, (ms) => fleet.open > 0 && ms <= durationMs + TAIL_MS);
  return tally.result();
}
