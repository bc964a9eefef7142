/** Sessions of the dashboard: made at sign-in, found by their cookie, ended by time, by sign-out or from another one. */
import { createHash } from 'node:crypto';
import type { Db, Executor } from '@tollgate/shared/db/client';
import { OrganisationStore } from '@tollgate/shared/db/organisation-store';
import { type Session, type SessionMethod, SessionStore } from '@tollgate/shared/db/session-store';
import { type User, UserStore } from '@tollgate/shared/db/user-store';
import { base62, newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import type { Exchange } from '../http/route.ts';
import type { Actor, Authenticator } from './actor.ts';
import { type CookieRules, noSessionCookie, readSessionCookie, sessionCookie } from './cookies.ts';

export const IDLE_MS = 12 * 3_600_000;
const LIFE_MS = 7 * 86_400_000;
/** `last_seen_at` is written at most this often. */
const TOUCH_MS = 60_000;
const FORGET_AFTER_MS = 30 * 86_400_000;

export interface SessionsOptions {
  db: Db;
  clock: Clock;
  random: Random;
  sealer: Sealer;
  cookies: CookieRules;
}

export class Sessions {
  readonly #options: SessionsOptions;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** A new session with a new cookie; the one that the browser had ends, so that nobody can plant one beforehand. */
  async begin(
    user: Pick<User, 'id'>,
    method: SessionMethod,
    exchange: Exchange,
    db: Executor = this.#options.db,
  ): Promise<Session> {
    const { clock, random, cookies } = this.#options;
    const nowMs = clock.nowMs();
    const old = readSessionCookie(exchange.header('cookie'), cookies);
    const store = new SessionStore(db);
    const previous = old === null ? null : await store.find(digestOf(old), nowMs, nowMs - IDLE_MS);
    if (previous) await store.revoke(previous.userId, previous.id, nowMs);
    const text = base62(43, random.bytes);
    const session: Session = {
      id: newId('sess', random.bytes),
      userId: user.id,
      method,
      createdAtMs: nowMs,
      lastSeenAtMs: nowMs,
      expiresAtMs: nowMs + LIFE_MS,
      freshAtMs: nowMs,
      ip: exchange.ip,
      userAgent: exchange.userAgent,
    };
    await store.create({ ...session, digest: digestOf(text) });
    exchange.setCookie(sessionCookie(text, LIFE_MS, cookies));
    return session;
  }

  async end(actor: Actor, exchange: Exchange): Promise<void> {
    const { db, clock, cookies } = this.#options;
    if (actor.session && actor.userId) await new SessionStore(db).revoke(actor.userId, actor.session.id, clock.nowMs());
    exchange.setCookie(noSessionCookie(cookies));
  }

  /** One way to become an Actor: the cookie of a live session. */
  authenticator(): Authenticator {
    const { db, clock, cookies } = this.#options;
    return async ({ authorization, cookie }) => {
      // Whoever sends both means the token.
      if (authorization !== undefined) return null;
      const text = readSessionCookie(cookie, cookies);
      if (text === null) return null;
      const nowMs = clock.nowMs();
      const store = new SessionStore(db);
      const session = await store.find(digestOf(text), nowMs, nowMs - IDLE_MS);
      if (!session) return null;
      const user = await new UserStore(db).get(session.userId);
      if (!user) return null;
      if (nowMs - session.lastSeenAtMs > TOUCH_MS) await store.touch(session.id, nowMs);
      return this.actorOf(user, session);
    };
  }

  async actorOf(user: User, session: Session): Promise<Actor> {
    const memberships = await new OrganisationStore(this.#options.db).ofUser(user.id);
    return {
      kind: user.operator ? 'operator' : 'member',
      id: user.id,
      userId: user.id,
      roles: new Map(memberships.map(({ accountId, role }) => [accountId, role])),
      session: {
        id: session.id,
        csrfToken: this.#options.sealer.digest('csrf', session.id),
        expiresAtMs: session.expiresAtMs,
        freshAtMs: session.freshAtMs,
      },
    };
  }

  async forgetOld(): Promise<void> {
    const { db, clock } = this.#options;
    await new SessionStore(db).forget(clock.nowMs() - FORGET_AFTER_MS);
  }
}

export const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');
