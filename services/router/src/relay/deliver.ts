/**
 * Choose, forward, relay: the loop that brings one answer to one client. Before the first byte a request may go to one
 * other worker; after it a stream of text may go on at others (`resume.ts`), seen by its client as a pause.
 */
import type { ServerResponse } from 'node:http';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Admission, RequestContext } from '../context.ts';
import type { ChatRequest, GenerationRequest } from '../contract/request.ts';
import { chatReaderOptions } from '../endpoints/chat.ts';
import type { AnswerOptions, Endpoint } from '../endpoints/endpoint.ts';
import type { Fleet, Placed } from '../fleet/fleet.ts';
import type { Ticket } from '../fleet/worker.ts';
import { CACHED_TOKEN_WORK, OUTPUT_TOKEN_WORK } from '../queue/fair-queue.ts';
import { QueueSigns } from '../queue/signs.ts';
import type { Place, PlaceListener, Seat, Seeker, WaitingRoom } from '../queue/waiting-room.ts';
import type { TakenOver } from '../repeats/progress.ts';
import { explanation } from '../route-explain.ts';
import type { EngineConstraint } from '../schema-gate/constraint.ts';
import { sessionName } from '../session-name.ts';
import { abortAtWorker } from '../upstream/abort.ts';
import type { RequestText } from '../upstream/body.ts';
import { blamesWorker, failureError, failureOutcome, type WorkerFailure } from '../upstream/failure.ts';
import { isStrike, type Poison, STRIKES } from '../upstream/poison.ts';
import type { Pools } from '../upstream/pools.ts';
import type { RetryBudget } from '../upstream/retry-budget.ts';
import { ClientSide } from './client-side.ts';
import { limitsOf, lowerGuess, mayRepeat } from './delivery-rules.ts';
import { PatchRelay } from './patch-relay.ts';
import { PlainRelay } from './plain-relay.ts';
import type { AttemptEnd, Relay, RelayLimits, RelayParts } from './relay.ts';
import { Resumption } from './resume.ts';
import { StreamRelay } from './stream-relay.ts';
import type { Watch } from './watch.ts';

export interface DeliverMetrics {
  attempt(worker: string, result: string): void;
  retried(reason: string): void;
  /** A failure that would have been tried again, had there not been too many of them. */
  retryRefused(reason: string): void;
  /** An answer goes on at another worker, or (`false`) it could not. */
  resumed(reason: string, worked: boolean): void;
  poisonous(): void;
  /** An answer with a promised form came to its end. */
  structured(verdict: string, result: string): void;
}

/** What an operator says of a model's requests. */
export interface ModelTerms {
  limits: RelayLimits;
  /** The longest wait for a worker. */
  maxQueueMs: number;
  /** There may be no worker at first: the request waits for one. */
  scaleFromZero: boolean;
}

export interface DeliverParts {
  fleet: Fleet;
  room: WaitingRoom;
  retries: RetryBudget;
  poison: Poison;
  pools: Pools;
  clock: Clock;
  watch: Watch;
  terms: (model: string) => ModelTerms;
  metrics: DeliverMetrics;
  cacheSalt: (accountId: string) => string;
  headers: (ctx: RequestContext) => Record<string, string>;
  settle: (ctx: RequestContext) => Promise<void>;
  /** Prompt tokens by the worker's tokenizer, or null. */
  countPrompt: (ctx: RequestContext) => Promise<number | null>;
  /** Before the request waits or is sent: from here on the hold is renewed. */
  begun: (ctx: RequestContext, stop: Stop) => void;
}

/** How others end a running answer: a lost hold, a shutdown. */
export type Stop = (reason: 'hold_lost' | 'drained') => void;

