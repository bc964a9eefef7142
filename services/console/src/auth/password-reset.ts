/**
 * A new password for somebody who lost theirs: by a link that works once, made by an operator or sent by mail. A link
 * gives a password and nothing else: the second factor stays, and every session ends.
 */
import type {
  AskPasswordReset,
  CreatePasswordReset,
  PasswordResetLink,
  ResetPassword,
} from '@tollgate/shared/contracts/console/auth';
import type { Db } from '@tollgate/shared/db/client';
import { PasswordResetStore } from '@tollgate/shared/db/password-reset-store';
import { SessionStore } from '@tollgate/shared/db/session-store';
import { tx } from '@tollgate/shared/db/tx';
import { type User, UserStore } from '@tollgate/shared/db/user-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { base62 } from '@tollgate/shared/domain/ids';
import type { Throttle, ThrottleRule } from '@tollgate/shared/redis/throttle';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import type { Exchange } from '../http/route.ts';
import { isoTime } from '../http/values.ts';
import type { Outbox } from '../organisations/mail.ts';
import type { Actor } from './actor.ts';
import type { Passwords } from './passwords.ts';
import { digestOf } from './sessions.ts';

/** By mail: whoever asked reads it now. */
const MAILED_MS = 3_600_000;
/** By an operator: it is handed over by people. */
const HANDED_MS = 24 * 3_600_000;
const FORGET_AFTER_MS = 30 * 86_400_000;
/** Asked for, per e-mail and per address; used, per address. Counted whether or not anything was found. */
const PER_EMAIL: ThrottleRule = { limit: 3, windowMs: 3_600_000 };
const PER_ADDRESS: ThrottleRule = { limit: 20, windowMs: 3_600_000 };

export interface PasswordResetParts {
  db: Db;
  clock: Clock;
  random: Random;
  logger: Logger;
  sealer: Sealer;
  passwords: Passwords;
  throttle: Throttle;
  outbox: Outbox;
  publicUrl(): string;
}

export class PasswordResets {
  readonly #parts: PasswordResetParts;

  constructor(parts: PasswordResetParts) {
    this.#parts = parts;
  }

  /** By an operator. The link is in this answer and nowhere else. */
  async create(actor: Actor, { email }: CreatePasswordReset): Promise<PasswordResetLink> {
    const user = await new UserStore(this.#parts.db).byEmail(email);
    if (!user) throw new AppError('not_found', { message: 'There is no user with this e-mail.' });
    return this.#link(user, actor.userId ?? actor.id, HANDED_MS);
  }

  /**
   * By anybody, for any e-mail: always the same answer. What is found out is done after it, so that its time tells
   * nothing either.
   */
  async ask({ email }: AskPasswordReset, exchange: Exchange): Promise<void> {
    const { sealer, logger } = this.#parts;
    await this.#count(`reset:${sealer.digest('throttle', email)}`, PER_EMAIL);
    await this.#count(`reset-ip:${exchange.ip}`, PER_ADDRESS);
    this.#mail(email).catch((error: unknown) => logger.warn({ err: error }, 'a mail for a new password was not sent'));
  }

  /** Throws 400 for a link that is none, was used, or is over: which of them is not told. */
  async reset({ token, password }: ResetPassword, exchange: Exchange): Promise<void> {
    const { db, clock, passwords } = this.#parts;
    await this.#count(`reset-ip:${exchange.ip}`, PER_ADDRESS);
    const passwordHash = await passwords.hash(password);
    const userId = await tx(db, async (trx) => {
      const nowMs = clock.nowMs();
      const found = await new PasswordResetStore(trx).take(trx, digestOf(token), nowMs);
      if (found === null) return null;
      await new UserStore(trx).setPassword(found, passwordHash);
      await new SessionStore(trx).revokeAll(found, null, nowMs);
      return found;
    });
    if (userId === null) {
      throw new AppError('invalid_credentials', { message: 'The link is not right, was used, or is over.' });
    }
    exchange.identify({ kind: 'member', id: userId, userId });
  }

  async forgetOld(): Promise<void> {
    const { db, clock } = this.#parts;
    await new PasswordResetStore(db).forget(clock.nowMs() - FORGET_AFTER_MS);
  }

  async #mail(email: string): Promise<void> {
    const { db, outbox, publicUrl } = this.#parts;
    const user = await new UserStore(db).byEmail(email);
    // Who signs in with a provider has no password to lose.
    if (!user || user.passwordHash === null) return;
    const { link } = await this.#link(user, 'mail', MAILED_MS);
    await outbox({
      to: user.email,
      subject: 'A new password',
      text: `Somebody, perhaps you, asked for a new password. Choose it within an hour:\n\n${publicUrl()}${link}\n\nIf it was not you, do nothing: your password stays as it is.\n`,
    });
  }

  async #link(user: User, issuedBy: string, lifeMs: number): Promise<PasswordResetLink> {
    const { db, clock, random } = this.#parts;
    const token = base62(40, random.bytes);
    const nowMs = clock.nowMs();
    const reset = { digest: digestOf(token), userId: user.id, issuedBy, createdAtMs: nowMs };
    await new PasswordResetStore(db).create({ ...reset, expiresAtMs: nowMs + lifeMs });
    // Behind the #: browsers do not send it, so it reaches no log on the way.
    return { link: `/reset-password#${token}`, expiresAt: isoTime(nowMs + lifeMs) };
  }

  async #count(name: string, rule: ThrottleRule): Promise<void> {
    const { throttle } = this.#parts;
    const waitMs = await throttle.blocked(name, rule);
    if (waitMs !== null) {
      throw new AppError('rate_limit_exceeded', {
        message: 'Too many attempts. Wait, then try again.',
        retryAfterMs: waitMs,
      });
    }
    await throttle.count(name, rule);
  }
}
