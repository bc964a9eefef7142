/**
 * One run of the batch study: modelled engines in virtual time behind the router's real waiting room, fleet and picker.
 * Interactive requests of a workload, and beside them, if wanted, a backlog of batch requests that never ends.
 */
import { virtualClock } from '@tollgate/devworker/engine/clock';
import { createEngine } from '@tollgate/devworker/engine/engine';
import { GPUS } from '@tollgate/devworker/engine/step-time';
import { Fleet, type FleetMetrics } from '@tollgate/router/fleet/fleet';
import { CHAT_NEED, type Ticket } from '@tollgate/router/fleet/worker';
import { type Seeker, WaitingRoom } from '@tollgate/router/queue/waiting-room';
import type { Pools } from '@tollgate/router/upstream/pools';
import { type Clock, sleepOn, type Timer } from '@tollgate/shared/runtime/clock';
import { seededSource } from '../routing/random.ts';
import { BLOCK_TOKENS, type SimRequest, type Workload } from '../routing/workload.ts';

export interface BatchRun {
  workload: Workload;
  /** Times the workload's knee. */
  load: number;
  seed: number;
  workers: number;
  durationMs: number;
  /** Batch requests that metering keeps under way; 0 = none. */
  backlog: number;
  /** How they are sent: in their own lane, or as a comparison like any other request. */
  batchLane: 'batch' | 'interactive';
}

export interface BatchRunResult {
  requests: number;
  ttftP50Ms: number;
  ttftP95Ms: number;
  /** Mean time per output token after the first, interactive. */
  tpotMs: number;
  batchDone: number;
  /** Output tokens of finished batch requests, per second of the run. */
  batchTokensPerS: number;
}

/** A line of a batch as metering sends many. */
export const BATCH_PROMPT_TOKENS = 500;
export const BATCH_OUTPUT_TOKENS = 200;

const MODEL = 'm';
const PATIENCE_MS = 60_000;
/** As the router's watch: late steps are taken, and answers that come whole are counted as started, so often. */
const WATCH_MS = 250;
/** Cold caches and new workers (`slow-start.ts`) are left out of the figures. */
const WARM_UP_MS = 60_000;
const BYTES_PER_TOKEN = 4;

