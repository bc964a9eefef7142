/** What every measurement needs: subjects, upstream, load generator, and the habit of alternating between subjects. */
import type { Load, LoadReading } from './generator.ts';
import type { Helper } from './ipc.ts';
import { cpuUs } from './procfs.ts';
import { median } from './stats.ts';
import type { Subject } from './subjects.ts';
import { chatRequests, type Shape } from './traffic.ts';
import type { UpstreamSettings } from './upstream.ts';

export interface Bench {
  subjects: readonly Subject[];
  /** The upstream itself, as a subject. */
  direct: Subject;
  upstream: Helper;
  generator: Helper;
  quick: boolean;
  /** Rounds of a full run, where not the usual three. */
  rounds?: number;
  /** One line of progress. */
  say(text: string): void;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** How long a window lasts and how many rounds there are: `--quick` shows that it works, a full run is for figures. */
export function effort(bench: Bench): { rounds: number; windowMs: number; warmMs: number } {
  return bench.quick
    ? { rounds: 1, windowMs: 1500, warmMs: 500 }
    : { rounds: bench.rounds ?? 3, windowMs: 3000, warmMs: 1000 };
}

/** The bench's requests as that subject wants them. */
export const requestsOf = (subject: Subject, shape: Shape): string[] =>
  chatRequests(subject.keys, shape, subject.headers);

export interface Window {
  seconds: number;
  good: number;
  bad: Record<string, number>;
  /** Events of streams that clients read. */
  chunks: number;
  /** CPU of the subject's processes. */
  cpuUs: number;
  reading: LoadReading;
}

/** Puts one load on a subject, lets it warm up, and reads what happened in a window after that. */
export async function measureWindow(
  bench: Bench,
  subject: Subject,
  load: Omit<Load, 'port' | 'requests'>,
  shape: Shape,
  times: { warmMs: number; windowMs: number },
  settings: Partial<UpstreamSettings> = {},
): Promise<Window> {
  await bench.upstream.ask('configure', { delayMs: 0, chunks: 100, intervalMs: 20, noteArrivals: false, ...settings });
  await bench.generator.ask('start', { ...load, port: subject.port, requests: requestsOf(subject, shape) });
  await sleep(times.warmMs);
  const before = await bench.generator.ask<LoadReading>('read');
  const cpuBefore = cpuUs(subject.pids());
  await sleep(times.windowMs);
  const cpuAfter = cpuUs(subject.pids());
  const after = await bench.generator.ask<LoadReading>('read');
  await bench.generator.ask('stop');
  // Connections close and the subject comes to rest before the next one starts.
  await sleep(200);
  const bad: Record<string, number> = {};
  for (const [kind, count] of Object.entries(after.bad)) {
    const more = count - (before.bad[kind] ?? 0);
    if (more > 0) bad[kind] = more;
  }
  return {
    seconds: Number(after.atNs - before.atNs) / 1e9,
    good: after.good - before.good,
    bad,
    chunks: after.events - before.events,
    cpuUs: cpuAfter - cpuBefore,
    reading: after,
  };
}

/** A server that has just started compiles its code; what a figure tells of is one that has run for a while. */
export async function warmUp(bench: Bench, subjects = bench.subjects, mostMs = 30_000): Promise<void> {
  const requests = bench.quick ? 5_000 : 60_000;
  for (const subject of subjects) {
    for (const stream of [false, true]) {
      await bench.upstream.ask('configure', { delayMs: 0, chunks: 20, intervalMs: 1, noteArrivals: false });
      await bench.generator.ask('start', {
        kind: stream ? 'streams' : 'closed',
        port: subject.port,
        connections: 32,
        requests: requestsOf(subject, { bytes: 1000, stream }),
      });
      const wanted = stream ? requests / 20 : requests;
      const endMs = performance.now() + mostMs;
      while (performance.now() < endMs) {
        await sleep(100);
        if ((await bench.generator.ask<LoadReading>('read')).good >= wanted) break;
      }
      await bench.generator.ask('stop');
    }
  }
}

/** Figures of a subject over the rounds. */
export type Samples = Record<string, number[]>;

/** A/B/A: each round goes through the subjects, every second one backwards, so that drift hits all alike. */
export async function alternate<S extends Subject>(
  subjects: readonly S[],
  rounds: number,
  one: (subject: S, round: number) => Promise<Record<string, number>>,
): Promise<Map<string, Samples>> {
  const all = new Map<string, Samples>(subjects.map((subject) => [subject.name, {}]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? subjects : [...subjects].reverse();
    for (const subject of order) {
      const figures = await one(subject, round);
      const samples = all.get(subject.name)!;
      for (const [name, value] of Object.entries(figures)) {
        samples[name] ??= [];
        samples[name].push(value);
      }
    }
  }
  return all;
}

/** Medians over the rounds. */
export function medians(all: Map<string, Samples>): Record<string, Record<string, number>> {
  return Object.fromEntries(
    [...all].map(([subject, samples]) => [
      subject,
      Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, median(values)])),
    ]),
  );
}

/** `503 x12, cut x1`, or nothing. */
export function badText(bad: Record<string, number>): string {
  return Object.entries(bad)
    .map(([kind, count]) => `${kind} x${count}`)
    .join(', ');
}

/** Refuses to give a figure for a run in which more than one answer in a thousand failed. */
export function requireGood(subject: Subject, window: Window): void {
  const failed = Object.values(window.bad).reduce((sum, count) => sum + count, 0);
  // Long streams may all outlast the window: then their events are what was served.
  if (window.good + window.chunks === 0 || failed > (window.good + failed) / 1000) {
    throw new Error(`${subject.name}: ${window.good} good answers, failed: ${badText(window.bad) || 'none'}`);
  }
}
