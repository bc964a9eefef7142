/**
 * Choosing for real: the book of the fleet, the configured policy, and what turns a request into the terms of both.
 * No I/O; time and chance are arguments. Each event of a request enters here in one place: `dispatch`, then its booking.
 */
import { BytesPerToken } from './estimates.ts';
import { FleetBook, type RoutingRequest, type Seen, type WorkerBook } from './fleet-book.ts';
import { POLICIES, type PolicyName } from './policies/index.ts';
import type { CostTerms, Policy } from './policy.ts';
import { blockBytes, type PromptText, promptChain } from './prefix-hash.ts';
import { boundedHash } from './replicas/bounded-hash.ts';
import type { BookSink } from './replicas/inbox.ts';
import { sessionOf } from './session.ts';

/** A request as the pipeline knows it. */
export interface Asked {
  id: string;
  model: string;
  accountId: string;
  text: PromptText;
  /** Bytes of both texts. */
  promptBytes: number;
  maxOutputTokens: number;
  /** Secret of the account: prompts and sessions of different accounts never look alike. */
  salt: string;
  /** The client's name of the conversation, if it gave one. */
  session?: string | null;
}

/** A request in the terms of a policy; made once, used for each attempt. */
export interface Routed extends RoutingRequest {
  readonly model: string;
  readonly promptBytes: number;
}

/** Token counts as the engine closed the answer with. */
export interface ClosingCounts {
  promptTokens: number | null;
  cachedTokens: number | null;
  completionTokens: number;
  final: boolean;
}

/** One attempt in the book. Every step may come any number of times and counts once. */
export interface Booking {
  firstToken(): void;
  /** Of an answer that comes whole: by now its first token has been made, if the worker is as fast as thought. */
  assumeStarted(): void;
  /** null: it ended without a good answer. */
  end(counts: ClosingCounts | null): void;
}

/** Who is told of this router's own events, so that other routers count them too. Ids name attempts, one at a time. */
export interface BookEvents {
  /** `firstTokenMs`: after how long its first token should come. */
  dispatched(request: RoutingRequest, url: string, firstTokenMs: number): void;
  started(id: string, isMeasured: boolean): void;
  ended(id: string, seen: Seen): void;
  /** What the other routers do is not known at present. */
  readonly isBlind: boolean;
}

const ALONE: BookEvents = { dispatched() {}, started() {}, ended() {}, isBlind: false };

/** Until a worker has told its size: an H100 beside a 30B model. */
const FIRST_KV_TOKENS = 400_000;
const NO_BLOCKS: readonly number[] = [];
const NOTHING_SEEN = { cachedTokens: null, outputTokens: null };

export class Picker {
  private readonly book = new FleetBook();
  private readonly bytesPerToken = new BytesPerToken();
  private readonly policy: Policy;
  private readonly nowMs: () => number;
  private readonly random: () => number;
  private readonly byUrl = new Map<string, WorkerBook>();
  private events: BookEvents = ALONE;

  /** `nowMs` is monotonic; `random` is uniform in [0, 1). */
  constructor(policy: PolicyName, nowMs: () => number, random: () => number) {
    this.policy = POLICIES[policy]();
    this.nowMs = nowMs;
    this.random = random;
  }

  addWorker(url: string): WorkerBook {
    const worker = this.book.addWorker({ url, kvTokens: FIRST_KV_TOKENS });
    this.byUrl.set(url, worker);
    return worker;
  }

  /** The worker left the fleet for good; its own requests have ended. */
  removeWorker(worker: WorkerBook): void {
    this.byUrl.delete(worker.url);
    this.book.retireWorker(worker.index);
    this.policy.onLeave?.(worker);
  }

  /** From now on these are told of what happens here. */
  tell(events: BookEvents): void {
    this.events = events;
  }

  /** Where other routers' events go; those at workers that this router does not know are left out. */
  get others(): BookSink {
    const { book, byUrl, policy } = this;
    const sent = new Map<string, { worker: WorkerBook; atMs: number }>();
    return {
      dispatch(request, url, atMs, firstTokenMs) {
        const worker = byUrl.get(url);
        if (worker === undefined) return;
        sent.set(request.id, { worker, atMs });
        book.dispatchOther(request, worker.index, atMs, firstTokenMs);
        policy.onDispatch?.(request, worker);
      },
      start(id, isMeasured, atMs) {
        if (!sent.has(id)) return;
        if (isMeasured) book.firstToken(id, atMs);
        else book.assumeFirstToken(id);
      },
      end(id, seen, atMs) {
        const entry = sent.get(id);
        if (entry === undefined) return;
        sent.delete(id);
        book.end(id, seen);
        policy.onEnd?.(entry.worker, atMs - entry.atMs, atMs);
      },
    };
  }

