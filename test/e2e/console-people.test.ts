/** People at the console: signing in and up, sessions, step-up, two-factor, invitations, OIDC, the audit log. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { UserStore } from '@tollgate/shared/db/user-store';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { createSealer } from '@tollgate/shared/runtime/seal';
import { Secret, TOTP } from 'otpauth';
import { SignInService } from '../../services/console/src/auth/sign-in.ts';
import {
  type Browser,
  type Harness,
  PASSWORD,
  PEPPER,
  startHarness,
} from '../../services/console/src/testing/harness.ts';
import { OIDC_CLIENT, type OidcStandIn, startOidc } from './oidc-stand-in.ts';

jest.setTimeout(300_000);

let h: Harness;
let provider: OidcStandIn;

beforeAll(async () => {
  provider = await startOidc({ sub: 'p1', email: 'oidc@example.com', verified: true });
  h = await startHarness({
    people: {
      oidc: {
        ...{ id: 'sso', name: 'Local', issuer: provider.issuer },
        ...{ clientId: OIDC_CLIENT.id, clientSecret: OIDC_CLIENT.secret },
      },
    },
  });
  provider.serve(h.url);
});
afterAll(async () => {
  provider?.stop();
  await h?.stop();
});

/** Follows redirections between console and provider with one cookie jar per host, as a browser does. */
async function goThrough(browser: Browser, path: string): Promise<{ path: string; jar: Map<string, string> }> {
  const jar = new Map<string, string>();
  let url = new URL(path, h.url);
  for (let hop = 0; hop < 15; hop++) {
    const own = url.origin === h.url;
    const cookies = [...jar]
      .filter(([name]) => name.startsWith(`${url.host} `))
      .map(([name, value]) => `${name.split(' ')[1]}=${value}`);
    if (own && browser.cookie) cookies.push(`tollgate_session=${browser.cookie}`);
    const response = await fetch(url, { redirect: 'manual', headers: { cookie: cookies.join('; ') } });
    await response.arrayBuffer();
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      const name = pair.slice(0, at);
      if (name === 'tollgate_session') browser.cookie = pair.slice(at + 1) || null;
      else jar.set(`${url.host} ${name}`, pair.slice(at + 1));
    }
    const location = response.headers.get('location');
    if (location === null) throw new Error(`no redirection from ${url.pathname}: ${response.status}`);
    url = new URL(location, url);
    if (url.origin === h.url && !url.pathname.startsWith('/api/')) return { path: url.pathname + url.search, jar };
  }
  throw new Error('too many redirections');
}