export async function simulateBatch(run: BatchRun): Promise<BatchRunResult> {
  const virtual = virtualClock();
  const clock = clockOn(virtual);
  const engines = Array.from({ length: run.workers }, () =>
    createEngine({ clock: virtual, blockSize: BLOCK_TOKENS, kvTokens: GPUS.h100.kvTokens }),
  );
  const random = seededSource(run.seed * 104_729 + 5);
  const options = {
    maxConcurrency: null,
    probeEveryMs: 1_000,
    probeTimeoutMs: 1_000,
    policy: 'cost' as const,
    promisedContext: () => null,
  };
  const fleet = new Fleet(options, answering(), clock, { float: random.uniform }, SILENT, NO_METRICS);
  fleet.setWorkers(engines.map((_, i) => ({ url: `w${i}`, engine: 'vllm', models: null, leaving: false })));
  // Once: from here on the fleet knows its workers by what is sent there.
  await fleet.probeAll();
  const room = new WaitingRoom(
    { maxDepth: 10_000, maxDepthPerAccount: 10_000, batchPatienceMs: PATIENCE_MS, maxHoldMs: 5_000 },
    fleet,
    clock,
    { queueDepth() {}, queueWaited() {}, queueRejected() {} },
  );
  fleet.onRoom = () => room.wake();

  const whole = new Set<Ticket>();
  let nextId = 0;
  const send = (sim: SimRequest, lane: Seeker['lane'], isWhole: boolean, onEnd: (end: Ended) => void) => {
    const cameMs = virtual.nowMs();
    const seeker: Seeker = {
      request: {
        id: String(nextId++),
        model: MODEL,
        tenant: sim.tenant,
        promptTokens: sim.promptTokens,
        promptBytes: sim.promptTokens * BYTES_PER_TOKEN,
        blocks: sim.blocks,
        blockTokens: BLOCK_TOKENS,
        maxOutputTokens: 4096,
        session: sim.session,
        need: CHAT_NEED,
      },
      account: sim.tenant,
      weight: 1,
      work: sim.promptTokens,
      lane,
      excluded: [],
      deadlineMs: Number.POSITIVE_INFINITY,
      waitsForWorker: false,
      listener: null,
    };
    const begin = (ticket: Ticket) => {
      if (isWhole) whole.add(ticket);
      const queuedMs = virtual.nowMs() - cameMs;
      engines[Number(ticket.worker.slice(1))]!.submit(
        {
          promptTokens: sim.promptTokens,
          blockHashes: [...sim.blocks, ...sim.answerBlocks],
          outputTokens: sim.outputTokens,
        },
        {
          onToken(count) {
            if (count === 1 && !isWhole) ticket.firstToken();
          },
          onFinish(_reason, { cachedTokens, generatedTokens, firstTokenMs, totalMs }) {
            whole.delete(ticket);
            const { promptTokens } = sim;
            ticket.end({ promptTokens, cachedTokens, completionTokens: generatedTokens, final: true });
            const ttftMs = queuedMs + (firstTokenMs ?? totalMs);
            onEnd({ cameMs, ttftMs, totalMs: queuedMs + totalMs, tokens: generatedTokens });
          },
        },
      );
    };
    const taken = room.seat(seeker);
    if ('leave' in taken) void taken.ticket.then(begin);
    else begin(taken);
  };

  const ttfts: number[] = [];
  let tpotSum = 0;
  let batchDone = 0;
  const isCounted = (cameMs: number) => cameMs >= WARM_UP_MS && cameMs < run.durationMs;
  run.workload.start(
    {
      nowMs: () => virtual.nowMs(),
      at: (atMs, fn) => void virtual.schedule(atMs, fn),
      send(sim, onEnd) {
        send(sim, 'interactive', false, ({ cameMs, ttftMs, totalMs, tokens }) => {
          onEnd?.();
          if (!isCounted(cameMs)) return;
          ttfts.push(ttftMs);
          tpotSum += tokens > 1 ? (totalMs - ttftMs) / (tokens - 1) : 0;
        });
      },
      random: seededSource(run.seed),
    },
    run.load,
    run.durationMs,
  );
  const nextLine = () => {
    const sim = {
      tenant: 'batch',
      session: null,
      promptTokens: BATCH_PROMPT_TOKENS,
      outputTokens: BATCH_OUTPUT_TOKENS,
      blocks: [],
      answerBlocks: [],
    };
    send(sim, run.batchLane, true, () => {
      if (isCounted(virtual.nowMs())) batchDone++;
      if (virtual.nowMs() < run.durationMs) virtual.schedule(virtual.nowMs(), nextLine);
    });
  };
  for (let i = 0; i < run.backlog; i++) virtual.schedule(i, nextLine);

  // Step by step, so that what the waiting room puts off to a microtask happens at its time, to the millisecond.
  for (let ms = 1; ms <= run.durationMs + PATIENCE_MS; ms++) {
    virtual.run(ms);
    await null;
    if (ms % WATCH_MS !== 0) continue;
    for (const ticket of whole) ticket.assumeStarted();
    room.check(ms);
  }

  ttfts.sort((a, b) => a - b);
  const quantile = (q: number) => ttfts[Math.min(ttfts.length - 1, Math.floor(q * ttfts.length))] ?? 0;
  return {
    requests: ttfts.length,
    ttftP50Ms: quantile(0.5),
    ttftP95Ms: quantile(0.95),
    tpotMs: tpotSum / Math.max(1, ttfts.length),
    batchDone,
    batchTokensPerS: (1_000 * batchDone * BATCH_OUTPUT_TOKENS) / (run.durationMs - WARM_UP_MS),
  };
}

interface Ended {
  cameMs: number;
  ttftMs: number;
  totalMs: number;
  tokens: number;
}

export const NO_METRICS: FleetMetrics = {
  workerUp() {},
  workerLeft() {},
  workerGauges() {},
  modelRunning() {},
  transition() {},
  breaker() {},
};

const quiet = () => {};
export const SILENT = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet } as never;

/** What a modelled engine says of itself when it is probed. */
function answering(): Pools {
  const blocks = Math.floor(GPUS.h100.kvTokens / BLOCK_TOKENS);
  const texts: Record<string, string> = {
    '/health': '',
    '/v1/models': JSON.stringify({ data: [{ id: MODEL, max_model_len: 131_072, owned_by: 'vllm' }] }),
    '/version': '{"version":"0.30.0"}',
    '/metrics': `vllm:cache_config_info{block_size="${BLOCK_TOKENS}",num_gpu_blocks="${blocks}"} 1\n`,
  };
  const call = async (_url: string, { path }: { path: string }) => ({ status: 200, text: texts[path] ?? '' });
  return { call, forgetIdle() {} } as unknown as Pools;
}

/** The engines' clock as the router's. */
export function clockOn(virtual: ReturnType<typeof virtualClock>): Clock {
  const timer = (cancel: () => void): Timer => {
    const made: Timer = { cancel, unref: () => made };
    return made;
  };
  const setTimeoutMs = (fn: () => void, delayMs: number) => timer(virtual.schedule(virtual.nowMs() + delayMs, fn));
  return {
    nowMs: () => virtual.nowMs(),
    monotonicMs: () => virtual.nowMs(),
    setTimeout: setTimeoutMs,
    setInterval() {
      throw new Error('nothing in this study is periodic');
    },
    sleep: (delayMs, signal) => sleepOn({ setTimeout: setTimeoutMs }, delayMs, signal),
  };
}
