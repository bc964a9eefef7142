/**
 * Choosing for real: the book of the fleet, the configured policy, and what turns a request into the terms of both.
 * No I/O; time and chance are arguments. Each event of a request enters here in one place: `dispatch`, then its booking.
 */
import { BytesPerToken } from './estimates.ts';
import { FleetBook, type RoutingRequest, type WorkerBook } from './fleet-book.ts';
import { POLICIES, type PolicyName } from './policies/index.ts';
import type { Policy } from './policy.ts';
import { BLOCK_BYTES, type PromptText, promptChain } from './prefix-hash.ts';

/** A request as the pipeline knows it. */
export interface Asked {
  id: string;
  model: string;
  accountId: string;
  text: PromptText;
  /** Bytes of both texts. */
  promptBytes: number;
  maxOutputTokens: number;
  /** Secret of the account: prompts of different accounts never look alike. */
  salt: string;
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

/** Until a worker has told its size: an H100 beside a 30B model. */
const FIRST_KV_TOKENS = 400_000;
const FIRST_BLOCK_TOKENS = BLOCK_BYTES / 4;
const NO_BLOCKS: readonly number[] = [];
const NOTHING_SEEN = { cachedTokens: null, outputTokens: null };

export class Picker {
  private readonly book = new FleetBook({ blockTokens: FIRST_BLOCK_TOKENS });
  private readonly bytesPerToken = new BytesPerToken();
  private readonly policy: Policy;
  private readonly nowMs: () => number;
  private readonly random: () => number;

  /** `nowMs` is monotonic; `random` is uniform in [0, 1). */
  constructor(policy: PolicyName, nowMs: () => number, random: () => number) {
    this.policy = POLICIES[policy]();
    this.nowMs = nowMs;
    this.random = random;
  }

  addWorker(url: string): WorkerBook {
    return this.book.addWorker({ url, kvTokens: FIRST_KV_TOKENS });
  }

  /** The worker told the size of its cache, in tokens of `model`. */
  noteKvTokens(worker: WorkerBook, kvTokens: number, model: string): void {
    this.book.setKvTokens(worker.index, kvTokens, BLOCK_BYTES / this.bytesPerToken.of(model));
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
    return {
      id,
      model,
      promptBytes,
      tenant: `${accountId} ${model}`,
      promptTokens: Math.ceil(promptBytes / bytesPerToken),
      blocks: isHashed ? promptChain(`${asked.salt} ${model}`, asked.text, promptBytes) : NO_BLOCKS,
      blockTokens: BLOCK_BYTES / bytesPerToken,
      maxOutputTokens,
      session: null,
    };
  }

  /** One of `candidates`, of which there is at least one. */
  pick(request: Routed, candidates: readonly WorkerBook[]): WorkerBook {
    if (candidates.length === 1) return candidates[0]!;
    return this.policy.pick(request, this.book, candidates, { nowMs: this.nowMs(), random: this.random });
  }

  dispatch(request: Routed, worker: WorkerBook): Booking {
    const { book, policy } = this;
    const sentMs = this.nowMs();
    const startsMs = sentMs + book.dispatch(request, worker.index, sentMs) * worker.health.read(sentMs);
    policy.onDispatch?.(request, worker);
    let isOpen = true;
    return {
      firstToken: () => {
        if (isOpen) book.firstToken(request.id, this.nowMs());
      },
      assumeStarted: () => {
        if (isOpen && this.nowMs() >= startsMs) book.assumeFirstToken(request.id);
      },
      end: (counts) => {
        if (!isOpen) return;
        isOpen = false;
        const endMs = this.nowMs();
        if (counts?.final) {
          const { promptTokens, cachedTokens, completionTokens } = counts;
          book.end(request.id, { cachedTokens, promptTokens, outputTokens: completionTokens });
          if (promptTokens !== null) this.bytesPerToken.observe(request.model, request.promptBytes, promptTokens);
        } else book.end(request.id, NOTHING_SEEN);
        policy.onEnd?.(worker, endMs - sentMs, endMs);
      },
    };
  }

  /** Requests in the book: 0 when nothing runs. */
  get inFlight(): number {
    return this.book.inFlight;
  }

  /** Mean difference of predicted and reported hits, in points of the prompt. */
  get hitErrorPoints(): number {
    return this.book.hitErrorShare * 100;
  }
}
