/** Choose, forward, relay: the loop over at most two workers that brings one answer to one client. */
import type { ServerResponse } from 'node:http';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Admission, RequestContext } from '../context.ts';
import type { ChatRequest } from '../contract/request.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Ticket } from '../fleet/worker.ts';
import type { Routed } from '../routing/picker.ts';
import type { EngineConstraint } from '../schema-gate/constraint.ts';
import { abortAtWorker } from '../upstream/abort.ts';
import { chatBody, type RequestText } from '../upstream/body.ts';
import { blamesWorker, failureError, failureOutcome, isReplaySafe, type WorkerFailure } from '../upstream/failure.ts';
import type { Pools } from '../upstream/pools.ts';
import { ClientSide } from './client-side.ts';
import { PlainRelay } from './plain-relay.ts';
import type { AttemptEnd, Relay, RelayLimits, RelayParts } from './relay.ts';
import { StreamRelay } from './stream-relay.ts';
import type { Watch } from './watch.ts';

export interface DeliverMetrics {
  attempt(worker: string, result: string): void;
  retried(reason: string): void;
  /** An answer with a promised form came to its end. */
  structured(verdict: string, result: string): void;
}

export interface DeliverParts {
  fleet: Fleet;
  pools: Pools;
  clock: Clock;
  watch: Watch;
  limits: RelayLimits;
  metrics: DeliverMetrics;
  cacheSalt: (accountId: string) => string;
  headers: (ctx: RequestContext) => Record<string, string>;
  settle: (ctx: RequestContext) => Promise<void>;
  /** Prompt tokens by the worker's tokenizer, or null. */
  countPrompt: (ctx: RequestContext) => Promise<number | null>;
  /** Before the first dispatch: from here on the hold is renewed. */
  dispatched: (ctx: RequestContext, stop: Stop) => void;
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

const MAX_ATTEMPTS = 2;

/**
 * Resolves when the client has its whole, settled answer; sets `ctx.outcome`. Throws AppError for what the client must
 * be told (before or after the first byte) and ClientLeft when there is nobody to tell.
 */
export async function deliver(ctx: RequestContext, response: ServerResponse, parts: DeliverParts): Promise<void> {
  const { request, text, admission } = ctx;
  if (!request || !text || !admission) throw new AppError('internal_error', { internal: 'deliver before admit' });
  let relay: Relay | null = null;
  let ticket: Ticket | null = null;
  let stopped: 'hold_lost' | 'drained' | null = null;
  const client = new ClientSide(response, parts.limits.slowReaderMs, {
    gone: () => relay?.clientGone(),
    drained: () => relay?.clientDrained(),
  });
  const failedWorkers: string[] = [];
  let failure: WorkerFailure | null = null;
  try {
    const routed = route(ctx, text, admission, parts);
    for (;;) {
      if (client.isGone) throw new ClientLeft('client_gone');
      if (stopped) throw new AppError('shutting_down');
      ticket = take(ctx, routed, failedWorkers, failure, parts);
      if (!ctx.dispatched) {
        ctx.dispatched = true;
        parts.dispatched(ctx, (reason) => {
          stopped = reason;
          relay?.stop(reason, 'stopped by this router');
        });
      }
      const constraint = ctx.form === null ? UNCONSTRAINED : await ctx.form.constraintFor(ticket.dialect);
      relay = send(ctx, request, text, admission, constraint, ticket, client, parts);
      const end = await relay.end;
      noteForm(ctx, end, parts.metrics);
      if (end.kind === 'answered') {
        parts.metrics.attempt(ticket.worker, 'answered');
        return;
      }
      if (!(await mayGoOn(ctx, admission, ticket, end, parts))) throw asError(ctx, end);
      if (end.kind !== 'failed') continue;
      failure = end.failure;
      if (blamesWorker(failure)) failedWorkers.push(ticket.worker);
    }
  } finally {
    ticket?.end(null);
    client.release();
  }
}

const UNCONSTRAINED: EngineConstraint = {};

function noteForm({ form, finishReason }: RequestContext, end: AttemptEnd, metrics: DeliverMetrics): void {
  if (form === null) return;
  if (end.kind === 'answered') metrics.structured(form.verdict, finishReason === 'length' ? 'cut' : 'complete');
  else if (end.kind === 'failed') metrics.structured(form.verdict, end.failure.reason);
}

/** The request in the router's terms: the same for both attempts. */
function route(
  ctx: RequestContext,
  text: RequestText,
  { intent, outputLimit }: Admission,
  parts: DeliverParts,
): Routed {
  return parts.fleet.route({
    id: ctx.requestId,
    model: intent.model,
    accountId: intent.accountId,
    text,
    promptBytes: ctx.promptBytes,
    maxOutputTokens: outputLimit,
    salt: parts.cacheSalt(intent.accountId),
  });
}

function take(
  ctx: RequestContext,
  routed: Routed,
  failedWorkers: readonly string[],
  failure: WorkerFailure | null,
  parts: DeliverParts,
): Ticket {
  const ticket = parts.fleet.take(routed, failedWorkers);
  if (ticket === null) {
    // Nobody else is there for a second try: the first failure is what the client hears.
    if (failure !== null) throw failed(ctx, failure);
    throw new AppError('no_worker', { retryAfterMs: 2_000 });
  }
  ctx.attempts++;
  ctx.workerUrl = ticket.worker;
  ctx.queueMs ??= parts.clock.monotonicMs() - ctx.startedMs;
  return ticket;
}

function send(
  ctx: RequestContext,
  request: ChatRequest,
  text: RequestText,
  admission: Admission,
  constraint: EngineConstraint,
  ticket: Ticket,
  client: ClientSide,
  parts: DeliverParts,
): Relay {
  const relayParts: RelayParts = {
    ctx,
    client,
    limits: limitsOf(ctx, parts.limits),
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
  const checks = ctx.form?.checks ?? null;
  const relay = request.stream
    ? new StreamRelay(relayParts, {
        usage: request.usageInStream,
        choices: request.choices,
        hasTools: request.tools !== null,
        maxTokens: admission.outputLimit,
        checks,
        shape,
      })
    : new PlainRelay(relayParts, { checks, shape, hasTools: request.tools !== null });
  const cacheSalt = parts.cacheSalt(admission.intent.accountId);
  const fields = { cacheSalt, requestId: ctx.requestId, priority: 0 };
  const body = chatBody(request, text, admission.outputLimit, constraint, fields, dialect);
  relay.attach(parts.pools.send(ticket.worker, body, ctx.requestId, relay));
  return relay;
}

/** A contract that holds its clients instead of refusing them has times of its own. */
function limitsOf({ profile: { keepAlive } }: RequestContext, limits: RelayLimits): RelayLimits {
  if (keepAlive === null) return limits;
  const { afterMs, everyMs } = keepAlive;
  const totalMs = Math.min(keepAlive.totalMs, limits.totalMs);
  return {
    ...limits,
    earlyAnswerMs: afterMs,
    pingMs: everyMs,
    blankLines: true,
    firstTokenMs: totalMs,
    plainMs: totalMs,
    totalMs,
  };
}

/** Whether the request goes out again: to another worker, or to this one with an output limit that fits. */
async function mayGoOn(
  ctx: RequestContext,
  admission: Admission,
  ticket: Ticket,
  end: AttemptEnd,
  parts: DeliverParts,
): Promise<boolean> {
  parts.metrics.attempt(ticket.worker, end.kind === 'failed' ? end.failure.reason : end.kind);
  if (end.kind === 'refused') {
    parts.fleet.succeeded(ticket.worker);
    return end.contextTooLong && (await lowerGuess(ctx, admission, parts));
  }
  if (end.kind !== 'failed') return false;
  if (blamesWorker(end.failure)) parts.fleet.failed(ticket.worker);
  const again = ctx.attempts < MAX_ATTEMPTS && mayRepeat(ctx, end.failure);
  if (again) {
    if (end.failure.reason === 'invalid_output') ctx.invalidTokens += ctx.counts.completionTokens;
    else ctx.abandonedTokens += ctx.counts.completionTokens;
    parts.metrics.retried(end.failure.reason);
  }
  return again;
}

/** A document that broke its schema is tried again only where the contract says so; nothing of it was passed on. */
function mayRepeat(ctx: RequestContext, failure: WorkerFailure): boolean {
  if (failure.reason !== 'invalid_output') return isReplaySafe(failure, ctx.answerStarted);
  return ctx.form?.checks.onInvalid === 'retry' && !ctx.request!.stream && !ctx.answerStarted;
}

/** The output limit was our own guess and did not fit: asks the tokenizer and lowers it, once. */
async function lowerGuess(ctx: RequestContext, admission: Admission, parts: DeliverParts): Promise<boolean> {
  if (!admission.limitIsGuess) return false;
  admission.limitIsGuess = false;
  const promptTokens = await parts.countPrompt(ctx);
  if (promptTokens === null) return false;
  const rest = ctx.model!.maxModelLen - promptTokens;
  if (rest < 1 || rest >= admission.outputLimit) return false;
  admission.outputLimit = rest;
  return true;
}

function asError(ctx: RequestContext, end: Exclude<AttemptEnd, { kind: 'answered' }>): Error {
  switch (end.kind) {
    case 'client_gone':
      return new ClientLeft('client_gone');
    case 'slow_reader':
      return new ClientLeft('slow_reader_cut');
    case 'refused':
      ctx.outcome = 'worker_refused';
      return end.error;
    case 'failed':
      return failed(ctx, end.failure);
  }
}

function failed(ctx: RequestContext, failure: WorkerFailure): AppError {
  ctx.outcome = failureOutcome(failure);
  return failureError(failure, ctx.answerStarted);
}