describe('signing in', () => {
  test('registering makes a user, an organisation and a session; me says so', async () => {
    const ada = h.browser();
    const { accountId } = await ada.signUp('ada@example.com');
    const { body } = await ada.get('/api/me');
    expect(body.user).toMatchObject({ email: 'ada@example.com', operator: false, twoFactor: false, hasPassword: true });
    expect(body.organisations).toEqual([expect.objectContaining({ accountId, role: 'owner', status: 'active' })]);
    const kept = (await new UserStore(h.db).byEmail('ada@example.com'))!.passwordHash!;
    expect([kept.startsWith('$argon2id$'), kept.includes(PASSWORD)]).toEqual([true, false]);
    expect(
      (
        await h
          .browser()
          .post('/api/auth/register', { email: 'ADA@example.com', password: PASSWORD, name: 'x', organisation: 'x' })
      ).status,
    ).toBe(409);
  });

  test('a session that somebody planted before is another one after signing in', async () => {
    const victim = h.browser();
    await victim.signUp('fix@example.com');
    const planted = victim.cookie;
    await victim.post('/api/auth/login', { email: 'fix@example.com', password: PASSWORD });
    expect(victim.cookie).not.toBe(planted);
    const attacker = h.browser();
    attacker.cookie = planted;
    expect((await attacker.get('/api/me')).status).toBe(401);
    expect((await victim.get('/api/me')).status).toBe(200);
  });

  test('the cookie is out of reach of scripts and of other sites', async () => {
    const response = await h.browser().post('/api/auth/login', { email: 'ada@example.com', password: PASSWORD });
    const [cookie = ''] = response.headers.getSetCookie();
    expect(cookie).toMatch(/^tollgate_session=\w{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/);
  });

  test('a wrong password and an unknown e-mail get the same answer, and after eight failures a pause', async () => {
    const statuses: Record<string, number[]> = {};
    const texts = new Set<string>();
    await h.browser().signUp('known@example.com');
    for (const email of ['known@example.com', 'unknown@example.com']) {
      statuses[email] = [];
      for (let i = 0; i < 9; i++) {
        const answer = await h.browser().post('/api/auth/login', { email, password: 'wrong password' });
        statuses[email].push(answer.status);
        texts.add(`${answer.status} ${answer.body.error.message}`);
      }
    }
    expect(statuses['known@example.com']).toEqual([...Array(8).fill(401), 429]);
    expect(statuses['unknown@example.com']).toEqual(statuses['known@example.com']);
    expect(texts.size).toBe(2);
    // Nor does the right password tell that it is right while the pause lasts.
    const paused = await h.browser().post('/api/auth/login', { email: 'known@example.com', password: PASSWORD });
    expect([paused.status, paused.headers.has('retry-after')]).toEqual([429, true]);
  });

  test('changes need the CSRF token of the very session, and our own Origin', async () => {
    const bob = h.browser();
    const { accountId } = await bob.signUp('bob@example.com');
    const path = `/api/accounts/${accountId}/projects`;
    const eve = h.browser();
    await eve.signUp('eve@example.com');
    for (const token of ['', 'x', eve.csrf!]) {
      const answer = await bob.post(path, { name: 'p' }, { 'x-csrf-token': token });
      expect([answer.status, answer.body.error.metadata]).toEqual([403, { reason: 'csrf' }]);
    }
    const foreign = await bob.post(path, { name: 'p' }, { origin: 'https://evil.example' });
    expect([foreign.status, foreign.body.error.metadata]).toEqual([403, { reason: 'csrf' }]);
    expect((await bob.post(path, { name: 'p' })).status).toBe(200);
  });

  test('sessions are listed, ended one by one, all others at once, and by signing out', async () => {
    const [a, b, c] = [h.browser(), h.browser(), h.browser()];
    await a.signUp('many@example.com');
    for (const other of [b, c]) await other.post('/api/auth/login', { email: 'many@example.com', password: PASSWORD });
    const { data } = (await a.get('/api/me/sessions')).body;
    expect(data.map((session: { current: boolean }) => session.current)).toEqual([false, false, true]);
    expect((await a.post(`/api/me/sessions/${data[0].sessionId}/revoke`)).status).toBe(200);
    expect([(await c.get('/api/me')).status, (await b.get('/api/me')).status]).toEqual([401, 200]);
    await a.post('/api/me/sessions/revoke-others');
    expect((await b.get('/api/me')).status).toBe(401);
    await a.post('/api/auth/logout');
    expect([a.cookie, (await a.get('/api/me')).status]).toEqual([null, 401]);
  });

  test('an idle session ends', async () => {
    const idle = h.browser();
    await idle.signUp('idle@example.com');
    h.shift(13 * 3_600_000);
    expect((await idle.get('/api/me')).status).toBe(401);
  });
});

describe('proving again who one is', () => {
  test('keys need it after ten minutes; a password gives ten more', async () => {
    const cy = h.browser();
    const { accountId } = await cy.signUp('cy@example.com');
    const create = () => cy.post('/api/keys', { accountId, name: 'k' });
    expect((await create()).status).toBe(201);
    h.shift(11 * 60_000);
    const stale = await create();
    expect([stale.status, stale.body.error.code]).toEqual([403, 'reauthentication_required']);
    expect((await cy.post('/api/auth/reauthenticate', { password: 'wrong password' })).status).toBe(401);
    const fresh = await cy.post('/api/auth/reauthenticate', { password: PASSWORD });
    expect([fresh.status, typeof fresh.body.session.freshUntil]).toEqual([200, 'string']);
    expect((await create()).status).toBe(201);
  });

  test('a changed password ends every other session', async () => {
    const [one, two] = [h.browser(), h.browser()];
    await one.signUp('pw@example.com');
    await two.post('/api/auth/login', { email: 'pw@example.com', password: PASSWORD });
    expect((await one.post('/api/me/password', { current: 'nope', next: 'another good password' })).status).toBe(401);
    expect((await one.post('/api/me/password', { current: PASSWORD, next: 'another good password' })).status).toBe(200);
    expect([(await one.get('/api/me')).status, (await two.get('/api/me')).status]).toEqual([200, 401]);
  });

  test('two-factor: a code once, a recovery code once, nothing without', async () => {
    const dan = h.browser();
    await dan.signUp('dan@example.com');
    const setup = (await dan.post('/api/me/totp')).body;
    expect(setup.qr).toMatch(/^data:image\/svg\+xml;base64,/);
    const totp = new TOTP({ secret: Secret.fromBase32(setup.secret), digits: 6, period: 30 });
    // The console's clock was moved by the tests before.
    const code = async () => totp.generate({ timestamp: Date.parse((await h.get('/api/status')).body.at) });
    expect((await dan.post('/api/me/totp/confirm', { code: '000000' })).status).toBe(401);
    const first = await code();
    const { codes } = (await dan.post('/api/me/totp/confirm', { code: first })).body;
    expect(codes).toHaveLength(10);
    const login = async () => {
      const browser = h.browser();
      const { body } = await browser.post('/api/auth/login', { email: 'dan@example.com', password: PASSWORD });
      expect([body.status, browser.cookie]).toEqual(['second_factor', null]);
      return { browser, challenge: body.challenge as string };
    };
    const { browser, challenge } = await login();
    // The code that turned it on was used up by that.
    expect((await browser.post('/api/auth/second-factor', { challenge, code: first })).status).toBe(401);
    h.shift(60_000);
    expect((await browser.post('/api/auth/second-factor', { challenge, code: await code() })).body.status).toBe(
      'signed_in',
    );
    const again = await login();
    expect(
      (await again.browser.post('/api/auth/second-factor', { challenge: again.challenge, code: codes[0] })).status,
    ).toBe(200);
    const third = await login();
    expect(
      (await third.browser.post('/api/auth/second-factor', { challenge: third.challenge, code: codes[0] })).status,
    ).toBe(401);
    expect((await third.browser.post('/api/auth/second-factor', { challenge: 'made up', code: codes[1] })).status).toBe(
      401,
    );
  });
});

describe('the first operator', () => {
  test('claims a fresh console with the token of its log: once, under any race; the token is nowhere else', async () => {
    const token = /"claimToken":"(\w{32})"/.exec(h.logs())![1]!;
    const claim = (email: string, text = token) =>
      h.browser().post('/api/auth/claim', { token: text, email, password: PASSWORD, name: 'Root' });
    expect((await h.browser().get('/api/auth/options')).body.claimed).toBe(false);
    // Another replica, or this one started again, tells the same token: whichever log is read, it is the right one.
    const sealer = createSealer(PEPPER, systemRandom);
    const replica = new SignInService({ db: h.db, random: systemRandom, sealer } as never);
    expect(await replica.claimToken()).toBe(token);
    expect((await claim('wrong@example.com', 'x'.repeat(32))).status).toBe(401);
    // An e-mail that somebody has does not use the token up.
    expect((await claim('ada@example.com')).status).toBe(409);
    const racing = await Promise.all(['root1', 'root2', 'root3'].map((name) => claim(`${name}@example.com`)));
    expect(racing.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    const { user } = racing.find(({ status }) => status === 200)!.body.me;
    expect(user.operator).toBe(true);
    expect((await claim('late@example.com')).status).toBe(401);
    const options = await h.browser().get('/api/auth/options');
    expect([options.body.claimed, options.text.includes(token)]).toEqual([true, false]);
    const log = (await h.get('/api/audit?action=auth.claim')).body.data;
    expect([log.length, log[0].actor, JSON.stringify(log).includes(token)]).toEqual([1, user.userId, false]);
  });
});

describe('organisations', () => {
  test('an invitation lets one person in once, with the role it names', async () => {
    const owner = h.browser();
    const { accountId, userId } = await owner.signUp('owner@example.com');
    const at = `/api/accounts/${accountId}`;
    const made = (await owner.post(`${at}/invitations`, { email: 'new@example.com', role: 'developer' })).body;
    expect([made.mailed, made.link]).toEqual([false, expect.stringMatching(/^\/invite#\w{40}$/)]);
    const token = made.link.split('#')[1];
    const guest = h.browser();
    expect((await guest.post('/api/auth/invitations/look', { token })).body).toMatchObject({
      role: 'developer',
      userExists: false,
    });
    expect((await guest.post('/api/auth/invitations/accept', { token, password: PASSWORD, name: 'New' })).status).toBe(
      200,
    );
    expect((await guest.get('/api/me')).body.organisations).toEqual([
      expect.objectContaining({ accountId, role: 'developer' }),
    ]);
    expect((await h.browser().post('/api/auth/invitations/accept', { token, password: PASSWORD })).status).toBe(409);
    // What a developer may not.
    expect((await guest.post(`${at}/invitations`, { email: 'x@example.com', role: 'viewer' })).status).toBe(403);
    expect((await guest.call('PATCH', `${at}/members/${userId}`, { role: 'viewer' })).status).toBe(403);
    // The last owner stays; somebody who left has nothing any more.
    expect((await owner.post(`${at}/members/${userId}/remove`)).status).toBe(409);
    const guestId = (await guest.get('/api/me')).body.user.userId;
    expect((await guest.post(`${at}/members/${guestId}/remove`)).status).toBe(200);
    expect((await guest.get(`${at}/credits`)).status).toBe(404);
  });

  test('an access token acts with its user’s role, only in its organisation, and not where a person must confirm', async () => {
    const pat = h.browser();
    const { accountId } = await pat.signUp('pat@example.com');
    const other = await h.browser().signUp('other@example.com');
    const { key } = (await pat.post('/api/me/tokens', { accountId, name: 'script' })).body;
    const as = (method: string, path: string, body?: unknown) =>
      h.call(method, path, body, { authorization: `Bearer ${key}` });
    expect((await as('GET', `/api/accounts/${accountId}/credits`)).status).toBe(200);
    expect((await as('GET', `/api/accounts/${other.accountId}/credits`)).status).toBe(404);
    expect((await as('GET', '/api/accounts')).status).toBe(403);
    expect((await as('POST', '/api/keys', { accountId, name: 'x' })).status).toBe(403);
    const { data } = (await pat.get('/api/me/tokens')).body;
    await pat.post(`/api/me/tokens/${data[0].keyId}/revoke`);
    expect((await as('GET', `/api/accounts/${accountId}/credits`)).status).toBe(401);
  });
});

test('an access token may less as soon as its user may less, and nothing once they left', async () => {
  const owner = h.browser();
  const { accountId } = await owner.signUp('boss@example.com');
  const at = `/api/accounts/${accountId}`;
  const { link } = (await owner.post(`${at}/invitations`, { email: 'temp@example.com', role: 'developer' })).body;
  const temp = h.browser();
  const accept = { token: link.split('#')[1], password: PASSWORD, name: 'Temp' };
  const userId = (await temp.post('/api/auth/invitations/accept', accept)).body.me.user.userId;
  const { key } = (await temp.post('/api/me/tokens', { accountId, name: 'script' })).body;
  const make = async () =>
    (await h.call('POST', `${at}/projects`, { name: 'p' }, { authorization: `Bearer ${key}` })).status;
  expect(await make()).toBe(200);
  await owner.call('PATCH', `${at}/members/${userId}`, { role: 'viewer' });
  expect(await make()).toBe(403);
  await owner.post(`${at}/members/${userId}/remove`);
  expect(await make()).toBe(401);
});

describe('a provider', () => {
  test('brings a new user in, and the same one again', async () => {
    const olga = h.browser();
    expect((await goThrough(olga, '/api/auth/oidc/sso/start?next=/usage')).path).toBe('/usage');
    const { body } = await olga.get('/api/me');
    expect(body.user).toMatchObject({ email: 'oidc@example.com', hasPassword: false });
    const again = h.browser();
    await goThrough(again, '/api/auth/oidc/sso/start');
    expect((await again.get('/api/me')).body.user.userId).toBe(body.user.userId);
    // Confirming with the provider is a step-up.
    h.shift(11 * 60_000);
    expect((await again.get('/api/me')).body.session.freshUntil).toBeNull();
    expect((await goThrough(again, '/api/auth/oidc/sso/start?next=/keys&reauthenticate=1')).path).toBe('/keys');
    expect((await again.get('/api/me')).body.session.freshUntil).not.toBeNull();
  });

  test('an e-mail it does not vouch for opens nothing', async () => {
    provider.person = { sub: 'p2', email: 'ada@example.com', verified: false };
    const mallory = h.browser();
    expect((await goThrough(mallory, '/api/auth/oidc/sso/start')).path).toBe('/sign-in?error=email_unverified');
    expect(mallory.cookie).toBeNull();
  });

  test('who owns the e-mail takes over what somebody else registered with it; the old password is void', async () => {
    const squatter = h.browser();
    await squatter.signUp('mine@example.com');
    provider.person = { sub: 'p3', email: 'mine@example.com', verified: true };
    const owner = h.browser();
    await goThrough(owner, '/api/auth/oidc/sso/start');
    expect((await owner.get('/api/me')).body.user.email).toBe('mine@example.com');
    expect((await squatter.get('/api/me')).status).toBe(401);
    expect((await h.browser().post('/api/auth/login', { email: 'mine@example.com', password: PASSWORD })).status).toBe(
      401,
    );
  });

  test('an answer with another state, or none that was asked for, signs nobody in', async () => {
    const nobody = h.browser();
    const answer = await nobody.get('/api/auth/oidc/sso/callback?code=stolen&state=guessed');
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/sign-in?error=expired']);
    const begun = await fetch(`${h.url}/api/auth/oidc/sso/start`, { redirect: 'manual' });
    const cookie = begun.headers.getSetCookie()[0]!.split(';')[0]!;
    const wrong = await nobody.call('GET', '/api/auth/oidc/sso/callback?code=stolen&state=guessed', undefined, {
      cookie,
    });
    expect(wrong.headers.get('location')).toBe('/sign-in?error=provider');
    expect(nobody.cookie).toBeNull();
    // Nor does it send anybody to another host.
    for (const next of ['https://evil.example', '//evil.example', '/\\evil.example']) {
      provider.person = { sub: 'p1', email: 'oidc@example.com', verified: true };
      expect((await goThrough(h.browser(), `/api/auth/oidc/sso/start?next=${encodeURIComponent(next)}`)).path).toBe(
        '/',
      );
    }
  });
});

test('the audit log has it all, in an unbroken chain that refuses changes', async () => {
  const { data } = (await h.get('/api/audit?limit=1000')).body;
  const actions = new Set(data.map((line: { action: string }) => line.action));
  for (const action of [
    'auth.register',
    'auth.login',
    'keys.create',
    'me.totp_confirm',
    'invitations.create',
    'members.remove',
  ]) {
    expect(actions).toContain(action);
  }
  expect((await h.get('/api/audit/verify')).body).toMatchObject({ ok: true, lines: data[0].seq });
  await expect(h.db.deleteFrom('audit_log' as never).execute()).rejects.toThrow(/immutable/);
});
