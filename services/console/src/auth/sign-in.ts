/** Signing in and up: passwords, second factor, the first operator, invitations, and proving again who one is. */
import type {
  AcceptInvitation,
  Claim,
  InvitationFace,
  Me,
  Reauthenticate,
  Register,
  SecondFactor as SecondFactorInput,
  SignedIn,
  SignIn,
  SignInOptions,
} from '@tollgate/shared/contracts/console/auth';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db, Tx } from '@tollgate/shared/db/client';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { type Invitation, OrganisationStore } from '@tollgate/shared/db/organisation-store';
import { PlanStore } from '@tollgate/shared/db/plan-store';
import { type SessionMethod, SessionStore } from '@tollgate/shared/db/session-store';
import { tx } from '@tollgate/shared/db/tx';
import { type User, UserStore } from '@tollgate/shared/db/user-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { type AccountId, base62, newId } from '@tollgate/shared/domain/ids';
import type { Throttle } from '@tollgate/shared/redis/throttle';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import { FRESH_MS } from '../http/access.ts';
import type { Exchange } from '../http/route.ts';
import { isoTime } from '../http/values.ts';
import type { SettingsService } from '../settings/service.ts';
import type { Actor } from './actor.ts';
import type { Passwords } from './passwords.ts';
import { digestOf, type Sessions } from './sessions.ts';
import type { SecondFactor } from './totp.ts';

const CHALLENGE_MS = 5 * 60_000;
/** From this the token is made; empty once it was used. */
const CLAIM_NONCE = 'claim_nonce';
/** Failures per e-mail and per address. */
const PER_EMAIL = { limit: 8, windowMs: 15 * 60_000 };
const PER_ADDRESS = { limit: 60, windowMs: 15 * 60_000 };
/** New users per address. */
const PER_ADDRESS_NEW = { limit: 30, windowMs: 3_600_000 };

export interface SignInParts {
  db: Db;
  clock: Clock;
  random: Random;
  logger: Logger;
  sealer: Sealer;
  passwords: Passwords;
  sessions: Sessions;
  secondFactor: SecondFactor;
  throttle: Throttle;
  settings: SettingsService;
  oidc: SignInOptions['oidc'];
  passwordReset: SignInOptions['passwordReset'];
  routerUrl: string;
  version: string;
}

export class SignInService {
  readonly #parts: SignInParts;

  constructor(parts: SignInParts) {
    this.#parts = parts;
  }

  async options(): Promise<SignInOptions> {
    const { db, settings, oidc, passwordReset, routerUrl, version } = this.#parts;
    return {
      claimed: await new UserStore(db).anyOperator(),
      signUp: (await settings.get()).signUp,
      oidc,
      passwordReset,
      routerUrl,
      version,
    };
  }

  /** The same answer, after the same work, for an unknown e-mail and for a wrong password. */
  async login(input: SignIn, exchange: Exchange): Promise<SignedIn> {
    const { db, passwords, sealer, clock } = this.#parts;
    await this.#mayTry(input.email, exchange);
    const user = await new UserStore(db).byEmail(input.email);
    const right = await passwords.verify(input.password, user?.passwordHash ?? null);
    if (!user || !right) {
      await this.#failed(input.email, exchange);
      throw new AppError('invalid_credentials');
    }
    if (user.twoFactor) {
      const text = JSON.stringify({ userId: user.id, untilMs: clock.nowMs() + CHALLENGE_MS });
      return { status: 'second_factor', challenge: sealer.close(text, 'second factor') };
    }
    return this.#signedIn(user, 'password', exchange);
  }

  async secondFactor({ challenge, code }: SecondFactorInput, exchange: Exchange): Promise<SignedIn> {
    const { db, clock, secondFactor } = this.#parts;
    const claim = this.#openChallenge(challenge);
    const user = claim && claim.untilMs > clock.nowMs() ? await new UserStore(db).get(claim.userId) : null;
    if (!user) throw new AppError('invalid_credentials', { message: 'That took too long. Sign in again.' });
    await this.#mayTry(user.email, exchange);
    if (!(await secondFactor.check(user, code))) {
      await this.#failed(user.email, exchange);
      throw new AppError('invalid_credentials');
    }
    return this.#signedIn(user, 'password', exchange);
  }

