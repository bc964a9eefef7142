/**
 * The router's own bookkeeping of its fleet: what was sent where, what is still without a first token, what decodes, who
 * holds which prefix. Every modern policy takes its load from here and not from polled metrics (routing notes 0.2).
 * A value with no clock, no I/O and no randomness: the pipeline and the study feed it the same events.
 *
 * An entry that is never ended would weigh on its worker for ever, the worst bug of such a design: `end` is called from
 * the pipeline's one `finally`, and the sums are recomputed to exactly zero when a worker's last entry ends.
 */
import { type EngineEstimate, H100_FP8, OutputLengths, PeakEwma, prefillMs, stepMs } from './estimates.ts';
import { type BlockHash, PrefixIndex } from './prefix-index.ts';

/** What a policy may know of a request. */
export interface RoutingRequest {
  id: string;
  /** Account; affinity and output estimates are never shared between tenants. */
  tenant: string;
  promptTokens: number;
  /** Chained hashes of the prompt's full blocks, oldest first. */
  blocks: readonly BlockHash[];
  /** Tokens that one block of this chain stands for. */
  blockTokens: number;
  maxOutputTokens: number;
  /** Client-given session, if any. */
  session: string | null;
}

export interface WorkerSpec {
  url: string;
  /** KV cache in tokens: the cap of the mirror. */
  kvTokens: number;
  estimate?: EngineEstimate;
}

interface Entry {
  worker: number;
  request: RoutingRequest;
  uncachedTokens: number;
  prefillMs: number;
  dispatchedMs: number;
  predictedFirstTokenMs: number;
  depth: number;
  decoding: boolean;
}

/** One worker as policies see it. Numbers are sums over this book's live entries. */
export interface WorkerBook {
  readonly index: number;
  readonly url: string;
  readonly kvTokens: number;
  readonly estimate: EngineEstimate;
  running: number;
  decoding: number;
  pendingPrefillTokens: number;
  pendingPrefillMs: number;
  /** Tokens of context held by running requests. */
  heldTokens: number;
  /** As last polled; null when never seen. */
  polledWaiting: number | null;
  polledKvUsage: number | null;
  readonly health: PeakEwma;
}

export interface FleetBookOptions {
  /** Tokens per block of the chains that will come; sizes the mirrors. */
  blockTokens: number;
}

const REGRET_WEIGHT = 0.005;
/** The list of seen blocks holds this many times the fleet's blocks. */
const SEEN_FACTOR = 4;

export class FleetBook {
  readonly workers: WorkerBook[] = [];
  readonly index = new PrefixIndex();
  readonly outputs = new OutputLengths();
  private readonly entries = new Map<string, Entry>();
  private readonly seen = new Map<BlockHash, true>();
  private seenCapacity = 0;
  private readonly blockTokens: number;
  private depthsBuffer = new Uint32Array(0);
  private regretShare = 0;

  constructor(options: FleetBookOptions) {
    this.blockTokens = options.blockTokens;
  }

  addWorker(spec: WorkerSpec): WorkerBook {
    const index = this.index.addWorker(spec.kvTokens / this.blockTokens);
    const worker: WorkerBook = {
      index,
      url: spec.url,
      kvTokens: spec.kvTokens,
      estimate: spec.estimate ?? H100_FP8,
      running: 0,
      decoding: 0,
      pendingPrefillTokens: 0,
      pendingPrefillMs: 0,
      heldTokens: 0,
      polledWaiting: null,
      polledKvUsage: null,
      health: new PeakEwma(),
    };
    this.workers.push(worker);
    this.seenCapacity += Math.ceil((SEEN_FACTOR * spec.kvTokens) / this.blockTokens);
    this.depthsBuffer = new Uint32Array(this.workers.length);
    return worker;
  }

  /** Cached prompt tokens per worker index, by the mirror; valid until the next call. */
  hitTokens(request: RoutingRequest): Uint32Array {
    const depths = this.depthsBuffer;
    this.index.depths(request.blocks, depths);
    // The engine always computes the last token, and at least one block: a full hit is never the whole prompt.
    const most = Math.max(0, request.promptTokens - 1);
    for (let i = 0; i < depths.length; i++) depths[i] = Math.min(depths[i]! * request.blockTokens, most);
    return depths;
  }