/** The end of an answer that is no error of ours to tell: the client is not there to hear it. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft';
  readonly outcome: Outcome;

  constructor(outcome: 'client_gone' | 'slow_reader_cut') {
    super(outcome);
    this.outcome = outcome;
  }
}

/** Before the first byte: one, and one more. */
const MAX_ATTEMPTS = 2;
/** A batch's line waits for idle room: long enough to become late and take any (`batchPatienceMs`). */
const BATCH_QUEUE_MS = 180_000;
/** A second try and an answer that goes on wait for a worker with room so long. */
const MAX_REQUEUE_MS = 10_000;

/**
 * Resolves when the client has its whole, settled answer; sets `ctx.outcome`. Throws AppError for what the client must
 * be told (before or after the first byte) and ClientLeft when there is nobody to tell.
 */
export async function deliver(ctx: RequestContext, response: ServerResponse, parts: DeliverParts): Promise<void> {
  const { generation, request, text, admission } = ctx;
  if (!generation || !request || !text || !admission) {
    throw new AppError('internal_error', { internal: 'deliver before admit' });
  }
  if (parts.poison.isRefused(admission.intent.accountId, request, text)) throw new AppError('poison_request');
  parts.retries.deposit();
  await new Delivery(ctx, generation, request, text, admission, response, parts).run();
}

const UNCONSTRAINED: EngineConstraint = {};

class Delivery implements PlaceListener {
  private readonly ctx: RequestContext;
  private readonly endpoint: Endpoint;
  private readonly request: GenerationRequest;
  private readonly text: RequestText;
  private readonly admission: Admission;
  private readonly parts: DeliverParts;
  private readonly terms: ModelTerms;
  private readonly limits: RelayLimits;
  private readonly client: ClientSide;
  private readonly seeker: Seeker;
  private readonly resumption: Resumption | null;
  private relay: Relay | null = null;
  private seat: Seat | null = null;
  private signs: QueueSigns | null = null;
  private ticket: Ticket | null = null;
  private stopped: 'hold_lost' | 'drained' | null = null;
  private failure: WorkerFailure | null = null;
  /** Workers that fell silent over this request before it had a token. */
  private readonly struck = new Set<string>();

  constructor(
    ctx: RequestContext,
    endpoint: Endpoint,
    request: GenerationRequest,
    text: RequestText,
    admission: Admission,
    response: ServerResponse,
    parts: DeliverParts,
  ) {
    this.ctx = ctx;
    this.endpoint = endpoint;
    this.request = request;
    this.text = text;
    this.admission = admission;
    this.parts = parts;
    this.terms = parts.terms(admission.intent.model);
    this.limits = limitsOf(ctx, this.terms.limits);
    this.client = new ClientSide(response, this.limits.slowReaderMs, {
      gone: () => this.clientGone(),
      drained: () => this.relay?.clientDrained(),
    });
    this.seeker = this.seekerOf(this.place());
    const isChat = endpoint.name === '/chat/completions' && ctx.patchForm === null && request.stream;
    this.resumption = isChat ? Resumption.of(request as ChatRequest, ctx.form !== null) : null;
  }

  async run(): Promise<void> {
    const { ctx, parts } = this;
    try {
      parts.begun(ctx, (reason) => this.stop(reason));
      if (ctx.takenOver !== null && ctx.answerStarted) this.adopt(ctx.takenOver);
      for (;;) {
        const ticket = await this.take();
        const constraint = ctx.form === null ? UNCONSTRAINED : await ctx.form.constraintFor(ticket.dialect);
        const end = await this.send(ticket, constraint).end;
        noteForm(ctx, end, parts.metrics);
        if (end.kind === 'answered') {
          parts.metrics.attempt(ticket.worker, 'answered');
          return;
        }
        if (!(await this.goesOn(ticket, end))) throw this.errorOf(end);
      }
    } finally {
      this.ticket?.end(null);
      this.client.release();
      this.noteWork();
    }
  }

