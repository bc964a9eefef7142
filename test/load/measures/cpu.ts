/** CPU of the gateway per request and per streamed chunk. */
import { residentBytes } from '../procfs.ts';
import { alternate, type Bench, effort, measureWindow, medians, requireGood } from '../run.ts';
import type { Distribution } from '../stats.ts';
import type { Subject } from '../subjects.ts';

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

/** Chunks of a streamed answer: with the first, the usage and the end 102 events. */
export const STREAM_CHUNKS = 99;

/** CPU us per streamed chunk with `streams` open at a time, 102 chunks each, 20 ms apart; requests' own cost included. */
export async function cpuPerChunk(bench: Bench, streams: number) {
  const { rounds } = effort(bench);
  const times = { warmMs: 2500, windowMs: bench.quick ? 2500 : 4500 };
  const samples = await alternate(bench.subjects, rounds, async (subject) => {
    const load = { kind: 'streams' as const, connections: streams, rampMs: 2000 };
    const settings = { chunks: STREAM_CHUNKS, intervalMs: 20 };
    const window = await measureWindow(bench, subject, load, { bytes: 1000, stream: true }, times, settings);
    requireGood(subject, window);
    const figures = {
      cpuUs: window.cpuUs / window.chunks,
      chunksPerSecond: window.chunks / window.seconds,
      rssMiB: residentBytes(subject.pids()) / 2 ** 20,
    };
    bench.say(
      `${subject.name}: ${figures.cpuUs.toFixed(1)} us CPU per chunk at ${streams} streams, ${figures.chunksPerSecond.toFixed(0)} chunks/s`,
    );
    return figures;
  });
  return medians(samples);
}

/**
 * Many streams at a steady pace: CPU us per chunk, and how much later than its predecessor a chunk comes than it would
 * without a gateway (difference of the quantiles of the gaps, per round). Streams start spread over the length of one, so
 * that as many end as begin at any time. Keys: cpuUs, chunksPerSecond, gapP99Ms, addedGapP50Ms, addedGapP99Ms.
 */
export async function pacedStreams(
  bench: Bench,
  { streams, intervalMs, rounds, windowMs, names }: PacedOptions,
): Promise<Paced> {
  const lengthMs = (STREAM_CHUNKS + 1) * intervalMs;
  const load = { kind: 'streams' as const, connections: streams, rampMs: lengthMs };
  const settings = { chunks: STREAM_CHUNKS, intervalMs };
  const times = { warmMs: lengthMs + 500, windowMs };
  const atPace = async (subject: Subject) => {
    const window = await measureWindow(bench, subject, load, { bytes: 1000, stream: true }, times, settings);
    requireGood(subject, window);
    return window;
  };
  const base: Distribution[] = [];
  const subjects = bench.subjects.filter(({ name }) => names === null || names.includes(name));
  const samples = await alternate(subjects, rounds, async (subject, round) => {
    base[round] ??= (await atPace(bench.direct)).reading.gapMs;
    const window = await atPace(subject);
    const { gapMs } = window.reading;
    const figures = {
      cpuUs: window.cpuUs / window.chunks,
      chunksPerSecond: window.chunks / window.seconds,
      gapP99Ms: gapMs.p99,
      addedGapP50Ms: gapMs.p50 - base[round].p50,
      addedGapP99Ms: gapMs.p99 - base[round].p99,
    };
    bench.say(
      `${subject.name}: ${streams} streams, ${figures.cpuUs.toFixed(1)} us CPU per chunk, ${figures.chunksPerSecond.toFixed(0)} chunks/s, gap p99 ${gapMs.p99.toFixed(2)} ms (direct ${base[round].p99.toFixed(2)})`,
    );
    return figures;
  });
  return { streams, intervalMs, direct: base, subjects: medians(samples) };
}

export interface PacedOptions {
  streams: number;
  intervalMs: number;
  rounds: number;
  windowMs: number;
  /** Subjects that are measured; null = all. */
  names: readonly string[] | null;
}

export interface Paced {
  streams: number;
  intervalMs: number;
  /** Gaps between chunks without a gateway, one distribution per round. */
  direct: Distribution[];
  subjects: Record<string, Record<string, number>>;
}
