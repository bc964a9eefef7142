/** Signing in with an OpenID Connect provider: authorisation code with PKCE, state and nonce. */
import type { Db } from '@tollgate/shared/db/client';
import { SessionStore } from '@tollgate/shared/db/session-store';
import { type User, UserStore } from '@tollgate/shared/db/user-store';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import * as client from 'openid-client';
import type { Exchange, Streamed } from '../http/route.ts';
import type { SettingsService } from '../settings/service.ts';
import type { Actor } from './actor.ts';
import { type CookieRules, noSignInCookie, readSignInCookie, signInCookie } from './cookies.ts';
import type { SignInService } from './sign-in.ts';

export interface OidcProvider {
  id: string;
  name: string;
  issuer: string;
  clientId: string;
  clientSecret: string;
}

export interface OidcParts {
  db: Db;
  clock: Clock;
  logger: Logger;
  sealer: Sealer;
  cookies: CookieRules;
  signIn: SignInService;
  settings: SettingsService;
  provider: OidcProvider;
  /** Where browsers reach this console, such as https://console.example.com. */
  publicUrl(): string;
}

/** What waits in the browser while it is at the provider; sealed, ten minutes. */
interface Pending {
  state: string;
  nonce: string;
  verifier: string;
  next: string;
  /** Set for a step-up: the same user must come back. */
  userId: string | null;
  untilMs: number;
}

const PENDING_MS = 600_000;

export class Oidc {
  readonly #parts: OidcParts;
  #configuration: Promise<client.Configuration> | null = null;

  constructor(parts: OidcParts) {
    this.#parts = parts;
  }

  get id(): string {
    return this.#parts.provider.id;
  }

