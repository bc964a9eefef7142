/**
 * One run: a fleet of modelled engines in virtual time, one or more router replicas with their own books, a policy and a
 * workload. Replicas see each other's bookkeeping after `shareDelayMs`, or never (null).
 */

import { virtualClock } from '@tollgate/devworker/engine/clock';
import { createEngine, type Engine } from '@tollgate/devworker/engine/engine';
import { GPUS } from '@tollgate/devworker/engine/step-time';
import { FleetBook, type RoutingRequest } from '@tollgate/router/routing/fleet-book';
import type { Policy } from '@tollgate/router/routing/policy';
import { seededSource } from './random.ts';
import { BLOCK_TOKENS, type SimRequest, type Workload } from './workload.ts';

export interface RunOptions {
  workload: Workload;
  load: number;
  policy: () => Policy;
  seed: number;
  workers: number;
  replicas: number;
  shareDelayMs: number | null;
  durationMs?: number;
}

export interface RunResult {
  requests: number;
  ttftP50Ms: number;
  ttftP99Ms: number;
  e2eMeanMs: number;
  sloPercent: number;
  hitPercent: number;
  /** Mean absolute error of the hit estimate against what the engine reported, in points of the prompt. */
  hitErrorPoints: number;
}

/** TTFT and time per output token that count as good service (routing notes 6.7). */
const SLO_TTFT_MS = 2_000;
const SLO_TPOT_MS = 60;
const POLL_MS = 50;

interface Replica {
  book: FleetBook;
  policy: Policy;
}

export function simulate(options: RunOptions): RunResult {
  const { workload, replicas: replicaCount, shareDelayMs } = options;
  const durationMs = options.durationMs ?? workload.durationMs;
  const clock = virtualClock();
  const random = seededSource(options.seed * 7919 + 17);
  const pickRandom = seededSource(options.seed * 104_729 + 5);
  const kvTokens = GPUS.h100.kvTokens;
  const engines: Engine[] = Array.from({ length: options.workers }, () =>
    createEngine({ clock, blockSize: BLOCK_TOKENS, kvTokens }),
  );
  const replicas: Replica[] = Array.from({ length: replicaCount }, () => {
    const book = new FleetBook({ blockTokens: BLOCK_TOKENS });
    for (let i = 0; i < options.workers; i++) book.addWorker({ url: `w${i}`, kvTokens });
    return { book, policy: options.policy() };
  });

  const poll = () => {
    engines.forEach((engine, i) => {
      const stats = engine.stats();
      for (const { book } of replicas) {
        book.workers[i]!.polledWaiting = stats.waiting;
        book.workers[i]!.polledKvUsage = stats.kvUsage;
      }
    });
    if (clock.nowMs() < durationMs) clock.schedule(clock.nowMs() + POLL_MS, poll);
  };
  poll();

  /** Applies an event to the replica that saw it now and to the others later. */
  const share = (origin: number, apply: (replica: Replica) => void) => {
    apply(replicas[origin]!);
    if (shareDelayMs === null || replicaCount === 1) return;
    clock.schedule(clock.nowMs() + shareDelayMs, () => {
      for (let i = 0; i < replicaCount; i++) if (i !== origin) apply(replicas[i]!);
    });
  };

  const ttfts: number[] = [];
  let e2eSum = 0;
  let good = 0;
  let promptTokens = 0;
  let cachedTokens = 0;
  let errorSum = 0;
  let nextId = 0;

  const send = (sim: SimRequest, onEnd?: () => void) => {
    const origin = replicaCount === 1 ? 0 : random.integer(replicaCount);
    const { book, policy } = replicas[origin]!;
    const request: RoutingRequest = {
      id: String(nextId++),
      tenant: sim.tenant,
      promptTokens: sim.promptTokens,
      blocks: sim.blocks,
      blockTokens: BLOCK_TOKENS,
      maxOutputTokens: 4096,
      session: sim.session,
    };
    const context = { nowMs: clock.nowMs(), random: pickRandom.uniform };
    const worker = policy.pick(request, book, book.workers, context);
    const { index } = worker;
    const expectedHit = book.hitTokens(request)[index]!;
    const sentMs = clock.nowMs();
    share(origin, (replica) => {
      replica.book.dispatch(request, index, clock.nowMs());
      replica.policy.onDispatch?.(request, replica.book.workers[index]!);
    });
    engines[index]!.submit(
      {
        promptTokens: sim.promptTokens,
        blockHashes: sim.answerBlocks.length > 0 ? [...sim.blocks, ...sim.answerBlocks] : sim.blocks,
        outputTokens: sim.outputTokens,
      },
      {
        onToken(count) {
          if (count === 1) share(origin, (replica) => replica.book.firstToken(request.id, clock.nowMs()));
        },
        onFinish(_reason, seen) {
          const totalMs = clock.nowMs() - sentMs;
          share(origin, (replica) => {
            replica.book.end(request.id, { cachedTokens: seen.cachedTokens, outputTokens: seen.generatedTokens });
            replica.policy.onEnd?.(replica.book.workers[index]!, totalMs, clock.nowMs());
          });
          onEnd?.();
          if (sim.noise) return;
          const ttft = seen.firstTokenMs ?? seen.totalMs;
          ttfts.push(ttft);
          e2eSum += seen.totalMs;
          const tpot = seen.generatedTokens > 1 ? (seen.totalMs - ttft) / (seen.generatedTokens - 1) : 0;
          if (ttft <= SLO_TTFT_MS && tpot <= SLO_TPOT_MS) good++;
          promptTokens += sim.promptTokens;
          cachedTokens += seen.cachedTokens;
          errorSum += Math.abs(seen.cachedTokens - expectedHit) / sim.promptTokens;
        },
      },
    );
  };

  workload.start(
    {
      nowMs: () => clock.nowMs(),
      at: (atMs, fn) => void clock.schedule(atMs, fn),
      send,
      random: seededSource(options.seed),
    },
    options.load,
    durationMs,
  );
  clock.run();

  ttfts.sort((a, b) => a - b);
  const n = Math.max(1, ttfts.length);
  const quantile = (q: number) => ttfts[Math.min(ttfts.length - 1, Math.floor(q * ttfts.length))] ?? 0;
  return {
    requests: ttfts.length,
    ttftP50Ms: quantile(0.5),
    ttftP99Ms: quantile(0.99),
    e2eMeanMs: e2eSum / n,
    sloPercent: (100 * good) / n,
    hitPercent: (100 * cachedTokens) / Math.max(1, promptTokens),
    hitErrorPoints: (100 * errorSum) / n,
  };
}
