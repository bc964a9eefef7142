import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { Secret, TOTP } from 'otpauth';
import { type Browser, type Harness, PASSWORD, startHarness } from '../testing/harness.ts';

interface Mail {
  to: string;
  subject: string;
  text: string;
}

const NEXT = 'another correct horse battery';
let h: Harness;
let relay: Server;
let mails: Mail[] = [];
let people = 0;

beforeAll(async () => {
  relay = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      mails.push(JSON.parse(text) as Mail);
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(relay.address() as AddressInfo).port}/`;
  h = await startHarness({ people: { mail: { url, token: null } } });
});
afterAll(async () => {
  await h?.stop();
  relay.close();
});
/** Redis counts attempts of this one address. */
beforeEach(async () => {
  mails = [];
  for (const key of await h.redis.client.keys('tg:throttle:*')) await h.redis.client.del(key);
});

async function person(): Promise<{ browser: Browser; email: string; userId: string }> {
  const email = `p${++people}@example.com`;
  const browser = h.browser();
  return { browser, email, ...(await browser.signUp(email)) };
}
const linkFor = async (email: string): Promise<string> => {
  const { status, body } = await h.post('/api/password-resets', { email });
  expect(status).toBe(201);
  return (body.link as string).split('#')[1]!;
};
const reset = (token: string, password = NEXT) => h.browser().post('/api/auth/password-reset', { token, password });
const login = (email: string, password: string) => h.browser().post('/api/auth/login', { email, password });

describe('a link from an operator', () => {
  test('gives a new password once; the old one and every session end', async () => {
    const { browser, email, userId } = await person();
    const token = await linkFor(email);
    expect((await browser.get('/api/me')).status).toBe(200);
    expect((await reset(token)).status).toBe(200);
    expect((await browser.get('/api/me')).status).toBe(401);
    expect((await login(email, PASSWORD)).status).toBe(401);
    expect((await login(email, NEXT)).body.status).toBe('signed_in');
    const again = await reset(token, 'a third horse battery staple');
    expect([again.status, again.body.error.code]).toEqual([401, 'invalid_credentials']);
    const { body } = await h.get('/api/audit?limit=20');
    const lines = body.data.map((line: { action: string; actor: string }) => `${line.action} ${line.actor}`);
    expect(lines).toEqual(
      expect.arrayContaining(['password_resets.create admin-token', `auth.reset_password ${userId}`]),
    );
    expect(JSON.stringify(body) + h.logs()).not.toContain(token);
  });

  test('is over after a day, when a later one was used, and when the password was changed', async () => {
    const { browser, email } = await person();
    const [first, second] = [await linkFor(email), await linkFor(email)];
    expect((await reset(second)).status).toBe(200);
    expect((await reset(first)).status).toBe(401);
    const third = await linkFor(email);
    h.shift(24 * 3_600_000 + 1);
    expect((await reset(third)).status).toBe(401);
    const fourth = await linkFor(email);
    const signedIn = await browser.post('/api/auth/login', { email, password: NEXT });
    expect(signedIn.body.status).toBe('signed_in');
    expect((await browser.post('/api/me/password', { current: NEXT, next: PASSWORD })).status).toBe(200);
    expect((await reset(fourth)).status).toBe(401);
  });

  test('is an operator’s alone', async () => {
    const { browser, email } = await person();
    expect((await browser.post('/api/password-resets', { email })).status).toBe(403);
    expect((await h.post('/api/password-resets', { email: 'nobody@example.com' })).status).toBe(404);
  });

  test('does not pass the second factor by', async () => {
    const { browser, email } = await person();
    const { body } = await browser.post('/api/me/totp');
    const totp = new TOTP({ secret: Secret.fromBase32(body.secret), digits: 6, period: 30 });
    const code = totp.generate({ timestamp: Date.parse((await h.get('/api/status')).body.at) });
    expect((await browser.post('/api/me/totp/confirm', { code })).status).toBe(200);
    expect((await reset(await linkFor(email))).status).toBe(200);
    expect((await login(email, NEXT)).body.status).toBe('second_factor');
  });
});

describe('a link by mail', () => {
  test('goes to who has a password; the answer is the same for anybody', async () => {
    const { email } = await person();
    expect((await h.get('/api/auth/options')).body.passwordReset).toBe('mail');
    const asked = await h.browser().post('/api/auth/password-reset/ask', { email });
    const stranger = await h.browser().post('/api/auth/password-reset/ask', { email: 'nobody@example.com' });
    expect([asked.status, asked.text]).toEqual([stranger.status, stranger.text]);
    const mail = await eventually('the mail is there', () => mails[0]);
    expect(mail.to).toBe(email);
    const token = /\/reset-password#(\w+)/.exec(mail.text)![1]!;
    expect((await reset(token)).status).toBe(200);
    expect((await login(email, NEXT)).status).toBe(200);
    expect(mails).toHaveLength(1);
    expect(h.logs()).not.toContain(token);
  });

  test('is asked for three times an hour, whether or not there is such a user', async () => {
    const { email } = await person();
    for (const who of [email, 'nobody2@example.com']) {
      const ask = () => h.browser().post('/api/auth/password-reset/ask', { email: who });
      const statuses = [await ask(), await ask(), await ask(), await ask()].map(({ status }) => status);
      expect(statuses).toEqual([200, 200, 200, 429]);
    }
  });
});
