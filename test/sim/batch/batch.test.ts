/** What batches cost interactive requests: the real waiting room, fleet and picker before modelled engines, in virtual time. */
import { describe, expect, test } from '@jest/globals';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { average, BACKLOG, LOADS, WORKLOADS } from './cases.ts';

const SEEDS = counts([1, 2], [1, 2, 3, 4, 5]);
const DURATION_MS = counts(150_000, 300_000);
const MOST = 1.1;

describe('batch requests in idle capacity', () => {
  // Open workloads: the same requests arrive whatever the fleet does, so that two runs compare one by one.
  for (const name of ['shared-prefix', 'chat']) {
    test.each(LOADS)(
      `${name} at %s of the knee: interactive TTFT p95 grows by at most 10 %%`,
      async (load) => {
        const run = { workload: WORKLOADS[name]!, load, durationMs: DURATION_MS };
        const alone = await average({ ...run, backlog: 0, batchLane: 'batch' }, SEEDS);
        const beside = await average({ ...run, backlog: BACKLOG, batchLane: 'batch' }, SEEDS);
        expect(beside.requests).toBe(alone.requests);
        expect(alone.requests).toBeGreaterThan(500);
        expect(beside.ttftP95Ms).toBeLessThanOrEqual(MOST * alone.ttftP95Ms);
        expect(beside.batchTokensPerS).toBeGreaterThan(0);
        recordProof({
          name: `Batch beside ${name} at ${load} of the knee delays interactive TTFT p95 by at most 10 % (virtual time)`,
          count: beside.requests,
          result: `p95 x ${(beside.ttftP95Ms / alone.ttftP95Ms).toFixed(3)}, ${beside.batchTokensPerS.toFixed(0)} batch tokens/s`,
        });
      },
      120_000,
    );
  }

  test('four routers that share their books together take the room that one takes', async () => {
    const run = { workload: WORKLOADS.chat!, load: 0.8, durationMs: DURATION_MS, batchLane: 'batch' as const };
    const alone = await average({ ...run, backlog: 0, routers: 4 }, SEEDS);
    const beside = await average({ ...run, backlog: BACKLOG, routers: 4 }, SEEDS);
    expect(beside.ttftP95Ms).toBeLessThanOrEqual(MOST * alone.ttftP95Ms);
    expect(beside.batchTokensPerS).toBeGreaterThan(0);
    recordProof({
      name: 'Batch behind four routers beside chat at 0.8 of the knee delays interactive TTFT p95 by at most 10 % (virtual time)',
      count: beside.requests,
      result: `p95 x ${(beside.ttftP95Ms / alone.ttftP95Ms).toFixed(3)}, ${beside.batchTokensPerS.toFixed(0)} batch tokens/s`,
    });
  }, 120_000);
});