  /** Another router began this answer and died (repeats/): it goes on as if the worker had been lost here. */
  private adopt({ text, counts }: TakenOver): void {
    const { ctx } = this;
    ctx.dispatched = true;
    ctx.counts = counts;
    const told = counts.promptTokens === null ? null : counts.completionTokens;
    for (const event of text.split('\n\n')) this.resumption?.transcript.add(event, told, counts.reasoningTokens);
    this.failure = { reason: 'cut', status: null, detail: 'its router died' };
    if (!text.endsWith('\n\n') || !this.resumes(this.failure)) throw failed(ctx, this.failure);
  }

  private clientGone(): void {
    this.seat?.leave(new ClientLeft('client_gone'));
    this.relay?.clientGone();
  }

  private stop(reason: 'hold_lost' | 'drained'): void {
    this.stopped = reason;
    this.seat?.leave(this.stoppedError(reason));
    this.relay?.stop(reason, 'stopped by this router');
  }

  private stoppedError(reason: 'hold_lost' | 'drained'): AppError {
    // Nothing was sent to a worker: the request was not ended but never begun.
    if (!this.ctx.dispatched && reason === 'drained') return new AppError('shutting_down');
    return failed(this.ctx, { reason, status: null, detail: 'stopped by this router' });
  }

  /** The request in the router's terms: the same for all attempts. */
  private place(): Placed {
    const { intent, outputLimit } = this.admission;
    const placed = this.parts.fleet.route(
      {
        id: this.ctx.requestId,
        model: intent.model,
        accountId: intent.accountId,
        text: this.text,
        promptBytes: this.ctx.promptBytes,
        maxOutputTokens: outputLimit,
        salt: this.parts.cacheSalt(intent.accountId),
        session: sessionName(this.ctx.session, this.request.labels),
      },
      this.endpoint,
    );
    return { ...placed, choices: this.request.choices };
  }

  private seekerOf(placed: Placed): Seeker {
    const { ctx, parts, terms } = this;
    const { maxQueueMs, lane } = ctx.queueTerms;
    const mostMs = lane === 'batch' ? Math.max(terms.maxQueueMs, BATCH_QUEUE_MS) : terms.maxQueueMs;
    const waitMs = Math.min(mostMs, maxQueueMs ?? mostMs);
    return {
      request: placed,
      account: this.admission.intent.accountId,
      weight: ctx.key?.weight ?? 1,
      work: parts.fleet.expectedWork(placed),
      lane,
      excluded: [],
      deadlineMs: parts.clock.monotonicMs() + waitMs,
      waitsForWorker: terms.scaleFromZero,
      listener: this.signForm() === null ? null : this,
    };
  }

  /** Comments and blank lines; null: the answer has no place for them. */
  private signForm(): 'comments' | 'blank_lines' | null {
    if (this.request.stream && this.ctx.patchForm !== 'ndjson') return 'comments';
    return this.limits.blankLines ? 'blank_lines' : null;
  }

  /** The client's place in the line. */
  placed(place: Place): void {
    const { ctx, client, limits, parts } = this;
    const form = this.signForm();
    if (form === null) return;
    this.signs ??= new QueueSigns({
      startedMs: ctx.startedMs,
      earlyAnswerMs: limits.earlyAnswerMs,
      pingMs: limits.pingMs,
      wantsUpdates: ctx.queueTerms.wantsUpdates,
      form,
    });
    const text = this.signs.tell(place, parts.clock.monotonicMs());
    if (text === '') return;
    ctx.status = 200;
    if (!client.headersSent) client.start(200, parts.headers(ctx));
    client.write(text);
  }

