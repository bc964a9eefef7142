/** One's own settings: name, password, second factor, sessions, access tokens. */
import type {
  AccessTokenView,
  ChangePassword,
  CreateAccessToken,
  ListQuery,
  Me,
  PatchMe,
  RecoveryCodes,
  SessionView,
  TotpSetup,
} from '@tollgate/shared/contracts/console/auth';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { CreatedKey, RevokedKey } from '@tollgate/shared/contracts/console/keys';
import { DAY_MS } from '@tollgate/shared/contracts/console/keys';
import type { Db } from '@tollgate/shared/db/client';
import { listAccessTokens } from '@tollgate/shared/db/console-lists';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { PasswordResetStore } from '@tollgate/shared/db/password-reset-store';
import { SessionStore } from '@tollgate/shared/db/session-store';
import { UserStore } from '@tollgate/shared/db/user-store';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Exchange } from '../http/route.ts';
import { isoTime, isoTimeOrNull, type PageInput, pageRequest } from '../http/values.ts';
import type { KeyService } from '../keys/service.ts';
import type { Actor } from './actor.ts';
import type { Passwords } from './passwords.ts';
import { IDLE_MS, type Sessions } from './sessions.ts';
import type { SignInService } from './sign-in.ts';
import type { SecondFactor } from './totp.ts';

const TOKEN_LIFE_MS = 90 * DAY_MS;

export interface SelfParts {
  db: Db;
  clock: Clock;
  passwords: Passwords;
  sessions: Sessions;
  secondFactor: SecondFactor;
  signIn: SignInService;
  keys: KeyService;
}

export class SelfService {
  readonly #parts: SelfParts;

  constructor(parts: SelfParts) {
    this.#parts = parts;
  }

  async patch(actor: Actor, input: PatchMe): Promise<Me> {
    const user = await this.#parts.signIn.user(actor);
    await new UserStore(this.#parts.db).rename(user.id, input.name);
    return this.#parts.signIn.me(actor);
  }

  /** Every other session ends: whoever knew the old password is out. */
  async changePassword(actor: Actor, input: ChangePassword): Promise<void> {
    const { db, passwords, signIn, clock } = this.#parts;
    const user = await signIn.user(actor);
    if (user.passwordHash !== null && !(await passwords.verify(input.current ?? '', user.passwordHash))) {
      throw new AppError('invalid_credentials', { message: 'The current password is not right.' });
    }
    await new UserStore(db).setPassword(user.id, await passwords.hash(input.next));
    await new SessionStore(db).revokeAll(user.id, actor.session!.id, clock.nowMs());
    // A link that somebody else may hold is of no use any more.
    await new PasswordResetStore(db).endAll(user.id, clock.nowMs());
  }

  async beginTotp(actor: Actor): Promise<TotpSetup> {
    return this.#parts.secondFactor.begin(await this.#parts.signIn.user(actor));
  }

  async confirmTotp(actor: Actor, code: string): Promise<RecoveryCodes> {
    return { codes: await this.#parts.secondFactor.confirm(await this.#parts.signIn.user(actor), code) };
  }

  async disableTotp(actor: Actor): Promise<void> {
    await new UserStore(this.#parts.db).dropTotp((await this.#parts.signIn.user(actor)).id);
  }

  async recoveryCodes(actor: Actor): Promise<RecoveryCodes> {
    const user = await this.#parts.signIn.user(actor);
    if (!user.twoFactor) throw new AppError('conflict', { message: 'Two-factor is off.' });
    return { codes: await this.#parts.secondFactor.newRecoveryCodes(user) };
  }

  async sessions(actor: Actor, query: ListQuery): Promise<Page<SessionView>> {
    const { db, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const page = await new SessionStore(db).list(
      actor.userId!,
      nowMs,
      nowMs - IDLE_MS,
      pageRequest(query as PageInput),
    );
    return {
      data: page.data.map((session) => ({
        sessionId: session.id,
        current: session.id === actor.session?.id,
        createdAt: isoTime(session.createdAtMs),
        lastSeenAt: isoTime(session.lastSeenAtMs),
        expiresAt: isoTime(session.expiresAtMs),
        ip: session.ip,
        userAgent: session.userAgent,
        method: session.method,
      })),
      next: page.next,
    };
  }

  async revokeSession(actor: Actor, id: string, exchange: Exchange): Promise<void> {
    const { db, clock, sessions } = this.#parts;
    if (id === actor.session?.id) return sessions.end(actor, exchange);
    if (!(await new SessionStore(db).revoke(actor.userId!, id, clock.nowMs()))) throw new AppError('not_found');
  }

  async revokeOthers(actor: Actor): Promise<void> {
    await new SessionStore(this.#parts.db).revokeAll(actor.userId!, actor.session!.id, this.#parts.clock.nowMs());
  }

  async tokens(actor: Actor, query: ListQuery): Promise<Page<AccessTokenView>> {
    const page = await listAccessTokens(this.#parts.db, actor.userId!, pageRequest(query as PageInput));
    return {
      data: page.data.map((key) => ({
        keyId: key.id,
        accountId: key.accountId,
        name: key.name,
        prefix: key.prefix,
        last4: key.last4,
        createdAt: isoTime(key.createdAtMs),
        expiresAt: isoTimeOrNull(key.expiresAtMs),
        revokedAt: isoTimeOrNull(key.revokedAtMs),
        lastUsedAt: isoTimeOrNull(key.lastUsedAtMs),
      })),
      next: page.next,
    };
  }

  /** Acts as the user in one organisation, with the role they have there at the time of use. */
  async createToken(actor: Actor, input: CreateAccessToken): Promise<CreatedKey> {
    if (!actor.roles?.has(input.accountId))
      throw new AppError('not_found', { message: 'There is no such organisation.' });
    const expiresAt = input.expiresAt === undefined ? this.#parts.clock.nowMs() + TOKEN_LIFE_MS : input.expiresAt;
    return this.#parts.keys.createAccessToken(actor, { accountId: input.accountId, name: input.name, expiresAt });
  }

  async revokeToken(actor: Actor, id: string): Promise<RevokedKey> {
    const key = await new KeyStore(this.#parts.db).get(id);
    if (key?.kind !== 'pat' || key.userId !== actor.userId) throw new AppError('not_found');
    return this.#parts.keys.revoke(actor, id);
  }
}
