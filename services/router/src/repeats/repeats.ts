/**
 * Idempotent inference: one generation and one bill per Idempotency-Key, however often and wherever it is sent.
 *
 * The first request runs and is recorded. A repeat while it runs joins it from its start, a repeat after its end gets
 * the stored bytes, another body under the same key is 422. When the router of the first has died, whoever repeats it
 * takes it over under the same request id, and so under the same hold: `admit` answers `held`, `settle` happens once.
 *
 * Crash between any two steps of the first router:
 * - opened, not admitted: the survivor runs it anew; the id has no hold yet.
 * - admitted or running: the survivor's admit finds the hold and renews it before the reaper's time (H) is over.
 * - settled, its end not recorded: the survivor's admit finds the tombstone: 409, never a second generation.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import { IDEMPOTENCY_HEADER, readIdempotencyKey } from '@tollgate/shared/domain/idempotency';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { RepeatBegin, RepeatEntry, RepeatStore } from '@tollgate/shared/redis/repeat-store';
import type { RequestContext } from '../context.ts';
import type { Exchange } from '../pipeline.ts';
import { tapAnswer } from '../relay/client-side.ts';
import { ClientLeft } from '../relay/deliver.ts';
import { progressOf, readProgress } from './progress.ts';
import { Recording, type RecordingOptions, type RecordingParts } from './recording.ts';
import { Replay, type ReplayParts } from './replay.ts';

export interface RepeatsParts
  extends Omit<RecordingParts, 'store' | 'progress' | 'options'>,
    Omit<ReplayParts, 'store'> {
  store: RepeatStore;
  recording: RecordingOptions;
  routerId: string;
}

export interface Repeats {
  /**
   * Called once the body is read. True = the client was answered from what is kept (`ctx.outcome` is set); false = this
   * request runs, and is recorded when it carries a key. Throws 400, 409, 422, 503, ClientLeft.
   */
  answered(ctx: RequestContext, exchange: Exchange, body: unknown): Promise<boolean>;
}

export function createRepeats(parts: RepeatsParts): Repeats {
  return {
    async answered(ctx, exchange, body) {
      const text = readIdempotencyKey(exchange.header(IDEMPOTENCY_HEADER));
      if (text === null || ctx.key === null) return false;
      const entry = entryOf(ctx.key, text, parts);
      const bodyDigest = parts.seal.digest(ctx.profile.name, ctx.endpoint, JSON.stringify(body));
      return joinOrRun(ctx, exchange, entry, bodyDigest, parts);
    },
  };
}

/** One key text means the same for all API keys of a project and one user: a rotated key's repeat is a repeat. */
function entryOf({ accountId, projectId, userId }: KeyRecord, text: string, { seal }: RepeatsParts): RepeatEntry {
  return { accountId: accountId as AccountId, digest: seal.digest(accountId, projectId ?? '', userId ?? '', text) };
}

async function joinOrRun(
  ctx: RequestContext,
  exchange: Exchange,
  entry: RepeatEntry,
  bodyDigest: string,
  parts: RepeatsParts,
): Promise<boolean> {
  let replay: Replay | null = null;
  try {
    for (;;) {
      const begun = await begin(ctx, entry, bodyDigest, parts);
      switch (begun.kind) {
        case 'first':
          // What was joined ended without a bill after its first bytes had gone out: they cannot be taken back.
          if (replay !== null && replay.index > 0) throw notKept();
          record(ctx, exchange, begun.ticket, 0, '', parts);
          return false;
        case 'taken':
          replay ??= new Replay(entry, begun.ticket.requestId, exchange.response, parts);
          return await takeOver(ctx, exchange, begun, replay, parts);
        case 'other_body':
          throw new AppError('idempotency_key_reused', { param: IDEMPOTENCY_HEADER });
        case 'dropped':
        case 'lost':
          throw notKept();
        case 'running':
        case 'done': {
          replay ??= new Replay(entry, begun.requestId, exchange.response, parts);
          const end = await replay.follow();
          ctx.status = replay.status;
          if (end === 'client_gone') throw new ClientLeft('client_gone');
          if (end === 'slow_reader') throw new ClientLeft('slow_reader_cut');
          if (end === 'empty') throw notKept();
          if (end !== 'served') continue;
          ctx.outcome = 'replayed';
          return true;
        }
      }
    }
  } finally {
    replay?.release();
  }
}

async function begin(
  ctx: RequestContext,
  entry: RepeatEntry,
  bodyDigest: string,
  { store, routerId }: RepeatsParts,
): Promise<RepeatBegin> {
  try {
    return await store.begin(entry, bodyDigest, ctx.requestId, routerId);
  } catch (cause) {
    // Without the store nobody can promise that it runs once.
    throw new AppError('store_unavailable', { cause, retryAfterMs: 1_000 });
  }
}

function record(
  ctx: RequestContext,
  exchange: Exchange,
  ticket: (RepeatBegin & { kind: 'first' })['ticket'],
  index: number,
  progress: string,
  parts: RepeatsParts,
): void {
  ctx.requestId = ticket.requestId;
  ctx.recording = new Recording(ticket, index, progress, {
    ...parts,
    options: parts.recording,
    progress: () => progressOf(ctx),
  });
  tapAnswer(exchange.response, ctx.recording);
}

/** The first router died. What it left goes to this client; what is missing is made under the same id and hold. */
async function takeOver(
  ctx: RequestContext,
  exchange: Exchange,
  { ticket, parts: kept, progress }: RepeatBegin & { kind: 'taken' },
  replay: Replay,
  parts: RepeatsParts,
): Promise<boolean> {
  const end = await replay.follow(kept);
  // Nobody to finish it for: the next repeat takes it over from us as we did.
  if (end === 'client_gone' || end === 'gone') throw new ClientLeft('client_gone');
  if (end === 'slow_reader') throw new ClientLeft('slow_reader_cut');
  record(ctx, exchange, ticket, kept, progress, parts);
  ctx.status = replay.status;
  // All that was missing is the word that it is whole.
  if (end === 'served' || replay.endIfWhole()) {
    ctx.outcome = 'replayed';
    void ctx.recording!.finish('keep');
    ctx.recording = null;
    return true;
  }
  ctx.takenOver = { ...readProgress(progress), text: replay.text };
  ctx.answerStarted = replay.index > 0;
  return false;
}

function notKept(): AppError {
  return new AppError('answer_not_kept', { param: IDEMPOTENCY_HEADER });
}

/** What becomes of the entry when its request has ended. */
export function endRecording(ctx: RequestContext): void {
  const billed = ctx.amountNusd !== null || ctx.error?.code === 'answer_not_kept';
  const adopted = ctx.takenOver !== null && ctx.admission === null;
  void ctx.recording?.finish(billed ? 'keep' : adopted ? 'leave' : 'drop');
}
