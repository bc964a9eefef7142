/** Other gateways: CPU per request and per chunk, measured as ours is, one gateway after the other. */
import type { Helper } from '../ipc.ts';
import { install, isInstalled } from '../peers/install.ts';
import { PEERS, type Peer } from '../peers/peers.ts';
import { startPeer } from '../peers/start.ts';
import { type Bench, warmUp } from '../run.ts';
import { cpuPerChunk, cpuPerRequest } from './cpu.ts';

/** Enough for a compiler to have seen the code; what is interpreted is as warm as it gets. */
const WARM_MS = 5_000;
const STREAMS = 200;

export interface PeersMeasured {
  /** Keys: cpuUs, cpu32kUs, cpuChunkUs, perSecond, rssMiB, processes. */
  subjects: Record<string, Record<string, number>>;
  /** Version and what one must know to compare, by name. */
  about: Record<string, string>;
  /** Lines about those that were not measured. */
  absent: string[];
}

export interface PeersOptions {
  /** Install those that are missing. */
  installing: boolean;
  /** Names that are wanted; null = all. */
  names: readonly string[] | null;
  ports: readonly number[];
}

/** Starts each that is installed, checks its answers, measures it, stops it. One that fails is named, not fatal. */
export async function otherGateways(bench: Bench, options: PeersOptions): Promise<PeersMeasured> {
  const result: PeersMeasured = { subjects: {}, about: {}, absent: [] };
  for (const peer of PEERS as readonly Peer[]) {
    if (options.names !== null && !options.names.includes(peer.name)) continue;
    const problem = options.installing ? install(peer, bench.say) : notInstalled(peer);
    if (problem === null) await measureOne(bench, peer, options.ports, result);
    else absent(bench, result, problem);
  }
  return result;
}

const notInstalled = (peer: Peer): string | null =>
  isInstalled(peer) ? null : `${peer.name} is not installed (npm run bench -- --peers installs it)`;

function absent(bench: Bench, result: PeersMeasured, line: string): void {
  bench.say(line);
  result.absent.push(line);
}

async function measureOne(bench: Bench, peer: Peer, ports: readonly number[], result: PeersMeasured): Promise<void> {
  // What a fresh upstream does: the check of its answers expects that.
  await resetUpstream(bench.upstream);
  try {
    const subject = await startPeer(peer, ports);
    try {
      const alone: Bench = { ...bench, subjects: [subject], rounds: 1 };
      await warmUp(alone, [subject], bench.quick ? 1_000 : WARM_MS);
      const small = (await cpuPerRequest(alone, 1000))[peer.name]!;
      const large = (await cpuPerRequest(alone, 32_000))[peer.name]!;
      const chunk = (await cpuPerChunk(alone, STREAMS))[peer.name]!;
      const processes = subject.pids().length;
      result.subjects[peer.name] = {
        cpuUs: small.cpuUs!,
        cpu32kUs: large.cpuUs!,
        cpuChunkUs: chunk.cpuUs!,
        perSecond: small.perSecond!,
        rssMiB: chunk.rssMiB!,
        processes,
      };
      result.about[peer.name] = `${peer.version} (${peer.remark}; ${processes} process${processes === 1 ? '' : 'es'})`;
    } finally {
      await subject.stop();
    }
  } catch (error) {
    absent(
      bench,
      result,
      `${peer.name} ${peer.version} was not measured: ${error instanceof Error ? error.message : error}`,
    );
  }
}

const resetUpstream = (upstream: Helper) =>
  upstream.ask('configure', { chunks: 100, intervalMs: 5, delayMs: 0, noteArrivals: false });
