/**
 * Model of one vLLM engine: continuous batching, chunked prefill, prefix cache, preemption by recomputation, and the
 * step times of a real GPU. It knows tokens only by number and blocks only by hash, so that the same code drives the
 * HTTP worker in real time and routing studies in virtual time (`virtualClock`).
 *
 *   const clock = virtualClock();
 *   const engine = createEngine({ clock });
 *   engine.submit({ promptTokens: 900, blockHashes: [...], outputTokens: 200 }, { onFinish: (reason, seen) => ... });
 *   clock.run();
 */
import { type BlockHash, createBlockPool } from './blocks.ts';
import type { EngineClock } from './clock.ts';
import { GPUS, type StepCost, stepMs } from './step-time.ts';

export interface EngineOptions {
  clock: EngineClock;
  /** Cost of a step. Default: H100. */
  cost?: StepCost;
  /** KV cache in tokens. Default: 430,000 (H100, BF16 KV). */
  kvTokens?: number;
  /** Tokens per block. Default 16. */
  blockSize?: number;
  /** Sequences in one batch at most. Default 256. */
  maxSequences?: number;
  /** Tokens computed in one step at most (chunked prefill). Default 8192. */
  maxBatchedTokens?: number;
  prefixCaching?: boolean;
}

export interface EngineRequest {
  promptTokens: number;
  /** Hashes of the prompt's full blocks, and if known of the blocks that its output will fill, in order. */
  blockHashes?: readonly BlockHash[];
  /** Tokens to generate; `onToken` may end it earlier. At least 1. */
  outputTokens: number;
  /** Lower runs sooner. Default 0. */
  priority?: number;
  /** Multiplies the time between this request's tokens (faults). Default 1. */
  slowFactor?: number;
}

/** What the engine measured of one request, engine milliseconds since it was submitted. */
export interface Seen {
  cachedTokens: number;
  /** Tokens of prompt blocks that this request put into the prefix cache. */
  createdTokens: number;
  generatedTokens: number;
  queuedMs: number;
  firstTokenMs: number | undefined;
  totalMs: number;
  preemptions: number;
}

export type EngineFinish = 'done' | 'abort';

export interface Listener {
  /** Called at the end of each step that gave this request its `count`-th token. True: this was the last one. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a listener that never ends early returns nothing
  onToken?(count: number): boolean | void;
  /** Called once, after the last token or when aborted. */
  onFinish?(reason: EngineFinish, seen: Seen): void;
}

export interface EngineStats {
  running: number;
  waiting: number;
  /** Share of KV blocks in use, 0 to 1. */
  kvUsage: number;
  totalBlocks: number;
  blockSize: number;
  steps: number;
  busyMs: number;
  promptTokens: number;
  cachedPromptTokens: number;
  /** Prompt tokens looked up in the prefix cache. */
  queriedTokens: number;
  generatedTokens: number;
  preemptions: number;
  finished: number;
  aborted: number;
}

export interface Engine {
  /** Queues a request; answers its id. */
  submit(request: EngineRequest, listener?: Listener): number;
  /** Ends a request now: its blocks are free at once, its listener hears `abort`. False when it is not here. */
  abort(id: number): boolean;
  stats(): EngineStats;
  /** Forgets cached blocks that no request uses. */
  resetPrefixCache(): void;
  /** Uncached prompt tokens still to be computed, waiting and running. */
  pendingPrefillTokens(): number;
}

interface Sequence {
  id: number;
  request: EngineRequest;
  listener: Listener;
  hashes: readonly BlockHash[];
  arrivedMs: number;
  startedMs: number | undefined;
  firstTokenMs: number | undefined;
  /** Tokens whose KV must be there before the next token: prompt + generated. */
  target: number;
  /** Tokens whose KV is there. */
  computed: number;
  generated: number;
  named: number;
  nameless: number;
  cachedTokens: number;
  createdTokens: number;
  preemptions: number;
  counted: boolean;
  /** Tokens computed in the step under way. */
  chunk: number;
  /** Steps to sit out (slow factor). */
  owed: number;
  ended: boolean;
}

const CATCH_UP_STEPS = 4;
const NO_HASHES: readonly BlockHash[] = [];