  /** The worker told the size of its cache. */
  noteKvTokens(worker: WorkerBook, kvTokens: number): void {
    this.book.setKvTokens(worker.index, kvTokens);
  }

  /** The worker's cache is empty: it restarted, or is gone. */
  forget(worker: WorkerBook): void {
    this.book.forget(worker.index);
  }

  /** `hasChoice`: more than one worker serves the model. Without a choice nobody asks for the prompt's hashes. */
  route(asked: Asked, hasChoice: boolean): Routed {
    const { id, model, accountId, promptBytes, maxOutputTokens } = asked;
    const bytesPerToken = this.bytesPerToken.of(model);
    const isHashed = hasChoice && !this.policy.prefixBlind;
    const chained = isHashed ? promptChain(`${asked.salt} ${model}`, asked.text, promptBytes) : null;
    return {
      id,
      model,
      promptBytes,
      tenant: `${accountId} ${model}`,
      promptTokens: Math.ceil(promptBytes / bytesPerToken),
      blocks: chained?.hashes ?? NO_BLOCKS,
      ends: chained?.ends.map((bytes) => Math.round(bytes / bytesPerToken)) ?? NO_BLOCKS,
      blockTokens: blockBytes(0) / bytesPerToken,
      maxOutputTokens,
      session: asked.session ? sessionOf(asked.salt, asked.session) : null,
    };
  }

  /** One of `candidates`, of which there is at least one. */
  pick(request: Routed, candidates: readonly WorkerBook[]): WorkerBook {
    if (candidates.length === 1) return candidates[0]!;
    if (this.events.isBlind) return boundedHash(request, candidates);
    this.book.settle(this.nowMs());
    return this.policy.pick(request, this.book, candidates, { nowMs: this.nowMs(), random: this.random });
  }

  /**
   * Predicted cost of the request there, as the policy compares it with that at the others `among` which it is; null: the
   * policy compares something else.
   */
  costMs(request: Routed, worker: WorkerBook, among: readonly WorkerBook[]): number | null {
    return this.policy.costMs?.(request, this.book, worker, among, this.nowMs()) ?? null;
  }

  /** The parts of `costMs`; null where the policy has none. */
  costTerms(request: Routed, worker: WorkerBook, among: readonly WorkerBook[]): CostTerms | null {
    return this.policy.costTerms?.(request, this.book, worker, among, this.nowMs()) ?? null;
  }

  /** Tokens of the prompt that the worker is believed to hold. */
  hitTokens(request: RoutingRequest, worker: WorkerBook): number {
    return this.book.hitTokens(request)[worker.index] ?? 0;
  }

  /** The same for each worker, by its index; valid until the next call. */
  hitsByIndex(request: RoutingRequest): Uint32Array {
    return this.book.hitTokens(request);
  }

  get policyName(): string {
    return this.policy.name;
  }

  expectedOutput(request: Routed): number {
    return this.book.expectedOutput(request);
  }

  dispatch(request: Routed, worker: WorkerBook): Booking {
    const { book, policy, events } = this;
    const sentMs = this.nowMs();
    const startsMs = sentMs + book.dispatch(request, worker.index, sentMs) * worker.health.read(sentMs);
    policy.onDispatch?.(request, worker);
    events.dispatched(request, worker.url, startsMs - sentMs);
    let isOpen = true;
    return {
      firstToken: () => {
        if (!isOpen) return;
        book.firstToken(request.id, this.nowMs());
        events.started(request.id, true);
      },
      assumeStarted: () => {
        if (!isOpen || this.nowMs() < startsMs) return;
        book.assumeFirstToken(request.id);
        events.started(request.id, false);
      },
      end: (counts) => {
        if (!isOpen) return;
        isOpen = false;
        const endMs = this.nowMs();
        if (counts?.final) {
          const { promptTokens, cachedTokens, completionTokens } = counts;
          const seen = { cachedTokens, promptTokens, outputTokens: completionTokens };
          book.end(request.id, seen);
          events.ended(request.id, seen);
          if (promptTokens !== null) this.bytesPerToken.observe(request.model, request.promptBytes, promptTokens);
        } else {
          book.end(request.id, NOTHING_SEEN);
          events.ended(request.id, NOTHING_SEEN);
        }
        policy.onEnd?.(worker, endMs - sentMs, endMs);
      },
    };
  }

  /** Requests in the book: 0 when nothing runs. */
  get inFlight(): number {
    return this.book.inFlight;
  }

  /** Places of workers in the book: a worker that left makes room for the next. */
  get places(): number {
    return this.book.workers.length;
  }

  /** Mean difference of predicted and reported hits, in points of the prompt. */
  get hitErrorPoints(): number {
    return this.book.hitErrorShare * 100;
  }
}
