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
import { GPUS, type StepLoad, stepMs } from './step-time.ts';
import type { Engine, EngineFinish, EngineOptions, EngineRequest, Listener } from './types.ts';

export type * from './types.ts';

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

/** Steps under way in which every sequence decodes one token and nothing else happens but at the end of the last. */
interface Cruise {
  /** When each of the steps ends. */
  readonly ends: number[];
  /** What each of them takes. */
  readonly durations: number[];
  /** Steps whose tokens are counted already. */
  done: number;
  cancel(): void;
}

/** One step more is not worth the planning. */
const LEAST_CRUISE_STEPS = 3;
const MOST_CRUISE_STEPS = 1024;
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
  let cruise: Cruise | null = null;
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

  /** What the step that was just formed has to do. */
  function loadOfBatch(): StepLoad {
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
    return { decoding, contextTokens, prefillTokens, prefillPairs };
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
      if (sequence.firstTokenMs === undefined) {
        sequence.firstTokenMs = now;
        sequence.listener.onFirstToken?.();
      }
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
    const before = totals.preemptions;
    const left = scheduleRunning(maxBatchedTokens);
    const isCrowded = totals.preemptions > before;
    if (!isCrowded) admitWaiting(left);
    if (running.length === 0) {
      stepEndMs = undefined;
      return;
    }
    const load = loadOfBatch();
    const durationMs = stepMs(cost, load);
    totals.steps++;
    totals.busyMs += durationMs;
    stepEndMs = fromMs + durationMs;
    const quiet = isCrowded || load.decoding < running.length ? 0 : quietSteps();
    if (quiet < LEAST_CRUISE_STEPS) clock.schedule(stepEndMs, onStepEnd);
    else cruise = planCruise(quiet, durationMs, load);
  }

  /** For so many steps from the one that was just formed on, every sequence decodes and no block changes hands before the last ends. */
  function quietSteps(): number {
    let steps = MOST_CRUISE_STEPS;
    for (const { listener, request, hashes, generated, target, computed, chunk, named, nameless } of running) {
      if (chunk !== 1 || target - computed !== 1 || listener.onToken !== undefined) return 0;
      if (request.slowFactor !== undefined && request.slowFactor > 1) return 0;
      // The step that ends it, that fills a named block, or that needs another block is the last.
      steps = Math.min(steps, request.outputTokens - generated, (named + nameless) * blockSize - computed);
      if (hashes.length > named) steps = Math.min(steps, (named + 1) * blockSize - computed);
    }
    return steps;
  }

  function planCruise(steps: number, firstMs: number, { decoding, contextTokens }: StepLoad): Cruise {
    const durations = [firstMs];
    const ends = [stepEndMs!];
    for (let i = 1; i < steps; i++) {
      const load = { decoding, contextTokens: contextTokens + i * decoding, prefillTokens: 0, prefillPairs: 0 };
      durations.push(stepMs(cost, load));
      ends.push(ends[i - 1]! + durations[i]!);
    }
    const cancel = clock.schedule(ends[steps - 1]!, () => {
      advance(steps - 1);
      onStepEnd();
    });
    return { ends, durations, done: 0, cancel };
  }

  /** Counts what the first `steps` steps of the cruise did; the next one is under way then. */
  function advance(steps: number): void {
    const { ends, durations, done } = cruise!;
    const more = steps - done;
    cruise!.done = steps;
    stepEndMs = ends[steps]!;
    if (steps === ends.length - 1) cruise = null;
    if (more === 0) return;
    for (const sequence of running) {
      sequence.computed += more;
      sequence.generated += more;
      sequence.target += more;
    }
    totals.steps += more;
    totals.generatedTokens += more * running.length;
    for (let i = done + 1; i <= steps; i++) totals.busyMs += durations[i]!;
  }

  /** Counts what has been done by now. `ends`: something comes between, the step under way is the last of the cruise. */
  function catchUp(ends: boolean): void {
    if (cruise === null) return;
    const { ends: times, cancel } = cruise;
    let steps = cruise.done;
    while (steps < times.length - 1 && times[steps]! <= clock.nowMs()) steps++;
    advance(steps);
    if (!ends && cruise !== null) return;
    cancel();
    cruise = null;
    clock.schedule(stepEndMs!, onStepEnd);
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
      catchUp(true);
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
      catchUp(true);
      const at = waiting.indexOf(sequence);
      if (at >= 0) waiting.splice(at, 1);
      end(sequence, 'abort');
      running = running.filter((other) => other !== sequence);
      return true;
    },
    stats() {
      catchUp(false);
      return {
        running: running.length,
        waiting: waiting.length,
        kvUsage: pool.used / pool.capacity,
        totalBlocks: pool.capacity,
        blockSize,
        ...totals,
      };
    },
    resetPrefixCache() {
      catchUp(true);
      pool.clear();
    },
    pendingPrefillTokens() {
      catchUp(false);
      let tokens = 0;
      for (const sequence of running) tokens += Math.max(0, sequence.target - sequence.computed - 1);
      for (const sequence of waiting) tokens += sequence.target;
      return tokens;
    },
  };
}
