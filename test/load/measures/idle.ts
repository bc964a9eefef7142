/** Idle connections: what each costs, and whether they slow those that work. */
import type { LoadReading } from '../generator.ts';
import { Helper } from '../ipc.ts';
import { openFileLimit, residentBytes } from '../procfs.ts';
import { type Bench, measureWindow, requestsOf, requireGood, sleep } from '../run.ts';
import type { Subject } from '../subjects.ts';

/** Files that a gateway has open besides. */
const SPARE_FILES = 2_000;
const FEW = 2_000;
const MANY = 10_000;
/** haproxy's limit on connections leaves no room for so many where files are few. */
const NAMES = ['tollgate', 'node floor', 'nginx'];
const PER_SECOND = 500;
const OPEN_LIMIT_MS = 120_000;

export interface Idle {
  /** Connections that were open and silent. */
  connections: number;
  /** Keys: bytes (each), aloneP50Ms, aloneP99Ms, aloneCpuUs, amongP50Ms, amongP99Ms, amongCpuUs. */
  subjects: Record<string, Record<string, number>>;
}

/**
 * Memory of each of 10,000 connections that asked once and stay open, from the difference to the first 2,000; latency and
 * CPU of requests at a constant rate beside none of them and beside all.
 */
export async function idleConnections(bench: Bench): Promise<Idle> {
  const connections = Math.min(bench.quick ? 3 * FEW : MANY, openFileLimit() - SPARE_FILES);
  if (connections <= FEW) {
    bench.say(`idle connections: not measured, this machine lets a process open ${openFileLimit()} files only`);
    return { connections: 0, subjects: {} };
  }
  const subjects: Idle['subjects'] = {};
  for (const subject of bench.subjects.filter(({ name }) => NAMES.includes(name))) {
    subjects[subject.name] = await among(bench, subject, connections);
  }
  return { connections, subjects };
}

async function among(bench: Bench, subject: Subject, connections: number): Promise<Record<string, number>> {
  // A process of its own holds them, so that the one that takes the times has nothing else to do.
  const holder = await Helper.start('./generator.ts');
  let many: number;
  let few: number;
  let beside: AtRate;
  try {
    few = await hold(bench, holder, subject, FEW);
    many = await hold(bench, holder, subject, connections);
    beside = await atRate(bench, subject);
    const { idle, bad } = await holder.ask<LoadReading>('read');
    if (idle < connections) throw new Error(`${subject.name} dropped idle connections: ${JSON.stringify(bad)}`);
  } finally {
    await holder.stop();
  }
  await sleep(1_500);
  const alone = await atRate(bench, subject);
  const figures = {
    bytes: Math.max(0, many - few) / (connections - FEW),
    aloneP50Ms: alone.p50,
    aloneP99Ms: alone.p99,
    aloneCpuUs: alone.cpuUs,
    amongP50Ms: beside.p50,
    amongP99Ms: beside.p99,
    amongCpuUs: beside.cpuUs,
  };
  bench.say(
    `${subject.name}: ${(figures.bytes / 1024).toFixed(1)} KiB per idle connection (${connections}); at ${PER_SECOND} req/s without and with them p50 ${alone.p50.toFixed(2)}, ${beside.p50.toFixed(2)}, p99 ${alone.p99.toFixed(2)}, ${beside.p99.toFixed(2)} ms, CPU ${alone.cpuUs.toFixed(0)}, ${beside.cpuUs.toFixed(0)} us per request`,
  );
  return figures;
}

/** Opens so many, each of which asks once; resident bytes of the subject once all are silent. */
async function hold(bench: Bench, holder: Helper, subject: Subject, connections: number): Promise<number> {
  await bench.upstream.ask('configure', { delayMs: 0, noteArrivals: false });
  const requests = requestsOf(subject, { bytes: 1000, stream: false });
  await holder.ask('start', { kind: 'idle', port: subject.port, requests, connections });
  const endMs = performance.now() + OPEN_LIMIT_MS;
  for (;;) {
    await sleep(250);
    const { idle, bad } = await holder.ask<LoadReading>('read');
    if (idle >= connections) break;
    if (performance.now() > endMs)
      throw new Error(`${subject.name}: only ${idle} of ${connections} connections ${JSON.stringify(bad)}`);
  }
  await sleep(1_000);
  return residentBytes(subject.pids());
}

interface AtRate {
  p50: number;
  p99: number;
  cpuUs: number;
}

async function atRate(bench: Bench, subject: Subject): Promise<AtRate> {
  const load = { kind: 'rate' as const, connections: 64, perSecond: PER_SECOND };
  const times = { warmMs: 1000, windowMs: bench.quick ? 1500 : 4000 };
  const window = await measureWindow(bench, subject, load, { bytes: 1000, stream: false }, times);
  requireGood(subject, window);
  const { p50, p99 } = window.reading.latencyMs;
  return { p50, p99, cpuUs: window.cpuUs / window.good };
}
