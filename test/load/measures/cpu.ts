/** CPU of the gateway per request and per streamed chunk. */
import { residentBytes } from '../procfs.ts';
import { alternate, type Bench, effort, measureWindow, medians, requireGood } from '../run.ts';

/** As many connections as the field's published runs used (wrk -c 32). */
const CONNECTIONS = 32;

/** CPU us per non-streaming request at capacity, requests of about `bytes`. Keys: cpuUs, perSecond, rssMiB. */
export async function cpuPerRequest(bench: Bench, bytes: number) {
  const { rounds, ...times } = effort(bench);
  const samples = await alternate(bench.subjects, rounds, async (subject) => {
    const load = { kind: 'closed' as const, connections: CONNECTIONS };
    const window = await measureWindow(bench, subject, load, { bytes, stream: false }, times);
    requireGood(subject, window);
    const figures = {
      cpuUs: window.cpuUs / window.good,
      perSecond: window.good / window.seconds,
      rssMiB: residentBytes(subject.pids()) / 2 ** 20,
    };
    bench.say(
      `${subject.name}: ${figures.cpuUs.toFixed(1)} us CPU per request of ${bytes} B, ${figures.perSecond.toFixed(0)} req/s`,
    );
    return figures;
  });
  return medians(samples);
}

/** CPU us per streamed chunk with `streams` open at a time, 102 chunks each, 20 ms apart; requests' own cost included. */
export async function cpuPerChunk(bench: Bench, streams: number) {
  const { rounds } = effort(bench);
  const times = { warmMs: 2500, windowMs: bench.quick ? 2500 : 4500 };
  const samples = await alternate(bench.subjects, rounds, async (subject) => {
    const load = { kind: 'streams' as const, connections: streams, rampMs: 2000 };
    const window = await measureWindow(bench, subject, load, { bytes: 1000, stream: true }, times, { chunks: 99 });
    requireGood(subject, window);
    const figures = { cpuUs: window.cpuUs / window.chunks, chunksPerSecond: window.chunks / window.seconds };
    bench.say(
      `${subject.name}: ${figures.cpuUs.toFixed(1)} us CPU per chunk at ${streams} streams, ${figures.chunksPerSecond.toFixed(0)} chunks/s`,
    );
    return figures;
  });
  return medians(samples);
}
