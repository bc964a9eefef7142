/** Latency under arrivals at a constant rate. */
import { alternate, type Bench, effort, measureWindow, medians } from '../run.ts';
import type { Subject } from '../subjects.ts';

const SHAPE = { bytes: 1000, stream: false };
/** Arrivals beyond this many at once wait in the generator, and their wait counts. */
const MOST_CONNECTIONS = 512;

async function atRate(bench: Bench, subject: Subject, perSecond: number, windowMs: number) {
  const load = { kind: 'rate' as const, connections: Math.min(MOST_CONNECTIONS, perSecond), perSecond };
  return await measureWindow(bench, subject, load, SHAPE, { warmMs: 1000, windowMs });
}

/**
 * What a subject adds to the upstream's own latency at the same rate: difference of the quantiles, per round.
 * Keys: addedP50Ms, addedP99Ms, p50Ms, p99Ms, cpuUs.
 */
export async function addedLatency(bench: Bench, perSecond: number) {
  const { rounds, windowMs } = effort(bench);
  const base: { p50: number; p99: number }[] = [];
  const samples = await alternate(bench.subjects, rounds, async (subject, round) => {
    if (!base[round]) {
      const { latencyMs } = (await atRate(bench, bench.direct, perSecond, windowMs)).reading;
      base[round] = latencyMs;
    }
    const window = await atRate(bench, subject, perSecond, windowMs);
    const { latencyMs } = window.reading;
    const figures = {
      addedP50Ms: latencyMs.p50 - base[round].p50,
      addedP99Ms: latencyMs.p99 - base[round].p99,
      p50Ms: latencyMs.p50,
      p99Ms: latencyMs.p99,
      cpuUs: window.cpuUs / window.good,
    };
    bench.say(
      `${subject.name}: at ${perSecond} req/s p50 ${latencyMs.p50.toFixed(2)} p99 ${latencyMs.p99.toFixed(2)} ms (direct ${base[round].p50.toFixed(2)} / ${base[round].p99.toFixed(2)})`,
    );
    return figures;
  });
  return { perSecond, direct: base, subjects: medians(samples) };
}

/** Rates of the ladder, a third to a half apart. */
const LADDER = [250, 500, 1000, 1500, 2000, 3000, 4500, 6500, 9000, 13_000, 18_000, 25_000];
export const BOUNDS_MS = [1, 5, 10, 50];

export interface Step {
  perSecond: number;
  achieved: number;
  p50Ms: number;
  p99Ms: number;
}

/** Climbs a ladder of rates until p99 passes the last bound; for each bound the highest rate before the first miss. */
export async function frontier(bench: Bench) {
  const windowMs = bench.quick ? 1000 : 2000;
  const ladder = bench.quick ? LADDER.filter((_, i) => i % 3 === 1) : LADDER;
  const steps = new Map<string, Step[]>(bench.subjects.map((subject) => [subject.name, []]));
  const climbing = new Set(bench.subjects.map((subject) => subject.name));
  for (const perSecond of ladder) {
    for (const subject of bench.subjects) {
      if (!climbing.has(subject.name)) continue;
      const own = steps.get(subject.name)!;
      let step = await climb(bench, subject, perSecond, windowMs);
      // A pause of the shared machine is not the gateway's: a new miss is measured once more before it counts.
      if (BOUNDS_MS.some((bound) => step.p99Ms > bound && highest(own, bound) === (own.at(-1)?.perSecond ?? 0))) {
        const again = await climb(bench, subject, perSecond, windowMs);
        if (again.p99Ms < step.p99Ms) step = again;
      }
      own.push(step);
      if (step.p99Ms > BOUNDS_MS.at(-1)!) climbing.delete(subject.name);
    }
    if (climbing.size === 0) break;
  }
  return Object.fromEntries(
    bench.subjects.map((subject) => {
      const own = steps.get(subject.name)!;
      const best = Object.fromEntries(BOUNDS_MS.map((bound) => [`p99<=${bound}ms`, highest(own, bound)]));
      bench.say(
        `${subject.name}: ${BOUNDS_MS.map((bound) => `p99<=${bound} ms ${highest(own, bound)}`).join(', ')} req/s`,
      );
      return [subject.name, { best, steps: own }];
    }),
  );
}

async function climb(bench: Bench, subject: Subject, perSecond: number, windowMs: number): Promise<Step> {
  const window = await atRate(bench, subject, perSecond, windowMs);
  const { latencyMs, backlog } = window.reading;
  const achieved = window.good / window.seconds;
  const failed = Object.values(window.bad).reduce((sum, count) => sum + count, 0);
  // Arrivals that were never sent, or answers that failed, are as late as late can be.
  const keptUp = backlog < perSecond / 10 && failed <= window.good / 1000 && window.good > 0;
  return { perSecond, achieved, p50Ms: latencyMs.p50, p99Ms: keptUp ? latencyMs.p99 : Number.POSITIVE_INFINITY };
}

/** The highest rate up to which every step kept the bound, 0 when none did. */
export function highest(steps: readonly Step[], boundMs: number): number {
  let best = 0;
  for (const step of steps) {
    if (step.p99Ms > boundMs) break;
    best = step.perSecond;
  }
  return best;
}
