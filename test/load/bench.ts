/**
 * `npm run bench`: the table of the design's section 11 in one run, beside nginx and haproxy where they are installed.
 * Everything runs on loopback and ends by itself. What is measured how: docs/benchmarks.md.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wrongAnswer } from './check.ts';
import { Helper } from './ipc.ts';
import { cpuPerChunk, cpuPerRequest, pacedStreams } from './measures/cpu.ts';
import { idleConnections } from './measures/idle.ts';
import { addedLatency, frontier } from './measures/latency.ts';
import { otherGateways } from './measures/peers.ts';
import { pickTime } from './measures/pick.ts';
import { redisRoundTrips, revokeToRefusal } from './measures/router.ts';
import { leaveToAbort, memoryPerStream } from './measures/streams.ts';
import { HELP, MEASURES, type Options, readOptions } from './options.ts';
import { available, machineTicks } from './procfs.ts';
import { markdown } from './report.ts';
import { type Results, rows, table } from './rows.ts';
import { type Bench, effort, warmUp } from './run.ts';
import { direct, type Subject, startHaproxy, startNginx, startNodeFloor, startNodeSockets } from './subjects.ts';
import { startTollgate, type TollgateSubject } from './tollgate.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Half of what one router core carries at least, when its capacity was not measured in the same run. */
const DEFAULT_HALF_LOAD = 2000;
/** Measures that want processes which have not worked yet, and those that bring their own. */
const COLD: ReadonlySet<string> = new Set(['memory', 'idle', 'pick', 'peers']);

async function main(options: Options): Promise<number> {
  const say = (text: string) => process.stderr.write(`  ${text}\n`);
  if (!available) process.stderr.write('no /proc here: CPU and memory figures need Linux, they read 0\n');
  const upstream = await Helper.start('./upstream.ts');
  const generator = await Helper.start('./generator.ts');
  const subjects: Subject[] = [];
  const results: Results = { about: about(options), measures: {} };
  try {
    const ports = [await upstream.ask<number>('listen'), await upstream.ask<number>('listen')];
    const tollgate = await startSubjects(options, ports, subjects);
    await upstream.ask('configure', { intervalMs: 5 });
    for (const subject of subjects) {
      const wrong = await wrongAnswer(subject);
      if (wrong !== null) throw new Error(`${subject.name} does not pass on what the upstream says: ${wrong}`);
    }
    results.about.subjects = Object.fromEntries(subjects.map(({ name, version }) => [name, version]));
    const bench: Bench = { subjects, direct: direct(ports[0]!), upstream, generator, quick: options.quick, say };
    const before = machineTicks(process.pid);
    let warm = false;
    for (const measure of MEASURES) {
      if (options.only && !options.only.includes(measure)) continue;
      // Memory and idle connections come first: a heap that load has stretched would hide what streams add.
      if (!COLD.has(measure) && !warm) {
        warm = true;
        await warmUp(bench);
      }
      process.stderr.write(`${measure}\n`);
      await runMeasure(measure, { bench, tollgate, options, ports }, results);
      await tollgate?.drained();
    }
    const after = machineTicks(process.pid);
    const total = after.total - before.total;
    results.about.machineBusy = (after.busy - before.busy) / total;
    results.about.othersBusy = Math.max(0, results.about.machineBusy - (after.own - before.own) / total);
    process.stdout.write(`${table(rows(results))}\n`);
    if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
    if (options.write) {
      writeFileSync(join(ROOT, 'docs/benchmarks.json'), `${JSON.stringify(results, null, 2)}\n`);
      writeFileSync(join(ROOT, 'docs/benchmarks.md'), markdown(results));
    }
    return 0;
  } finally {
    for (const subject of subjects.reverse()) await subject.stop();
    await generator.stop();
    await upstream.stop();
  }
}

