/**
 * One run as the product is: modelled engines in virtual time behind the router's real waiting room (fair queue, late
 * binding), fleet (probes, capacity, outliers) and picker. One router, policy `cost`.
 */
import { virtualClock } from '@tollgate/devworker/engine/clock';
import { createEngine, type Engine } from '@tollgate/devworker/engine/engine';
import { GPUS } from '@tollgate/devworker/engine/step-time';
import { Fleet } from '@tollgate/router/fleet/fleet';
import { CHAT_NEED, type Ticket } from '@tollgate/router/fleet/worker';
import { type Seeker, WaitingRoom } from '@tollgate/router/queue/waiting-room';
import type { Pools } from '@tollgate/router/upstream/pools';
import { clockOn, NO_METRICS, SILENT } from '../batch/simulate.ts';
import { seededSource } from './random.ts';
import { type RunResult, Tally } from './tally.ts';
import { BLOCK_TOKENS, type SimRequest, type Workload } from './workload.ts';

export interface QueueRun {
  workload: Workload;
  load: number;
  seed: number;
  workers: number;
}

const MODEL = 'm';
const BYTES_PER_TOKEN = 4;
/** The product's own settings (router/src/config.ts). */
const PROBE_MS = 1_000;
const WATCH_MS = 250;
const ROOM = {
  maxDepth: 10_000,
  maxDepthPerAccount: 10_000,
  batchPatienceMs: 180_000,
  maxHoldMs: 5_000,
};
/** What runs when the last request has come is let run on, but not for ever. */
const TAIL_MS = 600_000;

export async function simulateBehindQueue(run: QueueRun): Promise<RunResult> {
  const virtual = virtualClock();
  const clock = clockOn(virtual);
  const engines = Array.from({ length: run.workers }, () =>
    createEngine({ clock: virtual, blockSize: BLOCK_TOKENS, kvTokens: GPUS.h100.kvTokens }),
  );
  const random = seededSource(run.seed * 104_729 + 5);
  const options = {
    maxConcurrency: null,
    probeEveryMs: PROBE_MS,
    probeTimeoutMs: PROBE_MS,
    policy: 'cost' as const,
    promisedContext: () => null,
  };
  const fleet = new Fleet(options, answeringFor(engines), clock, { float: random.uniform }, SILENT, NO_METRICS);
  fleet.setWorkers(engines.map((_, i) => ({ url: `w${i}`, engine: 'vllm', models: null, leaving: false })));
  await fleet.probeAll();
  const room = new WaitingRoom(ROOM, fleet, clock, { queueDepth() {}, queueWaited() {}, queueRejected() {} });
  fleet.onRoom = () => room.wake();

  const tally = new Tally();
  let nextId = 0;
  let running = 0;
  const send = (sim: SimRequest, onEnd?: () => void) => {
    const cameMs = virtual.nowMs();
    running++;
    const { tenant, promptTokens } = sim;
    const request = {
      id: String(nextId++),
      model: MODEL,
      tenant,
      promptTokens,
      promptBytes: promptTokens * BYTES_PER_TOKEN,
      blocks: sim.blocks,
      blockTokens: BLOCK_TOKENS,
      maxOutputTokens: 4096,
      session: sim.session,
      need: CHAT_NEED,
    };
    const seeker: Seeker = {
      request,
      account: tenant,
      weight: 1,
      work: fleet.expectedWork(request),
      lane: 'interactive',
      excluded: [],
      deadlineMs: Number.POSITIVE_INFINITY,
      waitsForWorker: false,
      listener: null,
    };
    const begin = (ticket: Ticket) => {
      const queuedMs = virtual.nowMs() - cameMs;
      engines[Number(ticket.worker.slice(1))]!.submit(
        { promptTokens, blockHashes: [...sim.blocks, ...sim.answerBlocks], outputTokens: sim.outputTokens },
        {
          onToken(count) {
            if (count === 1) ticket.firstToken();
          },
          onFinish(_reason, { cachedTokens, generatedTokens, firstTokenMs, totalMs }) {
            running--;
            ticket.end({ promptTokens, cachedTokens, completionTokens: generatedTokens, final: true });
            onEnd?.();
            if (sim.noise) return;
            tally.add({
              ttftMs: queuedMs + (firstTokenMs ?? totalMs),
              totalMs: queuedMs + totalMs,
              generatedTokens,
              promptTokens,
              cachedTokens,
              expectedHit: cachedTokens,
            });
          },
        },
      );
    };
    const taken = room.seat(seeker);
    if ('leave' in taken) void taken.ticket.then(begin);
    else begin(taken);
  };

  const { durationMs } = run.workload;
  run.workload.start(
    {
      nowMs: () => virtual.nowMs(),
      at: (atMs, fn) => void virtual.schedule(atMs, fn),
      send,
      random: seededSource(run.seed),
    },
    run.load,
    durationMs,
  );
  // Step by step, so that what the waiting room puts off to a microtask happens at its time, to the millisecond.
  for (let ms = 1; ms <= durationMs || (running > 0 && ms <= durationMs + TAIL_MS); ms++) {
    virtual.run(ms);
    await null;
    if (ms % WATCH_MS === 0) room.check(ms);
    if (ms % PROBE_MS === 0) await fleet.probeAll();
  }
  return tally.result();
}

/** What the engines say of themselves when they are probed. */
function answeringFor(engines: readonly Engine[]): Pools {
  const blocks = Math.floor(GPUS.h100.kvTokens / BLOCK_TOKENS);
  const fixed: Record<string, string> = {
    '/health': '',
    '/v1/models': JSON.stringify({ data: [{ id: MODEL, max_model_len: 131_072, owned_by: 'vllm' }] }),
    '/version': '{"version":"0.30.0"}',
  };
  const call = async (url: string, { path }: { path: string }) => {
    if (path !== '/metrics') return { status: 200, text: fixed[path] ?? '' };
    const { running, waiting, kvUsage } = engines[Number(url.slice(1))]!.stats();
    const lines = [
      `vllm:cache_config_info{block_size="${BLOCK_TOKENS}",num_gpu_blocks="${blocks}"} 1`,
      `vllm:num_requests_running ${running}`,
      `vllm:num_requests_waiting ${waiting}`,
      `vllm:kv_cache_usage_perc ${kvUsage}`,
    ];
    return { status: 200, text: `${lines.join('\n')}\n` };
  };
  return { call, forgetIdle() {} } as unknown as Pools;
}
