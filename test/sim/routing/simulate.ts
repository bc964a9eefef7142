/**
 * One run: a fleet of modelled engines in virtual time, one or more router replicas with their own books, a policy and a
 * workload. Replicas tell each other what they do as real routers do (`routing/replicas/`: deltas in batches), and each
 * message takes `shareDelayMs`; null: they never hear of each other.
 */

import { virtualClock } from '@tollgate/devworker/engine/clock';
import { createEngine, type Engine } from '@tollgate/devworker/engine/engine';
import { GPUS, type StepCost } from '@tollgate/devworker/engine/step-time';
import { FleetBook, type RoutingRequest, type Seen } from '@tollgate/router/routing/fleet-book';
import type { Policy } from '@tollgate/router/routing/policy';
import { Inbox } from '@tollgate/router/routing/replicas/inbox';
import { Outbox } from '@tollgate/router/routing/replicas/outbox';
import type { Message } from '@tollgate/router/routing/replicas/protocol';
import { seededSource } from './random.ts';
import { type RunResult, Tally } from './tally.ts';
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
  /** How many times slower the first worker is than the others. */
  slowness?: number;
}

const POLL_MS = 50;

/** How long a delta waits for company (TOLLGATE_SHARE_BOOKS_MS). */
const BATCH_MS = 15;

interface Replica {
  book: FleetBook;
  policy: Policy;
  outbox: Outbox;
  inbox: Inbox;
  isFlushing: boolean;
}

export function simulate(options: RunOptions): RunResult {
  const { workload, replicas: replicaCount, shareDelayMs } = options;
  const durationMs = options.durationMs ?? workload.durationMs;
  const clock = virtualClock();
  const random = seededSource(options.seed * 7919 + 17);
  const pickRandom = seededSource(options.seed * 104_729 + 5);
  const kvTokens = GPUS.h100.kvTokens;
  const engines: Engine[] = Array.from({ length: options.workers }, (_, i) =>
    createEngine({ clock, blockSize: BLOCK_TOKENS, kvTokens, cost: slowed(i === 0 ? (options.slowness ?? 1) : 1) }),
  );
  const isShared = shareDelayMs !== null && replicaCount > 1;
  const replicas: Replica[] = Array.from({ length: replicaCount }, (_, number) => {
    const book = new FleetBook();
    for (let i = 0; i < options.workers; i++) book.addWorker({ url: `w${i}`, kvTokens });
    const policy = options.policy();
    const outbox = new Outbox(`r${number}`);
    outbox.record(isShared);
    const inbox = new Inbox(`r${number}`, othersInto(book, policy));
    return { book, policy, outbox, inbox, isFlushing: false };
  });
  const tell = (message: Message, origin: Replica) => {
    clock.schedule(clock.nowMs() + shareDelayMs!, () => {
      for (const each of replicas) if (each !== origin) each.inbox.receive(message, clock.nowMs());
    });
  };
  if (isShared) for (const each of replicas) tell(each.outbox.snapshot(0), each);
  /** Plans the delta of a replica to which something happened. */
  const share = (origin: Replica) => {
    if (!isShared || origin.isFlushing) return;
    origin.isFlushing = true;
    clock.schedule(clock.nowMs() + BATCH_MS, () => {
      origin.isFlushing = false;
      const delta = origin.outbox.delta(clock.nowMs());
      if (delta !== null) tell(delta, origin);
    });
  };

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

  const tally = new Tally();
  let nextId = 0;

  const send = (sim: SimRequest, onEnd?: () => void) => {
    const origin = replicas[replicaCount === 1 ? 0 : random.integer(replicaCount)]!;
    const { book, policy, outbox } = origin;
    const request: RoutingRequest = {
      id: String(nextId++),
      tenant: sim.tenant,
      promptTokens: sim.promptTokens,
      blocks: sim.blocks,
      blockTokens: BLOCK_TOKENS,
      maxOutputTokens: 4096,
      session: sim.session,
    };
    book.settle(clock.nowMs());
    const context = { nowMs: clock.nowMs(), random: pickRandom.uniform };
    const worker = policy.pick(request, book, book.workers, context);
    const { index } = worker;
    const expectedHit = book.hitTokens(request)[index]!;
    const sentMs = clock.nowMs();
    const firstTokenMs = book.dispatch(request, index, sentMs) * worker.health.read(sentMs);
    policy.onDispatch?.(request, worker);
    outbox.dispatched(request, worker.url, firstTokenMs, sentMs);
    share(origin);
    engines[index]!.submit(
      {
        promptTokens: sim.promptTokens,
        blockHashes: sim.answerBlocks.length > 0 ? [...sim.blocks, ...sim.answerBlocks] : sim.blocks,
        outputTokens: sim.outputTokens,
      },
      {
        onFirstToken() {
          book.firstToken(request.id, clock.nowMs());
          outbox.started(request.id, true, clock.nowMs());
          share(origin);
        },
        onFinish(_reason, seen) {
          const told = { cachedTokens: seen.cachedTokens, outputTokens: seen.generatedTokens };
          book.end(request.id, told);
          policy.onEnd?.(worker, clock.nowMs() - sentMs, clock.nowMs());
          outbox.ended(request.id, told, clock.nowMs());
          share(origin);
          onEnd?.();
          if (sim.noise) return;
          const { cachedTokens, generatedTokens, totalMs } = seen;
          const ttftMs = seen.firstTokenMs ?? totalMs;
          const { promptTokens } = sim;
          tally.add({ cameMs: sentMs, ttftMs, totalMs, generatedTokens, promptTokens, cachedTokens, expectedHit });
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

  return tally.result();
}

function slowed(times: number): StepCost {
  const { cost } = GPUS.h100;
  return {
    ...cost,
    baseMs: cost.baseMs * times,
    bytesPerMs: cost.bytesPerMs / times,
    perSequenceMs: cost.perSequenceMs * times,
    prefillMsPerToken: cost.prefillMsPerToken * times,
    attentionMsPerPair: cost.attentionMsPerPair * times,
  };
}

/** Others' events in a replica's book and policy; workers are `w<index>`. */
function othersInto(book: FleetBook, policy: Policy) {
  const sent = new Map<string, { index: number; atMs: number }>();
  return {
    dispatch(request: RoutingRequest, url: string, atMs: number, firstTokenMs: number) {
      const index = Number(url.slice(1));
      sent.set(request.id, { index, atMs });
      book.dispatchOther(request, index, atMs, firstTokenMs);
      policy.onDispatch?.(request, book.workers[index]!);
    },
    start: (id: string, _isMeasured: boolean, atMs: number) => book.firstToken(id, atMs),
    end(id: string, seen: Seen, atMs: number) {
      const { index, atMs: sentMs } = sent.get(id)!;
      sent.delete(id);
      book.end(id, seen);
      policy.onEnd?.(book.workers[index]!, atMs - sentMs, atMs);
    },
  };
}
