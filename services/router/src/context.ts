/** Everything known of one request, from its first header to its last byte. Opened once, closed once (pipeline.ts). */
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import type { AppError } from '@tollgate/shared/domain/errors';
import type { RequestId } from '@tollgate/shared/domain/ids';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { CountSource, Intent } from '@tollgate/shared/domain/usage';
import type { LimitStates } from '@tollgate/shared/redis/money-scripts';
import type { AnswerForm } from './answer-form.ts';
import type { ContractProfile } from './contract/profile.ts';
import type { ChatRequest } from './contract/request.ts';
import { NO_COUNTS, type TokenCounts } from './relay/token-counts.ts';
import type { RequestText } from './upstream/body.ts';

/** What a request was admitted with. From here on it must be settled or given back. */
export interface Admission {
  intent: Intent;
  /** Output tokens per choice that the worker is told. */
  outputLimit: number;
  /** The limit was lowered because credit is short: the client is told so. */
  clamped: boolean;
  /** The client asked for no limit and ours is a guess that may pass the context: it may be lowered once. */
  limitIsGuess: boolean;
}

export class RequestContext {
  readonly requestId: RequestId;
  readonly endpoint: string;
  readonly profile: ContractProfile;
  /** Monotonic. */
  readonly startedMs: number;
  readonly clientRequestId: string | null;

  key: KeyRecord | null = null;
  request: ChatRequest | null = null;
  text: RequestText | null = null;
  model: CatalogModel | null = null;
  /** What the answer must look like; null = nothing was asked. */
  form: AnswerForm | null = null;
  /** Bytes of what becomes the prompt; base of the hold's bound and of estimates. */
  promptBytes = 0;
  limits: LimitStates | null = null;
  admission: Admission | null = null;

  /** Sent to a worker at least once. */
  dispatched = false;
  attempts = 0;
  workerUrl: string | null = null;
  /** A byte of an answer (comments do not count) has gone to the client. */
  answerStarted = false;
  counts: TokenCounts = NO_COUNTS;
  countSource: CountSource = 'engine';
  /** Output tokens as guessed from what was passed on: used when the engine told none. */
  guessedTokens = 0;
  /** The answer being read; where heartbeats find the latest counts. */
  reader: { readonly counts: TokenCounts } | null = null;
  /** Tokens that a failed first attempt had made. */
  abandonedTokens = 0;
  /** Tokens of a first answer that broke its schema. */
  invalidTokens = 0;
  finishReason: string | null = null;
  queueMs: number | null = null;
  /** Monotonic. */
  firstTokenMs: number | null = null;

  status = 0;
  outcome: Outcome | null = null;
  error: AppError | null = null;
  /** Given once the bill is safe. */
  settlement: Promise<void> | null = null;
  amountNusd: bigint | null = null;

  constructor(
    requestId: RequestId,
    endpoint: string,
    profile: ContractProfile,
    startedMs: number,
    clientRequestId: string | null,
  ) {
    this.requestId = requestId;
    this.endpoint = endpoint;
    this.profile = profile;
    this.startedMs = startedMs;
    this.clientRequestId = clientRequestId;
  }
}