  #openChallenge(challenge: string): { userId: string; untilMs: number } | null {
    try {
      return JSON.parse(this.#parts.sealer.open(challenge, 'second factor')) as { userId: string; untilMs: number };
    } catch {
      return null;
    }
  }

  /** A new user with an organisation of their own. */
  async register(input: Register, exchange: Exchange): Promise<SignedIn> {
    const { settings, passwords } = this.#parts;
    const { signUp } = await settings.get();
    if (signUp !== 'open') throw new AppError('endpoint_not_allowed', { message: 'Signing up is by invitation here.' });
    await this.#mayMake(exchange);
    const passwordHash = await passwords.hash(input.password);
    const user = await this.makeUser({
      email: input.email,
      name: input.name,
      passwordHash,
      organisation: input.organisation,
    });
    if (!user) throw new AppError('conflict', { message: 'There is an account with this e-mail. Sign in instead.' });
    return this.#signedIn(user, 'password', exchange);
  }

  /** User, organisation, membership and first credit in one transaction, and `last`. Null when the e-mail is taken. */
  async makeUser(
    input: {
      email: string;
      emailVerified?: boolean;
      name: string;
      passwordHash: string | null;
      organisation: string;
      operator?: boolean;
    },
    last?: (trx: Tx) => Promise<void>,
  ): Promise<User | null> {
    const { db, clock, random, settings } = this.#parts;
    const { signUpCreditNusd, signUpPlan } = await settings.get();
    const plan = await new PlanStore(db).get(signUpPlan);
    return tx(db, async (trx) => {
      const nowMs = clock.nowMs();
      const user = await new UserStore(trx).create({ ...input, id: newId('user', random.bytes), createdAtMs: nowMs });
      if (!user) return null;
      await this.makeOrganisation(trx, user, input.organisation, plan, signUpCreditNusd);
      await last?.(trx);
      return user;
    });
  }

  async makeOrganisation(
    trx: Tx,
    user: Pick<User, 'id' | 'email'>,
    name: string,
    plan: Awaited<ReturnType<PlanStore['get']>>,
    creditNusd: bigint,
  ): Promise<AccountId> {
    const { clock, random } = this.#parts;
    const nowMs = clock.nowMs();
    const account = await new AccountStore(trx).create({
      id: newId('acct', random.bytes),
      name,
      email: user.email,
      createdAtMs: nowMs,
      ...(plan ? { plan: plan.id, weight: plan.weight, limits: plan.limits } : {}),
    });
    await new OrganisationStore(trx).add(account.id, user.id, 'owner', nowMs);
    if (creditNusd > 0n) {
      const grant = { accountId: account.id, amountNusd: creditNusd, idemKey: `sign-up:${account.id}` };
      await new LedgerStore(trx).credit({ ...grant, reason: 'first credit', actor: 'system' });
    }
    return account.id;
  }

  // -- the first operator ------------------------------------------------------------------------------------------

  /**
   * A one-time token for the first start, told in the log; null when there is an operator. Every replica tells the same
   * one: it derives from what the database keeps and from the installation's secret, and is stored nowhere.
   */
  async claimToken(): Promise<string | null> {
    const { db, random } = this.#parts;
    if (await new UserStore(db).anyOperator()) return null;
    const meta = new MetaStore(db);
    const fresh = base62(32, random.bytes);
    const kept = await meta.first(CLAIM_NONCE, fresh);
    if (kept === '') await meta.set(CLAIM_NONCE, fresh);
    return this.#claimTokenOf(kept || fresh);
  }

