import type { WorkerBook } from '../fleet-book.ts';
import { type Policy, twoRandom } from '../policy.ts';

const TAU_MS = 10_000;
const DEFAULT_RTT_MS = 1_000;

/**
 * Of two random workers the smaller peak-EWMA(round-trip time) x (outstanding + 1), as in Finagle and Linkerd: up at
 * once, down over 10 s, 1 s to begin with. A baseline: the round-trip time of a generation is mostly its length.
 */
export function peakEwma(): Policy {
  const rtt = new Map<number, { valueMs: number; atMs: number }>();
  const read = (worker: WorkerBook) => rtt.get(worker.index)?.valueMs ?? DEFAULT_RTT_MS;
  const cost = (worker: WorkerBook) => read(worker) * (worker.running + 1);
  return {
    name: 'peak-ewma',
    prefixBlind: true,
    pick(_request, _book, candidates, { random }) {
      const [a, b] = twoRandom(candidates, random);
      return cost(b) < cost(a) ? b : a;
    },
    onEnd(worker, totalMs, nowMs) {
      const before = rtt.get(worker.index);
      if (!before || totalMs > before.valueMs) rtt.set(worker.index, { valueMs: totalMs, atMs: nowMs });
      else {
        const weight = Math.exp(-(nowMs - before.atMs) / TAU_MS);
        rtt.set(worker.index, { valueMs: before.valueMs * weight + totalMs * (1 - weight), atMs: nowMs });
      }
    },
    onLeave: (worker) => void rtt.delete(worker.index),
  };
}
