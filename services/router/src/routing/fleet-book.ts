/**
 * The router's own bookkeeping of its fleet: what was sent where, what is still without a first token, what decodes, who
 * holds which prefix. Every modern policy takes its load from here and not from polled metrics (routing notes 0.2).
 * A value with no clock, no I/O and no randomness: the pipeline and the study feed it the same events.
 *
 * An entry that is never ended would weigh on its worker for ever, the worst bug of such a design: `end` is called from
 * the pipeline's one `finally`, and the sums are recomputed to exactly zero when a worker's last entry ends.
 */
import { crc32 } from '@tollgate/shared/domain/key';
import { type EngineEstimate, H100_FP8, Learned, OutputLengths, PeakEwma, prefillMs, stepMs } from './estimates.ts';
import { PinnedBlocks } from './pinned-blocks.ts';
import { type BlockHash, PrefixIndex } from './prefix-index.ts';
import { SlowStart } from './slow-start.ts';

/** What a policy may know of a request. */
export interface RoutingRequest {
  id: string;
  /** Account; affinity and output estimates are never shared between tenants. */
  tenant: string;
  promptTokens: number;
  /** Chained hashes of the prompt's blocks, oldest first. */
  blocks: readonly BlockHash[];
  /** Tokens that one block of this chain stands for, where all are of one size. */
  blockTokens: number;
  /** Where they are not: tokens of the prompt up to the end of each block. */
  ends?: readonly number[];
  maxOutputTokens: number;
  /** Client-given session, salted by account; null = none, or another router's request, which is not picked here. */
  session: string | null;
  /** Of a batch: sent into idle room, of which all routers together take one share. */
  isBatch?: boolean;
}

export interface WorkerSpec {
  url: string;
  /** KV cache in tokens: the cap of the mirror. */
  kvTokens: number;
  estimate?: EngineEstimate;
}

/** What an answer told at its end; null where it did not. */
export interface Seen {
  cachedTokens: number | null;
  outputTokens: number | null;
  /** As the engine counted them: the request's own figure is a guess from its length. */
  promptTokens?: number | null;
}

interface Entry {
  worker: number;
  request: RoutingRequest;
  hitTokens: number;
  uncachedTokens: number;
  prefillMs: number;
  dispatchedMs: number;
  predictedFirstTokenMs: number;
  depth: number;
  /** Another prompt with the same start was being prefilled there: what it holds is not cached yet. */
  hitIsPending: boolean;
  decoding: boolean;
  /** Another router sent it. */
  isOthers: boolean;
  /** Its first token is due and was not heard of yet: it counts as there. */
  isAssumed: boolean;
  /** What it pins of the cache beside its blocks: the end of its prompt, and its answer. */
  ownTokens: number;
}

/** One worker as policies see it. Numbers are sums over this book's live entries. */
export interface WorkerBook {
  readonly index: number;
  readonly url: string;
  /** Of the URL: the same in every router, which `index` is not. */
  readonly hash: number;
  kvTokens: number;
  /** At the pace that this worker has shown. */
  estimate: EngineEstimate;
  running: number;
  decoding: number;
  pendingPrefillTokens: number;
  pendingPrefillMs: number;
  /** Tokens of context held by running requests. */
  heldTokens: number;
  /** Of its cache, what running requests pin, batch left out: shared blocks once, answers as long as is expected. */
  pinnedTokens: number;
  /** Prefill done there so far, ms: it held up those that decode. */
  prefilledMs: number;
  /** Part of the sums above that other routers sent. */
  readonly others: {
    running: number;
    decoding: number;
    pendingPrefillTokens: number;
    /** Of `running`, those of batches, and the tokens of their prompts. */
    batchRunning: number;
    batchHeldTokens: number;
  };
  /** As last polled; null when never seen. */
  polledWaiting: number | null;
  polledKvUsage: number | null;
  readonly health: PeakEwma;
  readonly start: SlowStart;
  /** How much slower than the others of its pool it writes: 1 = not slower. */
  tempo: number;
}

/** Tokens of a prompt in its first `depth` blocks. */
export function tokensAt({ blockTokens, ends }: RoutingRequest, depth: number): number {
  if (ends === undefined) return depth * blockTokens;
  return depth === 0 ? 0 : ends[depth - 1]!;
}

/** One batch request of another router more, or less. */
function countBatch({ others }: WorkerBook, { isBatch, promptTokens }: RoutingRequest, step: 1 | -1): void {
  if (!isBatch) return;
  others.batchRunning += step;
  others.batchHeldTokens += step * promptTokens;
}

/**
 * A first token this much later than predicted is no sign of sickness: another router's prompt that was not heard of yet
 * came before it. Without this slack each such miss made a worker look sick for seconds (four routers: 8 SLO points lost).
 */