  /** A worker for the next attempt, waited for if need be. */
  private async take(): Promise<Ticket> {
    this.checkWanted();
    const { ctx, parts } = this;
    // As they are before this request is one of them.
    const scores = ctx.wantsExplanation ? parts.fleet.explain(this.seeker.request as Placed) : null;
    let ticket: Ticket;
    try {
      const seat = parts.room.seat(this.failure === null ? this.seeker : this.seekerAgain());
      if ('leave' in seat) {
        this.seat = seat;
        ticket = await seat.ticket;
      } else ticket = seat;
    } catch (error) {
      // Nobody else is there for a second try: the first failure is what the client hears.
      if (this.failure !== null && this.stopped === null && error instanceof AppError) throw failed(ctx, this.failure);
      throw error;
    } finally {
      this.seat = null;
    }
    this.ticket = ticket;
    this.checkWanted();
    ctx.dispatched = true;
    ctx.attempts++;
    ctx.workerUrl = ticket.worker;
    if (scores !== null) ctx.routeExplained = explanation(parts.fleet.policyName, ticket.worker, scores);
    ctx.engine = `${ticket.dialect.engine} ${ticket.dialect.version.join('.')}`;
    ctx.queueMs ??= parts.clock.monotonicMs() - ctx.startedMs;
    return ticket;
  }

  private checkWanted(): void {
    if (this.client.isGone) throw new ClientLeft('client_gone');
    if (this.stopped !== null) throw this.stoppedError(this.stopped);
  }

  /** It has been admitted and has waited before: ahead of those that have not begun. */
  private seekerAgain(): Seeker {
    // A worker that is not to blame (a document broke its schema) may have another try, and may be the only one.
    const failed = this.failure !== null && blamesWorker(this.failure) ? this.ticket : null;
    return {
      ...this.seeker,
      listener: null,
      lane: 'resumed',
      work: 0,
      excluded: failed === null ? [] : [failed.worker],
      deadlineMs: this.parts.clock.monotonicMs() + MAX_REQUEUE_MS,
      waitsForWorker: false,
    };
  }

  private send(ticket: Ticket, constraint: EngineConstraint): Relay {
    const { ctx, parts, endpoint, request, text, admission } = this;
    const relayParts: RelayParts = {
      ctx,
      client: this.client,
      limits: this.limits,
      clock: parts.clock,
      watch: parts.watch,
      ticket,
      headers: () => parts.headers(ctx),
      settle: () => parts.settle(ctx),
      workerAnswers: () => parts.fleet.succeeded(ticket.worker),
      aborted: () => abortAtWorker(parts.pools, ticket, ctx.requestId),
    };
    const { dialect } = ticket;
    const shape = { sglang: dialect.engine === 'sglang', reasoningField: ctx.profile.answers.reasoningField };
    const from = this.resumption?.from ?? null;
    const maxTokens = admission.outputLimit - (from?.givenTokens ?? 0);
    const transcript = this.resumption?.transcript ?? null;
    const options = { maxTokens, checks: ctx.form?.checks ?? null, shape, transcript, from };
    const relay = request.stream
      ? streamRelay(ctx, relayParts, endpoint, request, options)
      : new PlainRelay(relayParts, endpoint.plainReader(request, options));
    const cacheSalt = parts.cacheSalt(admission.intent.accountId);
    const priority = ctx.queueTerms.lane === 'batch' ? BATCH_PRIORITY : 0;
    const fields = { cacheSalt, requestId: ctx.requestId, priority, continuation: from };
    const body = endpoint.body(request, { text, maxTokens, constraint, fields, dialect });
    const traceparent = ctx.trace?.dispatched(ticket.worker, ctx) ?? null;
    relay.attach(parts.pools.send(ticket.worker, endpoint.workerPath, body, ctx.requestId, relay, traceparent));
    this.relay = relay;
    return relay;
  }

  /** Whether the request goes out again: to another worker, or to this one with an output limit that fits. */
  private async goesOn(ticket: Ticket, end: AttemptEnd): Promise<boolean> {
    const { ctx, parts, admission } = this;
    parts.metrics.attempt(ticket.worker, end.kind === 'failed' ? end.failure.reason : end.kind);
    if (end.kind === 'refused') {
      parts.fleet.succeeded(ticket.worker);
      // What a worker refuses of an answer that is gone on with is our doing: the failure before is what is told.
      return this.failure === null && end.contextTooLong && (await lowerGuess(ctx, admission, parts.countPrompt));
    }
    if (end.kind !== 'failed') return false;
    this.failure = end.failure;
    if (blamesWorker(end.failure)) parts.fleet.failed(ticket.worker);
    this.noteStrike(ticket, end.failure);
    return ctx.answerStarted ? this.resumes(end.failure) : this.repeats(end.failure);
  }