  expectedOutput(request: RoutingRequest): number {
    return this.outputs.expect(request.tenant, request.maxOutputTokens);
  }

  /** Share of computed prompt tokens that some worker had computed before (rho of routing notes 6.1). */
  get regret(): number {
    return this.regretShare;
  }

  dispatch(request: RoutingRequest, workerIndex: number, nowMs: number): void {
    const worker = this.workers[workerIndex]!;
    const depth = this.index.depth(workerIndex, request.blocks);
    const hit = Math.min(depth * request.blockTokens, Math.max(0, request.promptTokens - 1));
    const uncached = request.promptTokens - hit;
    const ms = prefillMs(worker.estimate, uncached, request.promptTokens);
    this.noteRegret(request, depth, uncached);
    this.entries.set(request.id, {
      worker: workerIndex,
      request,
      uncachedTokens: uncached,
      prefillMs: ms,
      dispatchedMs: nowMs,
      predictedFirstTokenMs:
        worker.pendingPrefillMs + ms + stepMs(worker.estimate, worker.decoding + 1, worker.heldTokens),
      depth,
      decoding: false,
    });
    worker.running++;
    worker.pendingPrefillTokens += uncached;
    worker.pendingPrefillMs += ms;
    worker.heldTokens += request.promptTokens;
    this.index.touch(workerIndex, request.blocks);
  }

  firstToken(id: string, nowMs: number): void {
    const entry = this.entries.get(id);
    if (!entry || entry.decoding) return;
    const worker = this.workers[entry.worker]!;
    entry.decoding = true;
    worker.decoding++;
    worker.pendingPrefillTokens -= entry.uncachedTokens;
    worker.pendingPrefillMs -= entry.prefillMs;
    worker.health.observe((nowMs - entry.dispatchedMs) / Math.max(1, entry.predictedFirstTokenMs), nowMs);
  }

  /**
   * The request is over, however it ended. `cachedTokens` as the worker reported them correct the mirror; null when
   * it did not say. `outputTokens` null when it was cut.
   */
  end(id: string, seen: { cachedTokens: number | null; outputTokens: number | null }): void {
    const entry = this.entries.get(id);
    if (!entry) return;
    this.entries.delete(id);
    const worker = this.workers[entry.worker]!;
    const { request } = entry;
    worker.running--;
    worker.heldTokens -= request.promptTokens;
    if (entry.decoding) worker.decoding--;
    else {
      worker.pendingPrefillTokens -= entry.uncachedTokens;
      worker.pendingPrefillMs -= entry.prefillMs;
    }
    // Sums of fractions drift; an idle worker weighs exactly nothing.
    if (worker.running === 0) {
      worker.pendingPrefillMs = 0;
      worker.pendingPrefillTokens = 0;
      worker.heldTokens = 0;
    }
    if (seen.outputTokens !== null) this.outputs.observe(request.tenant, seen.outputTokens);
    if (entry.decoding) this.index.touch(entry.worker, request.blocks);
    else this.index.truncate(entry.worker, request.blocks, entry.depth);
  }

  /** Live entries; 0 when nothing is in flight. */
  get inFlight(): number {
    return this.entries.size;
  }

  private noteRegret(request: RoutingRequest, depth: number, uncached: number): void {
    let again = 0;
    for (let i = depth; i < request.blocks.length; i++) if (this.seen.has(request.blocks[i]!)) again++;
    const share = Math.min(1, (again * request.blockTokens) / Math.max(1, uncached));
    this.regretShare += REGRET_WEIGHT * (share - this.regretShare);
    for (let i = request.blocks.length - 1; i >= 0; i--) {
      const hash = request.blocks[i]!;
      this.seen.delete(hash);
      this.seen.set(hash, true);
    }
    if (this.seen.size > this.seenCapacity) {
      for (const hash of this.seen.keys()) {
        this.seen.delete(hash);
        if (this.seen.size <= this.seenCapacity) break;
      }
    }
  }
}