  /** Off to the provider. `next` is a path of ours, nothing else. */
  async start(actor: Actor, next: string | undefined, again: boolean, exchange: Exchange): Promise<Streamed> {
    const { sealer, clock, cookies } = this.#parts;
    const configuration = await this.#configured();
    const verifier = client.randomPKCECodeVerifier();
    const pending: Pending = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      verifier,
      next: safePath(next),
      userId: again ? (actor.userId ?? null) : null,
      untilMs: clock.nowMs() + PENDING_MS,
    };
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: this.#redirectUri(),
      scope: 'openid email profile',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: pending.state,
      nonce: pending.nonce,
      ...(again ? { prompt: 'login', max_age: '0' } : {}),
    });
    exchange.setCookie(signInCookie(sealer.close(JSON.stringify(pending), 'oidc'), cookies));
    return redirect(url.href);
  }

  /** Back from it: whatever is not exactly what was started ends at the sign-in page with a word that says why. */
  async callback(actor: Actor, search: string, exchange: Exchange): Promise<Streamed> {
    const { cookies, logger } = this.#parts;
    exchange.setCookie(noSignInCookie(cookies));
    const pending = this.#pending(exchange);
    if (!pending) return redirect('/sign-in?error=expired');
    let claims: client.IDToken;
    try {
      const tokens = await client.authorizationCodeGrant(
        await this.#configured(),
        new URL(`${this.#redirectUri()}${search}`),
        {
          pkceCodeVerifier: pending.verifier,
          expectedState: pending.state,
          expectedNonce: pending.nonce,
          idTokenExpected: true,
        },
      );
      claims = tokens.claims()!;
    } catch (error) {
      // The library's own error may hold the answer of the provider: its name and code are enough.
      logger.warn(
        { name: (error as Error).name, code: (error as { code?: string }).code },
        'sign-in with the provider failed',
      );
      return redirect('/sign-in?error=provider');
    }
    try {
      if (pending.userId !== null) return await this.#confirmed(actor, pending, claims, exchange);
      const user = await this.#userOf(claims);
      await this.#parts.signIn.begin(user, 'oidc', exchange);
      return redirect(pending.next);
    } catch (error) {
      if (error instanceof AppError && error.metadata?.reason)
        return redirect(`/sign-in?error=${String(error.metadata.reason)}`);
      throw error;
    }
  }

  async #confirmed(actor: Actor, pending: Pending, claims: client.IDToken, exchange: Exchange): Promise<Streamed> {
    const { db, clock, provider } = this.#parts;
    const user = await new UserStore(db).byIdentity(provider.id, claims.sub);
    if (!user || user.id !== pending.userId || actor.userId !== user.id || !actor.session) throw refused('other_user');
    await new SessionStore(db).refresh(actor.session.id, clock.nowMs());
    exchange.identify(actor);
    return redirect(pending.next);
  }

  async #userOf(claims: client.IDToken): Promise<User> {
    const { db, clock, provider, signIn, settings } = this.#parts;
    const users = new UserStore(db);
    const known = await users.byIdentity(provider.id, claims.sub);
    if (known) return known;
    const email = typeof claims.email === 'string' ? claims.email.toLowerCase() : null;
    // An e-mail that the provider does not vouch for says nothing about who this is.
    if (email === null || claims.email_verified !== true || email.length > 254) throw refused('email_unverified');
    const nowMs = clock.nowMs();
    let user = await users.byEmail(email);
    if (user) {
      if (!user.emailVerified) {
        // Whoever registered this e-mail never proved that it is theirs: their password must not open this account.
        await users.setPassword(user.id, null);
        await users.dropTotp(user.id);
        await new SessionStore(db).revokeAll(user.id, null, nowMs);
      }
    } else {
      if ((await settings.get()).signUp !== 'open') throw refused('invite_only');
      const name = (typeof claims.name === 'string' && clean(claims.name)) || email.split('@')[0]!;
      user = await signIn.makeUser({
        email,
        emailVerified: true,
        name,
        passwordHash: null,
        organisation: `${name}'s organisation`,
      });
      if (!user) throw refused('conflict');
    }
    await users.markVerified(user.id, nowMs);
    await users.link(provider.id, claims.sub, user.id, nowMs);
    return user;
  }

  #pending(exchange: Exchange): Pending | null {
    const { sealer, cookies, clock } = this.#parts;
    const sealed = readSignInCookie(exchange.header('cookie'), cookies);
    if (sealed === null) return null;
    try {
      const pending = JSON.parse(sealer.open(sealed, 'oidc')) as Pending;
      return pending.untilMs > clock.nowMs() ? pending : null;
    } catch {
      return null;
    }
  }

  #redirectUri(): string {
    return `${this.#parts.publicUrl()}/api/auth/oidc/${this.#parts.provider.id}/callback`;
  }

  /** The provider's own description, read at the first use; a failure is tried again at the next. */
  #configured(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret } = this.#parts.provider;
    const url = new URL(issuer);
    const loopback = url.protocol === 'http:' && /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname);
    this.#configuration ??= client
      .discovery(
        url,
        clientId,
        clientSecret,
        undefined,
        loopback ? { execute: [client.allowInsecureRequests] } : undefined,
      )
      .catch((error: unknown) => {
        this.#configuration = null;
        throw new AppError('store_unavailable', {
          message: 'The sign-in provider cannot be reached now.',
          cause: error,
        });
      });
    return this.#configuration;
  }
}

const redirect = (location: string): Streamed => ({ status: 302, headers: { location }, body: null });
const refused = (reason: string) => new AppError('endpoint_not_allowed', { metadata: { reason } });
const clean = (text: string) =>
  text
    .replace(/[\p{Cc}\p{Cs}]/gu, '')
    .trim()
    .slice(0, 100);

/** A path of this console; anything that a browser could read as another host becomes the start page. */
export function safePath(path: string | undefined): string {
  return path !== undefined && /^\/[0-9A-Za-z_\-.~/?=&%]{0,500}$/.test(path) && !path.startsWith('//') ? path : '/';
}