const HEALTH_SLACK_MS = 250;
/** A first token after less computing than this tells of latencies, not of the prefill rate. */
const PACE_TOKENS = 512;
/** Running answers are of all ages; this share of what they will be stands for what they take. */
const ANSWER_SHARE = 0.7;

export class FleetBook {
  readonly workers: WorkerBook[] = [];
  readonly index = new PrefixIndex();
  readonly outputs = new OutputLengths();
  private readonly entries = new Map<string, Entry>();
  private readonly learned: Learned[] = [];
  /** Per worker: the first blocks of prompts that are being prefilled, with their number. */
  private readonly prefilling: Map<BlockHash, number>[] = [];
  /** Per worker: blocks that running requests hold. */
  private readonly pinned: PinnedBlocks[] = [];
  /** Per worker: the request that came to it idle and is still alone there. */
  private readonly alone: (Entry | null)[] = [];
  /** Others' requests without a first token, by when it is due, soonest first. */
  private due: { id: string; atMs: number }[] = [];
  /** Places of workers that are gone for good and run nothing any more: the next new worker takes one. */
  private readonly retired = new Set<number>();
  private hitErrorSum = 0;
  private hitReports = 0;
  private depthsBuffer = new Uint32Array(0);

  addWorker(spec: WorkerSpec): WorkerBook {
    const index = this.place(spec.kvTokens);
    const estimate = spec.estimate ?? H100_FP8;
    this.learned[index] = new Learned(estimate, spec.kvTokens);
    this.prefilling[index] = new Map();
    this.pinned[index] = new PinnedBlocks();
    this.alone[index] = null;
    const worker: WorkerBook = {
      index,
      url: spec.url,
      hash: crc32(spec.url),
      kvTokens: spec.kvTokens,
      estimate,
      running: 0,
      decoding: 0,
      pendingPrefillTokens: 0,
      pendingPrefillMs: 0,
      heldTokens: 0,
      pinnedTokens: 0,
      prefilledMs: 0,
      others: { running: 0, decoding: 0, pendingPrefillTokens: 0, batchRunning: 0, batchHeldTokens: 0 },
      polledWaiting: null,
      polledKvUsage: null,
      health: new PeakEwma(),
      start: new SlowStart(),
      tempo: 1,
    };
    this.workers[index] = worker;
    this.depthsBuffer = new Uint32Array(this.workers.length);
    return worker;
  }

  /** The worker left the fleet for good. Nothing may be sent there any more; requests that run there must have ended. */
  retireWorker(workerIndex: number): void {
    this.index.clear(workerIndex);
    this.retired.add(workerIndex);
  }

  /** A place for a worker: one that was left, else a new one. */
  private place(kvTokens: number): number {
    for (const index of this.retired) {
      if (this.workers[index]!.running > 0) continue;
      this.retired.delete(index);
      this.index.setCapacity(index, kvTokens);
      return index;
    }
    return this.index.addWorker(kvTokens);
  }

  /** The worker told how large its cache is. */
  setKvTokens(workerIndex: number, kvTokens: number): void {
    this.workers[workerIndex]!.kvTokens = kvTokens;
    const learned = this.learned[workerIndex]!;
    learned.toldTokens = kvTokens;
    this.index.setCapacity(workerIndex, learned.mirrorTokens);
  }

  /** The worker restarted or is gone: its cache is empty. */
  forget(workerIndex: number): void {
    this.index.clear(workerIndex);
    this.learned[workerIndex]!.mirrorShare = 1;
    this.index.setCapacity(workerIndex, this.learned[workerIndex]!.mirrorTokens);
  }

  /** Cached prompt tokens per worker index, by the mirror; valid until the next call. */
  hitTokens(request: RoutingRequest): Uint32Array {
    const depths = this.depthsBuffer;
    this.index.depths(request.blocks, depths);
    // The engine always computes the last token, and at least one block: a full hit is never the whole prompt.
    const most = Math.max(0, request.promptTokens - 1);
    for (let i = 0; i < depths.length; i++) depths[i] = Math.min(tokensAt(request, depths[i]!), most);
    return depths;
  }

  expectedOutput(request: RoutingRequest): number {
    return this.outputs.expect(request.tenant, request.maxOutputTokens);
  }

  /** Mean difference of the hit promised and the hit reported, as a share of the prompt; 0 before any report. */
  get hitErrorShare(): number {
    return this.hitReports === 0 ? 0 : this.hitErrorSum / this.hitReports;
  }

  /** Books a request; answers after how many milliseconds its first token should come. */
  dispatch(request: RoutingRequest, workerIndex: number, nowMs: number): number {
    return this.enter(request, workerIndex, nowMs, false);
  }