  #claimTokenOf(nonce: string): string {
    return this.#parts.sealer
      .digest('claim', nonce)
      .replace(/[^0-9A-Za-z]/g, '')
      .slice(0, 32);
  }

  async claim(input: Claim, exchange: Exchange): Promise<SignedIn> {
    const { db, passwords } = this.#parts;
    await this.#mayTry(null, exchange);
    const wrong = () => new AppError('invalid_credentials', { message: 'The token is not right, or was used.' });
    const nonce = (await new MetaStore(db).get(CLAIM_NONCE)) || null;
    const right = nonce !== null && digestOf(input.token) === digestOf(this.#claimTokenOf(nonce));
    if (!right || (await new UserStore(db).anyOperator())) {
      await this.#failed(null, exchange);
      throw wrong();
    }
    const passwordHash = await passwords.hash(input.password);
    const person = {
      ...{ email: input.email, emailVerified: true, name: input.name, passwordHash, operator: true },
      organisation: `${input.name}'s organisation`,
    };
    // Of two claims at the same time one makes an operator.
    const user = await this.makeUser(person, async (trx) => {
      if (!(await new MetaStore(trx).take(CLAIM_NONCE, nonce))) throw wrong();
    });
    if (!user) throw new AppError('conflict', { message: 'There is an account with this e-mail.' });
    return this.#signedIn(user, 'claim', exchange);
  }

  /** The operator that the configuration names: made when missing; its password is the configuration's only then. */
  async ensureOperator(email: string, password: string, accountName: string): Promise<void> {
    const { db, passwords } = this.#parts;
    const users = new UserStore(db);
    const found = await users.byEmail(email);
    if (found) {
      if (!found.operator) await users.setOperator(found.id);
      return;
    }
    const passwordHash = await passwords.hash(password);
    await this.makeUser({
      email,
      emailVerified: true,
      name: 'Admin',
      passwordHash,
      organisation: accountName,
      operator: true,
    });
  }

  // -- invitations -------------------------------------------------------------------------------------------------

  async lookInvitation(token: string): Promise<InvitationFace> {
    const { db } = this.#parts;
    const invitation = this.#usable(await new OrganisationStore(db).invitationOf(digestOf(token)));
    return {
      organisation: invitation.organisation,
      email: invitation.email,
      role: invitation.role,
      expiresAt: isoTime(invitation.expiresAtMs),
      userExists: (await new UserStore(db).byEmail(invitation.email)) !== null,
    };
  }

  /** By a new user with a password, or by the signed-in user whose e-mail was invited. */
  async acceptInvitation(actor: Actor, input: AcceptInvitation, exchange: Exchange): Promise<SignedIn> {
    const { db, clock, random, passwords } = this.#parts;
    const digest = digestOf(input.token);
    const seen = this.#usable(await new OrganisationStore(db).invitationOf(digest));
    const existing = await new UserStore(db).byEmail(seen.email);
    if (existing && actor.userId !== existing.id) {
      throw new AppError('conflict', { message: `Sign in as ${seen.email} first, then accept.` });
    }
    if (!existing && input.password === undefined) {
      throw new AppError('invalid_request', { message: 'password: choose one', param: 'password' });
    }
    const passwordHash = existing ? null : await passwords.hash(input.password!);
    const user = await tx(db, async (trx) => {
      const organisations = new OrganisationStore(trx);
      const invitation = this.#usable(await organisations.invitationOf(digest, true));
      const nowMs = clock.nowMs();
      const name = input.name ?? invitation.email.split('@')[0]!;
      const person =
        existing ??
        (await new UserStore(trx).create({
          id: newId('user', random.bytes),
          email: invitation.email,
          name,
          passwordHash,
          createdAtMs: nowMs,
        }));
      if (!person) throw new AppError('conflict', { message: 'There is an account with this e-mail now. Sign in.' });
      await organisations.add(invitation.accountId, person.id, invitation.role, nowMs);
      await organisations.acceptInvitation(invitation.id, nowMs);
      return person;
    });
    return this.#signedIn(user, 'invitation', exchange);
  }

  #usable(invitation: Invitation | null): Invitation {
    const nowMs = this.#parts.clock.nowMs();
    if (!invitation || invitation.revokedAtMs !== null)
      throw new AppError('not_found', { message: 'There is no such invitation.' });
    if (invitation.acceptedAtMs !== null)
      throw new AppError('conflict', { message: 'The invitation was used already.' });
    if (invitation.expiresAtMs <= nowMs) throw new AppError('conflict', { message: 'The invitation has expired.' });
    return invitation;
  }

  // -- afterwards --------------------------------------------------------------------------------------------------

  /** Password, and code where two-factor is on; then keys and money may be changed for ten minutes. */
  async reauthenticate(actor: Actor, input: Reauthenticate, exchange: Exchange): Promise<Me> {
    const { db, passwords, secondFactor, clock } = this.#parts;
    const user = await this.user(actor);
    await this.#mayTry(user.email, exchange);
    if (user.passwordHash === null && !user.twoFactor) {
      throw new AppError('conflict', { message: 'You sign in with a provider: confirm there.' });
    }
    const passwordRight =
      user.passwordHash === null || (await passwords.verify(input.password ?? '', user.passwordHash));
    const codeRight = !user.twoFactor || (await secondFactor.check(user, input.code ?? ''));
    if (!passwordRight || !codeRight) {
      await this.#failed(user.email, exchange);
      throw new AppError('invalid_credentials');
    }
    await new SessionStore(db).refresh(actor.session!.id, clock.nowMs());
    return this.me({ ...actor, session: { ...actor.session!, freshAtMs: clock.nowMs() } });
  }

  /** The signed-in user's own record. */
  async user(actor: Actor): Promise<User> {
    const user = actor.userId === undefined ? null : await new UserStore(this.#parts.db).get(actor.userId);
    if (!user) throw new AppError('not_found', { message: 'The admin token is nobody in particular.' });
    return user;
  }

  async me(actor: Actor): Promise<Me> {
    const user = await this.user(actor);
    const memberships = await new OrganisationStore(this.#parts.db).ofUser(user.id);
    const { session } = actor;
    const freshUntilMs = (session?.freshAtMs ?? 0) + FRESH_MS;
    return {
      user: {
        userId: user.id,
        email: user.email,
        name: user.name,
        operator: actor.kind === 'operator',
        twoFactor: user.twoFactor,
        hasPassword: user.passwordHash !== null,
      },
      organisations: memberships.filter(({ accountId }) => actor.roles?.has(accountId)),
      session: session
        ? {
            sessionId: session.id,
            csrfToken: session.csrfToken,
            expiresAt: isoTime(session.expiresAtMs),
            freshUntil: freshUntilMs > this.#parts.clock.nowMs() ? isoTime(freshUntilMs) : null,
          }
        : null,
    };
  }

  /** A session for somebody who has just proved who they are. */
  async #signedIn(user: User, method: SessionMethod, exchange: Exchange): Promise<SignedIn> {
    return { status: 'signed_in', me: await this.me(await this.begin(user, method, exchange)) };
  }

  async begin(user: User, method: SessionMethod, exchange: Exchange): Promise<Actor> {
    const { sessions, throttle, sealer } = this.#parts;
    const session = await sessions.begin(user, method, exchange);
    await throttle.forget(`email:${sealer.digest('throttle', user.email)}`);
    const actor = await sessions.actorOf(user, session);
    exchange.identify(actor);
    return actor;
  }

  // -- throttling --------------------------------------------------------------------------------------------------

  /**
   * @throws 429, before any work, when there were too many failures: whether or not the e-mail exists. null = no e-mail
   * is asked about, and nobody can be kept out by somebody else's guesses.
   */
  async #mayTry(email: string | null, exchange: Exchange): Promise<void> {
    const { throttle } = this.#parts;
    const waits = [
      email === null ? null : await throttle.blocked(this.#emailName(email), PER_EMAIL),
      await throttle.blocked(`ip:${exchange.ip}`, PER_ADDRESS),
    ];
    const waitMs = Math.max(...waits.map((wait) => wait ?? 0));
    if (waitMs > 0) throw tooMany(waitMs);
  }

  async #failed(email: string | null, exchange: Exchange): Promise<void> {
    const { throttle, logger } = this.#parts;
    if (email !== null) await throttle.count(this.#emailName(email), PER_EMAIL);
    await throttle.count(`ip:${exchange.ip}`, PER_ADDRESS);
    logger.info({ requestId: exchange.requestId, ip: exchange.ip }, 'sign-in failed');
  }

  async #mayMake(exchange: Exchange): Promise<void> {
    const { throttle } = this.#parts;
    const waitMs = await throttle.blocked(`new:${exchange.ip}`, PER_ADDRESS_NEW);
    if (waitMs !== null) throw tooMany(waitMs);
    await throttle.count(`new:${exchange.ip}`, PER_ADDRESS_NEW);
  }

  /** Redis sees no e-mail. */
  #emailName(email: string): string {
    return `email:${this.#parts.sealer.digest('throttle', email)}`;
  }
}

const tooMany = (waitMs: number) =>
  new AppError('rate_limit_exceeded', { message: 'Too many attempts. Wait, then try again.', retryAfterMs: waitMs });