export function createEngine(options: EngineOptions): Engine {
  const { clock } = options;
  const cost = options.cost ?? GPUS.h100.cost;
  const blockSize = options.blockSize ?? 16;
  const maxSequences = options.maxSequences ?? 256;
  const maxBatchedTokens = options.maxBatchedTokens ?? 8192;
  const prefixCaching = options.prefixCaching ?? true;
  const pool = createBlockPool(Math.max(1, Math.floor((options.kvTokens ?? GPUS.h100.kvTokens) / blockSize)));

  let running: Sequence[] = [];
  const waiting: Sequence[] = [];
  const byId = new Map<number, Sequence>();
  let nextId = 1;
  let stepEndMs: number | undefined;
  const totals = {
    steps: 0,
    busyMs: 0,
    promptTokens: 0,
    cachedPromptTokens: 0,
    queriedTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
    finished: 0,
    aborted: 0,
  };

  function enqueue(sequence: Sequence, atFront: boolean): void {
    const priority = sequence.request.priority ?? 0;
    let i = waiting.length;
    while (i > 0 && (waiting[i - 1]!.request.priority ?? 0) > priority) i--;
    if (atFront) while (i > 0 && (waiting[i - 1]!.request.priority ?? 0) === priority) i--;
    waiting.splice(i, 0, sequence);
  }

  function releaseBlocks(sequence: Sequence): void {
    pool.release(sequence.hashes, sequence.named, sequence.nameless);
    sequence.named = 0;
    sequence.nameless = 0;
  }

  function end(sequence: Sequence, reason: EngineFinish): void {
    sequence.ended = true;
    byId.delete(sequence.id);
    releaseBlocks(sequence);
    if (reason === 'done') totals.finished++;
    else totals.aborted++;
    sequence.listener.onFinish?.(reason, {
      cachedTokens: sequence.cachedTokens,
      createdTokens: sequence.createdTokens,
      generatedTokens: sequence.generated,
      queuedMs: (sequence.startedMs ?? clock.nowMs()) - sequence.arrivedMs,
      firstTokenMs: sequence.firstTokenMs === undefined ? undefined : sequence.firstTokenMs - sequence.arrivedMs,
      totalMs: clock.nowMs() - sequence.arrivedMs,
      preemptions: sequence.preemptions,
    });
  }

  /** Blocks still missing for `tokens` tokens of KV. */
  function missingBlocks(sequence: Sequence, tokens: number): number {
    return Math.ceil(tokens / blockSize) - sequence.named - sequence.nameless;
  }

  /** The last running sequence gives its blocks back and starts again later. */
  function preemptLast(): Sequence {
    const victim = running.pop()!;
    releaseBlocks(victim);
    victim.computed = 0;
    victim.chunk = 0;
    victim.preemptions++;
    totals.preemptions++;
    enqueue(victim, true);
    return victim;
  }

  function scheduleRunning(budget: number): number {
    let left = budget;
    for (let i = 0; i < running.length; i++) {
      const sequence = running[i]!;
      sequence.chunk = 0;
      if (sequence.owed > 0) {
        sequence.owed--;
        continue;
      }
      const tokens = Math.min(sequence.target - sequence.computed, left);
      if (tokens === 0) continue;
      const missing = missingBlocks(sequence, sequence.computed + tokens);
      let preempted = false;
      if (missing > 0) {
        let taken = pool.take(missing);
        // A sequence that is alone and does not fit would be preempted for ever: it keeps what it has and runs on.
        while (!taken && !preempted && running.length > 1) {
          preempted = preemptLast() === sequence;
          taken = !preempted && pool.take(missing);
        }
        if (taken) sequence.nameless += missing;
      }
      if (preempted) break;
      sequence.chunk = tokens;
      left -= tokens;
    }
    return left;
  }

  function admitWaiting(budget: number): void {
    let left = budget;
    while (waiting.length > 0 && left > 0 && running.length < maxSequences) {
      const sequence = waiting[0]!;
      // The last prompt token is always computed: it is what the first output token comes from.
      const reusable = prefixCaching ? Math.floor((sequence.target - 1) / blockSize) : 0;
      const cached = pool.countCached(sequence.hashes, reusable);
      const cachedTokens = cached * blockSize;
      const tokens = Math.min(sequence.target - cachedTokens, left);
      const fresh = Math.ceil((cachedTokens + tokens) / blockSize) - cached;
      if (!pool.fits(sequence.hashes, cached, fresh) && running.length > 0) break;
      waiting.shift();
      pool.reuse(sequence.hashes, cached);
      sequence.named = cached;
      sequence.computed = cachedTokens;
      if (pool.take(fresh)) sequence.nameless = fresh;
      sequence.chunk = tokens;
      sequence.startedMs ??= clock.nowMs();
      if (!sequence.counted) {
        sequence.counted = true;
        sequence.cachedTokens = cachedTokens;
        totals.promptTokens += sequence.request.promptTokens;
        totals.cachedPromptTokens += cachedTokens;
        totals.queriedTokens += sequence.request.promptTokens;
      }
      left -= tokens;
      running.push(sequence);
    }
  }

  /** Forms the next batch; its time, or undefined when there is nothing to do. */
  function formBatch(): number | undefined {
    const before = totals.preemptions;
    const left = scheduleRunning(maxBatchedTokens);
    if (totals.preemptions === before) admitWaiting(left);
    if (running.length === 0) return undefined;
    let decoding = 0;
    let contextTokens = 0;
    let prefillTokens = 0;
    let prefillPairs = 0;
    for (const sequence of running) {
      const { chunk, computed } = sequence;
      if (chunk === 0) continue;
      if (chunk === 1 && sequence.generated > 0) {
        decoding++;
        contextTokens += computed;
      } else {
        prefillTokens += chunk;
        prefillPairs += chunk * (computed + chunk / 2);
      }
    }
    return stepMs(cost, { decoding, contextTokens, prefillTokens, prefillPairs });
  }

  function nameFullBlocks(sequence: Sequence): void {
    const full = Math.min(Math.floor(sequence.computed / blockSize), sequence.hashes.length);
    while (sequence.named < full && sequence.nameless > 0) {
      const isNew = pool.name(sequence.hashes[sequence.named]!);
      sequence.nameless--;
      sequence.named++;
      if (isNew && sequence.named * blockSize <= sequence.request.promptTokens) sequence.createdTokens += blockSize;
    }
  }

  function finishStep(): void {
    const batch = running;
    const now = clock.nowMs();
    let ended = 0;
    for (let i = 0; i < batch.length; i++) {
      const sequence = batch[i]!;
      if (sequence.ended) {
        ended++;
        continue;
      }
      if (sequence.chunk === 0) continue;
      sequence.computed += sequence.chunk;
      sequence.chunk = 0;
      if (prefixCaching && sequence.hashes.length > sequence.named) nameFullBlocks(sequence);
      if (sequence.computed < sequence.target) continue;
      sequence.generated++;
      sequence.target++;
      totals.generatedTokens++;
      sequence.firstTokenMs ??= now;
      const slow = sequence.request.slowFactor;
      if (slow !== undefined && slow > 1) sequence.owed = Math.round(slow) - 1;
      const last = sequence.listener.onToken?.(sequence.generated) === true;
      if (last || sequence.generated >= sequence.request.outputTokens) {
        // The listener may have aborted it in the meantime.
        if (!sequence.ended) end(sequence, 'done');
        ended++;
      }
    }
    if (ended > 0) running = running.filter((sequence) => !sequence.ended);
  }

  function startStep(fromMs: number): void {
    const durationMs = formBatch();
    if (durationMs === undefined) {
      stepEndMs = undefined;
      return;
    }
    totals.steps++;
    totals.busyMs += durationMs;
    stepEndMs = fromMs + durationMs;
    clock.schedule(stepEndMs, onStepEnd);
  }

  let lateSteps = 0;

  function onStepEnd(): void {
    const dueMs = stepEndMs!;
    finishStep();
    // A late timer is made up for by starting the next step where this one should have ended, but not for ever:
    // a machine that cannot keep up slows down instead of falling further behind.
    lateSteps = clock.nowMs() > dueMs + 1 ? lateSteps + 1 : 0;
    if (lateSteps > CATCH_UP_STEPS) {
      lateSteps = 0;
      startStep(clock.nowMs());
    } else startStep(dueMs);
  }

  return {
    submit(request, listener = {}) {
      const id = nextId++;
      const sequence: Sequence = {
        id,
        request,
        listener,
        hashes: request.blockHashes ?? NO_HASHES,
        arrivedMs: clock.nowMs(),
        startedMs: undefined,
        firstTokenMs: undefined,
        target: Math.max(1, request.promptTokens),
        computed: 0,
        generated: 0,
        named: 0,
        nameless: 0,
        cachedTokens: 0,
        createdTokens: 0,
        preemptions: 0,
        counted: false,
        chunk: 0,
        owed: 0,
        ended: false,
      };
      byId.set(id, sequence);
      enqueue(sequence, false);
      if (stepEndMs === undefined) {
        // The step starts in an event of its own: requests that arrive together are batched together.
        stepEndMs = clock.nowMs();
        clock.schedule(stepEndMs, () => startStep(clock.nowMs()));
      }
      return id;
    },
    abort(id) {
      const sequence = byId.get(id);
      if (!sequence) return false;
      const at = waiting.indexOf(sequence);
      if (at >= 0) waiting.splice(at, 1);
      end(sequence, 'abort');
      running = running.filter((other) => other !== sequence);
      return true;
    },
    stats: () => ({
      running: running.length,
      waiting: waiting.length,
      kvUsage: pool.used / pool.capacity,
      totalBlocks: pool.capacity,
      blockSize,
      ...totals,
    }),
    resetPrefixCache: () => pool.clear(),
    pendingPrefillTokens() {
      let tokens = 0;
      for (const sequence of running) tokens += Math.max(0, sequence.target - sequence.computed - 1);
      for (const sequence of waiting) tokens += sequence.target;
      return tokens;
    },
  };
}