  /**
   * Books what another router sent at `atMs`; its first token should come `firstTokenMs` later. That it came is heard of
   * late, and until then its prefill would weigh on the worker as if it were still to be done: see `settle`.
   */
  dispatchOther(request: RoutingRequest, workerIndex: number, atMs: number, firstTokenMs: number): void {
    this.enter(request, workerIndex, atMs, true);
    const dueMs = atMs + firstTokenMs;
    let place = this.due.length;
    while (place > 0 && this.due[place - 1]!.atMs > dueMs) place--;
    this.due.splice(place, 0, { id: request.id, atMs: dueMs });
  }

  /** Others' first tokens that are due by now count as there. Call it before a pick. */
  settle(nowMs: number): void {
    let passed = 0;
    for (; passed < this.due.length && this.due[passed]!.atMs <= nowMs; passed++) {
      const entry = this.entries.get(this.due[passed]!.id);
      if (!entry || entry.decoding) continue;
      entry.isAssumed = true;
      const worker = this.workers[entry.worker]!;
      this.prefilled(entry, worker);
      this.decodes(entry, worker);
    }
    if (passed > 0) this.due.splice(0, passed);
  }

  private enter(request: RoutingRequest, workerIndex: number, nowMs: number, isOthers: boolean): number {
    const worker = this.workers[workerIndex]!;
    const depth = this.index.depth(workerIndex, request.blocks);
    const hit = Math.min(tokensAt(request, depth), Math.max(0, request.promptTokens - 1));
    const uncached = request.promptTokens - hit;
    const ms = prefillMs(worker.estimate, uncached, request.promptTokens);
    const entry: Entry = {
      worker: workerIndex,
      request,
      hitTokens: hit,
      uncachedTokens: uncached,
      prefillMs: ms,
      dispatchedMs: nowMs,
      predictedFirstTokenMs:
        worker.pendingPrefillMs + ms + stepMs(worker.estimate, worker.decoding + 1, worker.heldTokens),
      depth,
      hitIsPending: this.countPrefilling(workerIndex, request, 1) > 1,
      decoding: false,
      isOthers,
      isAssumed: false,
      ownTokens: this.ownTokens(request),
    };
    this.entries.set(request.id, entry);
    this.alone[workerIndex] = worker.running === 0 ? entry : null;
    worker.running++;
    worker.pendingPrefillTokens += uncached;
    if (isOthers) {
      worker.others.running++;
      worker.others.pendingPrefillTokens += uncached;
      countBatch(worker, request, 1);
    }
    worker.pendingPrefillMs += ms;
    worker.heldTokens += request.promptTokens;
    worker.pinnedTokens += this.pin(entry, 1);
    this.index.touch(workerIndex, request.blocks, request.blockTokens, request.ends);
    return entry.predictedFirstTokenMs;
  }

  /** The first token is here. It tells the worker's health, and its pace when nothing else ran there. */
  firstToken(id: string, nowMs: number): void {
    const entry = this.entries.get(id);
    if (!entry || (entry.decoding && !entry.isAssumed)) return;
    const worker = this.workers[entry.worker]!;
    if (!entry.decoding) {
      this.prefilled(entry, worker);
      this.decodes(entry, worker);
    }
    entry.isAssumed = false;
    const ratio = (nowMs - entry.dispatchedMs) / Math.max(1, entry.predictedFirstTokenMs);
    worker.health.observe((nowMs - entry.dispatchedMs) / (entry.predictedFirstTokenMs + HEALTH_SLACK_MS), nowMs);
    const tells = entry.request.blocks.length > 0 && entry.uncachedTokens >= PACE_TOKENS;
    if (tells && this.alone[entry.worker] === entry) worker.estimate = this.learned[entry.worker]!.observePace(ratio);
  }

  /** The first token must have been made by now, though an answer that comes whole does not show it. */
  assumeFirstToken(id: string): void {
    const entry = this.entries.get(id);
    if (!entry || entry.decoding) return;
    const worker = this.workers[entry.worker]!;
    this.prefilled(entry, worker);
    this.decodes(entry, worker);
  }

