/**
 * Kept bodies: an organisation's switch, and what was kept of one request. Off until an owner or admin of that
 * organisation turns it on; who runs the installation may not, and may not read.
 */
import {
  BODY_DAYS_DEFAULT,
  BODY_DAYS_MOST,
  type BodyRetentionView,
  type RequestBodyView,
  type SetBodyRetention,
} from '@tollgate/shared/contracts/console/bodies';
import { AuditStore } from '@tollgate/shared/db/audit-store';
import { BodyStore, type StoredBody } from '@tollgate/shared/db/body-store';
import type { Db } from '@tollgate/shared/db/client';
import { AppError } from '@tollgate/shared/domain/errors';
import { type BodyBox, type BodyPair, bodyPlace } from '@tollgate/shared/runtime/body-box';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { type Actor, may, type Permission } from '../auth/actor.ts';
import { isoTime } from '../http/values.ts';
import type { Projector } from '../projector/projector.ts';

export interface BodyLimits {
  /** Of each body; what routers keep. */
  maxBodyBytes: number;
  /** Sealed bytes of one account; what metering keeps. */
  maxStoredBytes: number;
}

export interface BodyParts {
  db: Db;
  clock: Clock;
  projector: Pick<Projector, 'account'>;
  box: Pick<BodyBox, 'open'>;
  limits: BodyLimits;
}

/** For whom one reads: the key itself, and whom it says that it acts for. */
export interface BodyReader {
  accountId: string;
  keyId: string;
}

export class BodyService {
  readonly #parts: BodyParts;

  constructor(parts: BodyParts) {
    this.#parts = parts;
  }

  async retention(accountId: string): Promise<BodyRetentionView> {
    const { db, limits } = this.#parts;
    const found = await new BodyStore(db).retention(accountId);
    return {
      enabled: found?.enabled ?? false,
      days: found?.days ?? BODY_DAYS_DEFAULT,
      maxDays: BODY_DAYS_MOST,
      storedBytes: Number(found?.storedBytes ?? 0n),
      ...limits,
      changedAt: found ? isoTime(found.changedAtMs) : null,
      changedBy: found?.changedBy ?? null,
    };
  }

  /** When it returns, routers know: within a second none keeps a body of an account that turned it off. */
  async setRetention(actor: Actor, accountId: string, input: SetBodyRetention): Promise<BodyRetentionView> {
    mustBeMember(actor, 'organisation:write', accountId);
    const { db, clock, projector } = this.#parts;
    const before = await new BodyStore(db).retention(accountId);
    await BodyStore.setRetention(db, accountId, {
      enabled: input.enabled,
      days: input.days ?? before?.days ?? BODY_DAYS_DEFAULT,
      deleteKept: input.deleteKept ?? false,
      atMs: clock.nowMs(),
      by: actor.userId ?? actor.id,
    });
    await projector.account(accountId);
    return this.retention(accountId);
  }

  /** Until when a request's body is kept; null = it is not. */
  async keptUntilMs(accountId: string, requestId: string): Promise<number | null> {
    const { db, clock } = this.#parts;
    return new BodyStore(db).keptUntilMs(accountId, requestId, clock.nowMs());
  }

  /** For a member. Its line in the audit log is the route's. */
  async read(actor: Actor, accountId: string, requestId: string): Promise<RequestBodyView> {
    mustBeMember(actor, 'bodies:read', accountId);
    const found = await this.#open(accountId, requestId);
    if (!found) throw notKept();
    const { stored, pair } = found;
    return {
      requestId,
      admittedAt: isoTime(stored.admittedAtMs),
      expiresAt: isoTime(stored.expiresAtMs),
      request: {
        text: utf8(pair.request),
        bytes: stored.requestBytes,
        truncated: stored.requestTruncated,
      },
      answer: pair.answer && {
        status: pair.answer.status,
        contentType: pair.answer.contentType,
        text: utf8(pair.answer.text),
        bytes: stored.answerBytes,
        truncated: stored.answerTruncated,
      },
    };
  }

  /** For the key that made the request, on the router's host; null = nothing is kept. Writes the audit line. */
  async readOwn(who: BodyReader, requestId: string, callId: string | null): Promise<object | null> {
    const { db, clock } = this.#parts;
    const found = await this.#open(who.accountId, requestId);
    if (!found || found.stored.keyId !== who.keyId) return null;
    const { stored, pair } = found;
    await AuditStore.append(db, [
      {
        atMs: clock.nowMs(),
        actor: who.keyId,
        accountId: who.accountId,
        action: 'bodies.read',
        target: `${who.accountId} ${requestId}`,
        detail: {},
        ip: null,
        requestId: callId,
      },
    ]);
    return {
      object: 'request.body',
      expires_at: isoTime(stored.expiresAtMs),
      request: { text: utf8(pair.request), bytes: stored.requestBytes, truncated: stored.requestTruncated },
      answer: pair.answer && {
        status: pair.answer.status,
        content_type: pair.answer.contentType,
        text: utf8(pair.answer.text),
        bytes: stored.answerBytes,
        truncated: stored.answerTruncated,
      },
    };
  }

  async #open(accountId: string, requestId: string): Promise<{ stored: StoredBody; pair: BodyPair } | null> {
    const { db, clock, box } = this.#parts;
    const stored = await new BodyStore(db).get(accountId, requestId, clock.nowMs());
    if (!stored) return null;
    return { stored, pair: await box.open(stored.sealed, bodyPlace(accountId, requestId)) };
  }
}

/** Operators of the installation are nobody here unless they belong to the organisation. */
function mustBeMember(actor: Actor, permission: Permission, accountId: string): void {
  if (may({ ...actor, kind: 'member' }, permission, accountId) === 'yes') return;
  throw new AppError('endpoint_not_allowed', { message: 'Only members of the organisation may do this.' });
}

/** A cut may halve a character at the end: what is left of it is shown as U+FFFD. */
const utf8 = (latin1: string) => Buffer.from(latin1, 'latin1').toString('utf8');

const notKept = () => new AppError('not_found', { message: 'No body of this request is kept.' });
