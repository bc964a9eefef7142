/** Everything known of one request, from its first header to its last byte. Opened once, closed once (pipeline.ts). */
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import type { AppError } from '@tollgate/shared/domain/errors';
import type { RequestId } from '@tollgate/shared/domain/ids';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { CountSource, Intent } from '@tollgate/shared/domain/usage';
import type { LimitStates } from '@tollgate/shared/redis/money-scripts';
import type { AnswerForm } from './answer-form.ts';
import type { BodyCopy } from './bodies/copy.ts';
import type { ContractProfile } from './contract/profile.ts';
import type { GenerationRequest } from './contract/request.ts';
import type { Endpoint } from './endpoints/endpoint.ts';
import { NO_TERMS, type QueueTerms } from './queue/terms.ts';
import type { PatchForm } from './relay/patch-form.ts';
import { NO_COUNTS, type TokenCounts } from './relay/token-counts.ts';
import type { TakenOver } from './repeats/progress.ts';
import type { Recording } from './repeats/recording.ts';
import type { RequestTrace } from './tracing/tracing.ts';
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
  /** A request that is taken over keeps the id of the first (repeats/). */
  requestId: RequestId;
  /** Path below the contract's base, for the log and the record. */
  readonly endpoint: string;
  /** How this kind of generation speaks; null for what is none. */
  generation: Endpoint | null = null;
  readonly profile: ContractProfile;
  /** Monotonic. */
  readonly startedMs: number;
  readonly clientRequestId: string | null;
  /** The client's program, as it calls itself; for people who read request history. */
  userAgent: string | null = null;

  key: KeyRecord | null = null;
  request: GenerationRequest | null = null;
  text: RequestText | null = null;
  model: CatalogModel | null = null;
  /** What the answer must look like; null = nothing was asked. */
  form: AnswerForm | null = null;
  /** A document streamed as operations (`stream: "patch"`), and how they are written. */
  patchForm: PatchForm | null = null;
  /** Bytes of what becomes the prompt; base of the hold's bound and of estimates. */
  promptBytes = 0;
  limits: LimitStates | null = null;
  queueTerms: QueueTerms = NO_TERMS;
  /** The conversation, as a header names it; never logged. */
  session: string | null = null;
  admission: Admission | null = null;

  /** Sent to a worker at least once. */
  dispatched = false;
  attempts = 0;
  workerUrl: string | null = null;
  /** Engine and version of that worker. */
  engine: string | null = null;
  /** SHA-256 of the body as it was received, for the receipt. */
  requestDigest: string | null = null;
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
  /** Tokens that were made twice when an answer went on at another worker. */
  resumeTokens = 0;
  /** Tokens of a first answer that broke its schema. */
  invalidTokens = 0;
  finishReason: string | null = null;
  queueMs: number | null = null;
  /** Monotonic. */
  firstTokenMs: number | null = null;
  /** Monotonic: when the last bytes of a whole stream came from its worker. */
  lastTokenMs: number | null = null;

  /** Copy of both bodies, where the account has them kept. */
  bodyCopy: BodyCopy | null = null;
  /** Keeps the answer under its Idempotency-Key. */
  recording: Recording | null = null;
  /** What the router left that began this request and died. */
  takenOver: TakenOver | null = null;

  /** Its spans, where tracing is on. */
  trace: RequestTrace | null = null;
  /** The scores of all candidates, as JSON, where an administrator asked for them. */
  routeExplained: string | null = null;
  wantsExplanation = false;

  status = 0;
  outcome: Outcome | null = null;
  error: AppError | null = null;
  /** Given once the bill is safe. */
  settlement: Promise<void> | null = null;
  amountNusd: bigint | null = null;
  /** From the first dispatch on: its places on the lists of what runs. */
  running: { end(): void } | null = null;

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