  /**
   * The request is over, however it ended. `cachedTokens` as the worker reported them correct the mirror; null when
   * it did not say. `outputTokens` null when it was cut.
   */
  end(id: string, seen: Seen): void {
    const entry = this.entries.get(id);
    if (!entry) return;
    this.entries.delete(id);
    const worker = this.workers[entry.worker]!;
    const { request } = entry;
    if (this.alone[entry.worker] === entry) this.alone[entry.worker] = null;
    worker.running--;
    worker.heldTokens -= request.promptTokens;
    worker.pinnedTokens -= this.pin(entry, -1);
    if (entry.isOthers) {
      worker.others.running--;
      countBatch(worker, request, -1);
    }
    if (entry.decoding) {
      worker.decoding--;
      if (entry.isOthers) worker.others.decoding--;
    } else this.prefilled(entry, worker);
    // Sums of fractions drift; an idle worker weighs exactly nothing.
    if (worker.running === 0) {
      worker.pendingPrefillMs = 0;
      worker.pendingPrefillTokens = 0;
      worker.heldTokens = 0;
      worker.pinnedTokens = 0;
      worker.others.pendingPrefillTokens = 0;
    }
    if (seen.outputTokens !== null) this.outputs.observe(request.tenant, seen.outputTokens);
    const heldDepth = this.correct(entry, seen);
    // A prompt that was answered lies in the cache now, whatever part of it did before.
    if (entry.decoding || (seen.outputTokens ?? 0) > 0)
      this.index.touch(entry.worker, request.blocks, request.blockTokens, request.ends);
    else this.index.truncate(entry.worker, request.blocks, heldDepth);
  }

  /**
   * Compares what the mirror promised with what the worker found. Much less: it evicts sooner than its figures say
   * (answers and others' prompts fill it too), so that the mirror shrinks and its oldest blocks go; hits that were
   * there let it grow again. Answers how many leading blocks the worker held.
   */
  private correct(entry: Entry, seen: Seen): number {
    const learned = this.learned[entry.worker]!;
    const reported = learned.reportedHit(seen.cachedTokens);
    if (reported === null || entry.request.blocks.length === 0) return entry.depth;
    const { promptTokens } = entry.request;
    const foundShare = Math.min(1, reported / Math.max(1, seen.promptTokens ?? promptTokens));
    const promisedShare = entry.hitTokens / Math.max(1, promptTokens);
    // What another router was promised is not known here: its dispatch was entered late, beside prompts that came after it.
    if (entry.isOthers) return entry.depth;
    this.hitErrorSum += Math.abs(foundShare - promisedShare);
    this.hitReports++;
    if (entry.depth === 0 || entry.hitIsPending) return entry.depth;
    if (learned.observeHit(promisedShare, foundShare)) this.index.setCapacity(entry.worker, learned.mirrorTokens);
    // Half a token of rounding must not cost a block.
    const foundTokens = foundShare * promptTokens + 0.5;
    let depth = entry.depth;
    while (depth > 0 && tokensAt(entry.request, depth) > foundTokens) depth--;
    return depth;
  }

  /** Tokens that it takes of the cache (`step` 1), or sets free. Batch has idle room, which is nobody's to miss. */
  private pin({ worker, request, ownTokens }: Entry, step: 1 | -1): number {
    const { blocks, blockTokens, ends, isBatch } = request;
    return isBatch ? 0 : ownTokens + this.pinned[worker]!.count(blocks, blockTokens, ends, step);
  }

  /** What of a prompt is no block, and the answer. A long prompt without blocks was not hashed: it may share all of it. */
  private ownTokens(request: RoutingRequest): number {
    const { blocks, blockTokens, promptTokens } = request;
    const isHashed = blocks.length > 0 || promptTokens < 2 * blockTokens;
    const rest = isHashed ? promptTokens - tokensAt(request, blocks.length) : 0;
    return Math.round(rest + ANSWER_SHARE * this.expectedOutput(request));
  }

  private decodes(entry: Entry, worker: WorkerBook): void {
    entry.decoding = true;
    worker.prefilledMs += entry.prefillMs;
    worker.decoding++;
    if (entry.isOthers) worker.others.decoding++;
  }

  /** Its prefill weighs on the worker no more. */
  private prefilled(entry: Entry, worker: WorkerBook): void {
    if (entry.isOthers) worker.others.pendingPrefillTokens -= entry.uncachedTokens;
    worker.pendingPrefillTokens -= entry.uncachedTokens;
    worker.pendingPrefillMs -= entry.prefillMs;
    this.countPrefilling(entry.worker, entry.request, -1);
  }

  /** How many prompts with this one's first block are being prefilled there, after adding `step`. */
  private countPrefilling(workerIndex: number, { blocks }: RoutingRequest, step: 1 | -1): number {
    if (blocks.length === 0) return 0;
    const prefilling = this.prefilling[workerIndex]!;
    const count = (prefilling.get(blocks[0]!) ?? 0) + step;
    if (count === 0) prefilling.delete(blocks[0]!);
    else prefilling.set(blocks[0]!, count);
    return count;
  }

  /** Live entries; 0 when nothing is in flight. */
  get inFlight(): number {
    return this.entries.size;
  }
}
