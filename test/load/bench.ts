/**
 * `npm run bench`: the table of the design's section 11 in one run, beside nginx and haproxy where they are installed.
 * Everything runs on loopback and ends by itself. What is measured how: docs/benchmarks.md.
 */
import { writeFileSync } from 'node:fs';
import { Helper } from './ipc.ts';
import { cpuPerChunk, cpuPerRequest } from './measures/cpu.ts';
import { addedLatency, frontier } from './measures/latency.ts';
import { leaveToAbort, memoryPerStream } from './measures/streams.ts';
import { HELP, MEASURES, type Measure, type Options, readOptions } from './options.ts';
import { available, machineTicks } from './procfs.ts';
import type { Bench } from './run.ts';
import { direct, type Subject, startHaproxy, startNginx } from './subjects.ts';

async function main(options: Options): Promise<number> {
  const say = (text: string) => process.stderr.write(`  ${text}\n`);
  if (!available) process.stderr.write('no /proc here: CPU and memory figures need Linux, they read 0\n');
  const upstream = await Helper.start('./upstream.ts');
  const generator = await Helper.start('./generator.ts');
  const subjects: Subject[] = [];
  const out: Record<string, unknown> = {};
  try {
    const ports = [await upstream.ask<number>('listen'), await upstream.ask<number>('listen')];
    for (const [name, start] of [
      ['nginx', startNginx],
      ['haproxy', startHaproxy],
    ] as const) {
      if (options.subjects && !options.subjects.includes(name)) continue;
      const subject = await start(ports);
      if (subject) subjects.push(subject);
      else process.stderr.write(`${name} is not installed: measured without it (Debian: apt-get install ${name})\n`);
    }
    const bench: Bench = { subjects, direct: direct(ports[0]!), upstream, generator, quick: options.quick, say };
    const before = machineTicks();
    for (const measure of MEASURES) {
      if (options.only && !options.only.includes(measure)) continue;
      process.stderr.write(`${measure}\n`);
      out[measure] = await measures[measure](bench, out);
    }
    const after = machineTicks();
    out.machineBusy = (after.busy - before.busy) / (after.total - before.total);
    if (options.json) writeFileSync(options.json, `${JSON.stringify(out, null, 2)}\n`);
    return 0;
  } finally {
    for (const subject of subjects.reverse()) await subject.stop();
    await generator.stop();
    await upstream.stop();
  }
}

const measures: Record<Measure, (bench: Bench, out: Record<string, unknown>) => Promise<unknown>> = {
  'cpu-request': (bench) => cpuPerRequest(bench, 1000),
  'cpu-request-32k': (bench) => cpuPerRequest(bench, 32_000),
  'cpu-chunk-200': (bench) => cpuPerChunk(bench, 200),
  'cpu-chunk-400': (bench) => cpuPerChunk(bench, 400),
  latency: (bench) => addedLatency(bench, 2000),
  frontier,
  memory: memoryPerStream,
  leave: leaveToAbort,
};

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') {
  process.stderr.write(`${options}\n`);
  process.exit(options === HELP ? 0 : 2);
}
process.exitCode = await main(options);
