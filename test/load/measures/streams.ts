/** Memory of open streams, and how soon the upstream learns that a client left. */
import type { LoadReading } from '../generator.ts';
import { residentBytes } from '../procfs.ts';
import { alternate, type Bench, medians, sleep } from '../run.ts';
import { type Distribution, distribution } from '../stats.ts';
import { chatRequests } from '../traffic.ts';
import type { UpstreamReading } from '../upstream.ts';

/**
 * Resident memory per open stream: what the second half of many streams adds to the first half, in a process that has
 * not served more than that before. Keys: bytes, rssMiB.
 */
export async function memoryPerStream(bench: Bench) {
  const [half, whole] = bench.quick ? [200, 500] : [400, 2000];
  const samples = await alternate(bench.subjects, 1, async (subject) => {
    const requests = chatRequests(subject.keys, { bytes: 1000, stream: true, maxTokens: 4000 });
    // Slow long streams: what is open counts, not what flows.
    await bench.upstream.ask('configure', { chunks: 4000, intervalMs: 500, delayMs: 0, noteArrivals: false });
    const hold = async (connections: number) => {
      const load = { kind: 'streams', port: subject.port, requests, connections, rampMs: connections * 2 };
      await bench.generator.ask('start', load);
      await sleep(connections * 2 + 4000);
      const bytes = residentBytes(subject.pids());
      const { open, bad } = await bench.generator.ask<LoadReading>('read');
      await bench.generator.ask('stop');
      await sleep(1500);
      if (open < connections)
        throw new Error(`${subject.name}: only ${open} of ${connections} streams open ${JSON.stringify(bad)}`);
      return bytes;
    };
    const idle = await hold(half);
    const full = await hold(whole);
    const figures = { bytes: Math.max(0, full - idle) / (whole - half), rssMiB: full / 2 ** 20 };
    bench.say(
      `${subject.name}: ${(figures.bytes / 1024).toFixed(1)} KiB per open stream (${whole} open, ${figures.rssMiB.toFixed(0)} MiB)`,
    );
    return figures;
  });
  return { streams: whole, subjects: medians(samples) };
}

/** Milliseconds from the client's close to the close that the upstream sees. */
export async function leaveToAbort(bench: Bench): Promise<Record<string, Distribution & { missed: number }>> {
  const result: Record<string, Distribution & { missed: number }> = {};
  for (const subject of bench.subjects) {
    await bench.upstream.ask('configure', { chunks: 1000, intervalMs: 20, delayMs: 0, noteArrivals: true });
    await bench.upstream.ask('read');
    await bench.generator.ask('start', {
      kind: 'streams',
      port: subject.port,
      requests: chatRequests(subject.keys, { bytes: 1000, stream: true, maxTokens: 1000 }),
      connections: 20,
      rampMs: 200,
      leaveAfterMs: 200,
    });
    await sleep(bench.quick ? 1500 : 5000);
    const { leaves } = await bench.generator.ask<LoadReading>('read');
    await sleep(1000);
    const { aborts, arrivals } = await bench.upstream.ask<UpstreamReading>('read');
    await bench.generator.ask('stop');
    await sleep(300);
    // Who left before the request reached the upstream has nothing there to abort.
    const arrived = new Set(arrivals.map(({ mark }) => mark));
    const seen = new Map(aborts.map((abort) => [abort.mark, abort.atNs]));
    const delays: number[] = [];
    let missed = 0;
    for (const leave of leaves) {
      const atNs = seen.get(leave.mark);
      if (atNs === undefined) missed += arrived.has(leave.mark) ? 1 : 0;
      else delays.push(Number(atNs - leave.atNs) / 1e6);
    }
    result[subject.name] = { ...distribution(delays), missed };
    const { p50, p99, max } = result[subject.name]!;
    bench.say(
      `${subject.name}: ${delays.length} clients left, upstream closed after p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} max ${max.toFixed(1)} ms, never ${missed}`,
    );
  }
  return result;
}