async function startSubjects(options: Options, ports: number[], subjects: Subject[]): Promise<TollgateSubject | null> {
  const wanted = (name: string) => options.subjects?.includes(name) ?? name !== 'sockets';
  let tollgate: TollgateSubject | null = null;
  if (wanted('tollgate')) {
    tollgate = await startTollgate({
      upstreamPorts: ports,
      nodeArgs: options.profile ? ['--cpu-prof', '--cpu-prof-dir', options.profile] : [],
    });
    subjects.push(tollgate);
  }
  if (options.against !== null) {
    const before = await startTollgate({ upstreamPorts: ports, root: resolve(options.against) });
    subjects.push({ ...before, name: 'before' });
  }
  for (const [name, start] of [
    ['node', startNodeFloor],
    ['sockets', startNodeSockets],
    ['nginx', startNginx],
    ['haproxy', startHaproxy],
  ] as const) {
    if (!wanted(name)) continue;
    const subject = await start(ports);
    if (subject) subjects.push(subject);
    else process.stderr.write(`${name} is not installed: measured without it (Debian: apt-get install ${name})\n`);
  }
  return tollgate;
}

interface Running {
  bench: Bench;
  tollgate: TollgateSubject | null;
  options: Options;
  /** Of the upstream. */
  ports: readonly number[];
}

async function runMeasure(
  measure: (typeof MEASURES)[number],
  { bench, tollgate, options, ports }: Running,
  { measures }: Results,
): Promise<void> {
  switch (measure) {
    case 'cpu-request':
      measures.cpuRequest = await cpuPerRequest(bench, 1000);
      break;
    case 'cpu-request-32k':
      measures.cpuRequest32k = await cpuPerRequest(bench, 32_000);
      break;
    case 'cpu-chunk-200':
      measures.cpuChunk200 = await cpuPerChunk(bench, 200);
      break;
    case 'streams-400':
      measures.streams400 = await pacedStreams(bench, {
        streams: 400,
        intervalMs: 20,
        rounds: effort(bench).rounds,
        windowMs: bench.quick ? 2500 : 4500,
        names: null,
      });
      break;
    case 'streams-2000':
      // As many chunks a second as with 400: what the number of streams adds is seen alone.
      measures.streams2000 = await pacedStreams(bench, {
        streams: bench.quick ? 800 : 2000,
        intervalMs: bench.quick ? 40 : 100,
        rounds: 1,
        windowMs: bench.quick ? 2500 : 8000,
        names: ['tollgate', 'before', 'node floor', 'nginx'],
      });
      break;
    case 'idle':
      measures.idle = await idleConnections(bench);
      break;
    case 'peers':
      measures.peers = await otherGateways(bench, { installing: options.peers, names: options.subjects, ports });
      break;
    case 'latency': {
      const capacity = measures.cpuRequest?.tollgate?.perSecond;
      const half = capacity === undefined ? DEFAULT_HALF_LOAD : Math.max(100, Math.round(capacity / 200) * 100);
      measures.latency = await addedLatency(bench, half);
      break;
    }
    case 'frontier':
      measures.frontier = await frontier(bench);
      break;
    case 'memory':
      measures.memory = await memoryPerStream(bench);
      break;
    case 'leave':
      measures.leave = await leaveToAbort(bench);
      break;
    case 'redis':
      if (tollgate) measures.redis = await redisRoundTrips(bench, tollgate);
      break;
    case 'revoke':
      if (tollgate) measures.revoke = await revokeToRefusal(bench, tollgate);
      break;
    case 'pick':
      measures.pick = pickTime(bench);
      break;
  }
}

function about(options: Options): Results['about'] {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const git = (...args: string[]) => {
    try {
      return execFileSync('git', ['-C', ROOT, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    } catch {
      return '';
    }
  };
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: git('rev-parse', '--short=12', 'HEAD') || 'unknown',
    version,
    node: process.versions.node,
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`,
    quick: options.quick,
    machineBusy: 0,
    othersBusy: 0,
    subjects: {},
  };
}

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') {
  process.stderr.write(`${options}\n`);
  process.exit(options === HELP ? 0 : 2);
}
process.exitCode = await main(options);