  private noteStrike(ticket: Ticket, failure: WorkerFailure): void {
    if (!isStrike(failure, this.ctx.answerStarted || this.ctx.firstTokenMs !== null)) return;
    this.struck.add(ticket.worker);
    if (this.struck.size < STRIKES) return;
    this.parts.poison.remember(this.admission.intent.accountId, this.request, this.text);
    this.parts.metrics.poisonous();
  }

  private repeats(failure: WorkerFailure): boolean {
    const { ctx, parts } = this;
    if (ctx.attempts >= MAX_ATTEMPTS || !mayRepeat(ctx, failure)) return false;
    // Where no connection stood the worker has done nothing: such a try costs the fleet nothing.
    if (failure.reason !== 'connect' && !parts.retries.withdraw()) {
      parts.metrics.retryRefused(failure.reason);
      return false;
    }
    if (failure.reason === 'invalid_output') ctx.invalidTokens += ctx.counts.completionTokens;
    else ctx.abandonedTokens += ctx.counts.completionTokens;
    parts.metrics.retried(failure.reason);
    return true;
  }

  private resumes(failure: WorkerFailure): boolean {
    const { ctx, resumption, parts } = this;
    const worked = resumption?.after(failure.reason, ctx.counts, this.admission.outputLimit) === true;
    ctx.resumeTokens = resumption?.unbilledTokens ?? 0;
    parts.metrics.resumed(failure.reason, worked);
    return worked;
  }

  private errorOf(end: Exclude<AttemptEnd, { kind: 'answered' }>): Error {
    switch (end.kind) {
      case 'client_gone':
        return new ClientLeft('client_gone');
      case 'slow_reader':
        return new ClientLeft('slow_reader_cut');
      case 'refused':
        if (this.failure !== null && this.ctx.answerStarted) return failed(this.ctx, this.failure);
        this.ctx.outcome = 'worker_refused';
        return end.error;
      case 'failed':
        return failed(this.ctx, end.failure);
    }
  }

  /** The account is charged in the fair order for what it really took. */
  private noteWork(): void {
    const { promptTokens, cachedTokens, completionTokens } = this.ctx.counts;
    if (promptTokens === null) return;
    const cached = cachedTokens ?? 0;
    const work = promptTokens - cached + cached * CACHED_TOKEN_WORK + completionTokens * OUTPUT_TOKEN_WORK;
    this.parts.room.correct(this.seeker, work - this.seeker.work);
  }
}

/** Lower is sooner, where an engine schedules by priority. */
const BATCH_PRIORITY = 1;

function noteForm({ form, finishReason }: RequestContext, end: AttemptEnd, metrics: DeliverMetrics): void {
  if (form === null) return;
  if (end.kind === 'answered') metrics.structured(form.verdict, finishReason === 'length' ? 'cut' : 'complete');
  else if (end.kind === 'failed') metrics.structured(form.verdict, end.failure.reason);
}

function streamRelay(
  { patchForm }: RequestContext,
  parts: RelayParts,
  endpoint: Endpoint,
  request: GenerationRequest,
  options: AnswerOptions,
): Relay {
  if (patchForm === null) return new StreamRelay(parts, endpoint.streamReader(request, options));
  return new PatchRelay(parts, chatReaderOptions(request, options), patchForm);
}

function failed(ctx: RequestContext, failure: WorkerFailure): AppError {
  ctx.outcome = failureOutcome(failure);
  return failureError(failure, ctx.answerStarted);
}
