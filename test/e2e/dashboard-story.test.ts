/** What a new customer does, in a real browser before the whole stack, with OpenAI's own SDK as the program. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI, { APIError } from 'openai';
import type { Page } from 'playwright-core';
import {
  ADMIN_PAGES,
  axeFindings,
  type DashboardStack,
  eventually,
  hasBrowser,
  OPEN_PAGES,
  PAGES,
  signIn,
  startDashboard,
  type Visit,
  visit,
} from './dashboard-kit.ts';
import { auditPages, auditPhone, open } from './dashboard-walks.ts';
import { cleanUp } from './local-start.ts';

const EMAIL = 'ada@example.com';
const PASSWORD = 'a long enough password';
const STEP_LIMIT_MS = 120_000;
/** axe reads every element of every page; on a busy machine that is minutes. */
const AUDIT_LIMIT_MS = 400_000;

(hasBrowser ? describe : describe.skip)('a new customer', () => {
  let app: DashboardStack;
  let seen: Visit;
  let page: Page;
  let firstKey = '';
  let secondKey = '';

  beforeAll(async () => {
    app = await startDashboard();
    // Open to anybody, with nothing to spend at first.
    await app.operator('PATCH', '/api/settings', { signUp: 'open', signUpCreditUsd: '0' });
    seen = await visit(app.browser, app.url);
    page = seen.page;
  }, 300_000);
  afterAll(async () => {
    await app?.stop();
    await cleanUp();
  }, 60_000);

  const client = (apiKey: string) => new OpenAI({ baseURL: app.stack.dev.routerUrl, apiKey, maxRetries: 0 });
  const ask = (apiKey: string, maxTokens = 8) =>
    client(apiKey).chat.completions.create({
      model: 'Qwen/Qwen3-30B-A3B-FP8',
      messages: [{ role: 'user', content: 'Say hello' }],
      max_tokens: maxTokens,
    });
  /** HTTP status of a request with a key. */
  const statusOf = (apiKey: string) =>
    ask(apiKey).then(
      () => 200,
      (error: unknown) => (error instanceof APIError ? (error.status ?? 0) : 0),
    );
  const voucher = async (usd: string) =>
    (await app.operator<{ code: string }>('POST', '/api/redemption-codes', { usd, note: 'test' })).code;
  const redeem = async (usd: string) => {
    await page.goto('/credits');
    await page.getByLabel('Redemption code').fill(await voucher(usd));
    await page.getByRole('button', { name: 'Redeem' }).click();
    await page.getByText('added.').waitFor();
  };
  /** Takes the secret out of the dialog that shows it once; nothing but "I saved it" closes that. */
  const saveSecret = async (): Promise<string> => {
    const dialog = page.getByRole('dialog');
    const secret = await dialog.getByLabel('Key', { exact: true }).inputValue();
    await page.keyboard.press('Escape');
    await page.mouse.click(5, 5);
    expect(await dialog.isVisible()).toBe(true);
    expect(await dialog.getByRole('button', { name: 'Done' }).isDisabled()).toBe(true);
    await dialog.getByLabel('I saved it').check();
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });
    return secret;
  };

  test(
    'signs up and meets the guide, which knows that there is neither key nor credit',
    async () => {
      await page.goto('/register');
      await page.getByLabel('Your name').fill('Ada Lovelace');
      await page.getByLabel('E-mail').fill(EMAIL);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByLabel('Organisation').fill('Analytical Engines');
      await page.getByRole('button', { name: 'Make account' }).click();
      await page.getByRole('heading', { name: 'Your first request' }).waitFor();
      await page.getByText('Waiting for your first request').waitFor();
      expect(await page.getByRole('main').getByRole('link', { name: 'Add credit' }).count()).toBeGreaterThan(0);
    },
    STEP_LIMIT_MS,
  );

  test(
    'creates a key, shown once, and the guide names why its first request was refused',
    async () => {
      await page.getByRole('main').getByRole('button', { name: 'Create key' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('first');
      await page.getByRole('dialog').getByRole('button', { name: 'Create key' }).click();
      firstKey = await saveSecret();
      expect(firstKey).toMatch(/^tg_live_/);
      expect(
        await eventually(async () => ((await statusOf(firstKey)) === 402 ? 402 : null), 'a refusal for credit'),
      ).toBe(402);
      await page.getByText('insufficient_credits').waitFor();
      await page.getByRole('status').getByRole('link', { name: 'Add credit' }).waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'redeems a code, sends the first request, and the guide sees it succeed',
    async () => {
      await redeem('0.0005');
      await page.goto('/');
      await page.getByRole('heading', { name: 'Your first request' }).waitFor();
      const answer = await ask(firstKey);
      expect(answer.choices[0]?.message.content).toBeTruthy();
      await page.getByText('It works: your first request was served.').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'finds the request in Requests, with its price, and in Usage',
    async () => {
      await page.getByRole('link', { name: 'Look at it' }).click();
      await page.getByRole('heading', { name: /^Served/ }).waitFor();
      await page.getByText('What it cost, and why').waitFor();
      await page.goto('/requests');
      await page.getByRole('table', { name: 'Requests' }).getByText('200 Served').first().waitFor();
      await page.getByRole('table', { name: 'Requests' }).getByText('402 Refused: credit').first().waitFor();
      await eventually(async () => {
        await page.goto('/usage?range=24h');
        await page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor();
        const table = page.getByRole('table', { name: 'The chart in figures' });
        const shown = table.or(page.getByText('No requests in this time'));
        await shown.first().waitFor();
        return (await table.isVisible()) ? true : null;
      }, 'the roll-up of the hour');
    },
    STEP_LIMIT_MS,
  );

  test(
    'spends until 402, tops up, and works again',
    async () => {
      await eventually(
        async () => {
          const error = await ask(firstKey, 400).then(
            () => null,
            (refusal: unknown) => refusal,
          );
          return error instanceof APIError && error.status === 402 ? error : null;
        },
        'the end of the credit',
        60_000,
      );
      await redeem('1');
      expect(await eventually(async () => ((await statusOf(firstKey)) === 200 ? 200 : null), 'service again')).toBe(
        200,
      );
      await page.getByRole('table', { name: 'Ledger, newest first' }).getByText('+$1.00').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'rotates the key: both work, then one',
    async () => {
      await page.goto('/keys');
      await page.getByRole('button', { name: 'Actions for first' }).click();
      await page.getByRole('menuitem', { name: 'Rotate' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
      secondKey = await saveSecret();
      expect(secondKey).not.toBe(firstKey);
      expect(await Promise.all([statusOf(firstKey), statusOf(secondKey)])).toEqual([200, 200]);
      const old = page.getByRole('row').filter({ hasText: 'Being replaced' });
      await old.getByRole('button', { name: 'Actions for first' }).click();
      await page.getByRole('menuitem', { name: 'Revoke' }).click();
      await revokeTyped();
      expect(await Promise.all([statusOf(firstKey), statusOf(secondKey)])).toEqual([401, 200]);
    },
    STEP_LIMIT_MS,
  );

  const revokeTyped = async () => {
    const dialog = page.getByRole('dialog');
    expect(await dialog.getByRole('button', { name: 'Revoke key' }).isDisabled()).toBe(true);
    await dialog.getByRole('textbox').fill('first');
    await dialog.getByRole('button', { name: 'Revoke key' }).click();
    await dialog.waitFor({ state: 'detached' });
  };

  test(
    'revokes it, and the router refuses it within a second of being told so',
    async () => {
      await page.getByRole('button', { name: 'Actions for first' }).click();
      await page.getByRole('menuitem', { name: 'Revoke' }).click();
      await revokeTyped();
      const revokedAtMs = Date.now();
      // The very next request may already be refused; after a second every one is.
      await eventually(async () => ((await statusOf(secondKey)) === 401 ? true : null), 'the refusal');
      expect(Date.now() - revokedAtMs).toBeLessThan(5_000);
      await page.getByText('No key fits the filter').waitFor();
    },
    STEP_LIMIT_MS,
  );

  // Every rule in light; in dark only what the theme changes.
  test.each([
    ['light', undefined],
    ['dark', ['color-contrast']],
  ] as const)(
    'axe finds nothing serious on any page, no text is below 12 px: %s',
    async (colorScheme, only) => {
      const rules = only ? [...only] : undefined;
      const other = await visit(app.browser, app.url, { colorScheme, reducedMotion: 'reduce' });
      expect(await auditPages(other.page, OPEN_PAGES, rules)).toEqual([]);
      await signIn(other.page, EMAIL, PASSWORD);
      expect(await auditPages(other.page, PAGES, rules)).toEqual([]);
      // A page that belongs to one thing, and a dialog.
      await open(other.page, '/requests', 'Requests');
      await other.page.locator('[data-row-main]').first().click();
      await other.page.getByText('Timeline').waitFor();
      expect(await axeFindings(other.page, rules)).toEqual([]);
      await other.page.goto('/keys?create=true');
      await other.page.getByRole('dialog', { name: 'Create an API key' }).waitFor();
      expect(await axeFindings(other.page, rules)).toEqual([]);
      expect(other.complaints).toEqual([]);
      await other.context.close();
    },
    AUDIT_LIMIT_MS,
  );

  test.each([
    ['light', undefined],
    ['dark', ['color-contrast']],
  ] as const)(
    "the operator's screens hold to the same: %s",
    async (colorScheme, only) => {
      const other = await visit(app.browser, app.url, { colorScheme, reducedMotion: 'reduce' });
      await signIn(other.page, app.stack.dev.adminEmail, app.stack.dev.adminPassword);
      expect(await auditPages(other.page, ADMIN_PAGES, only ? [...only] : undefined)).toEqual([]);
      await other.page.goto('/admin/fleet');
      await other.page.getByRole('button', { name: 'Drain' }).first().waitFor();
      expect(other.complaints).toEqual([]);
      await other.context.close();
    },
    AUDIT_LIMIT_MS,
  );

  test(
    'on a phone every control is 44 px, and no page is wider than the screen',
    async () => {
      const phone = await visit(app.browser, app.url, {
        viewport: { width: 390, height: 844 },
        hasTouch: true,
        isMobile: true,
      });
      await signIn(phone.page, EMAIL, PASSWORD);
      expect(await auditPhone(phone.page, PAGES)).toEqual([]);
      await phone.context.close();
    },
    STEP_LIMIT_MS,
  );

  test(
    'the keyboard alone goes everywhere, and typing is left in peace',
    async () => {
      const hands = await visit(app.browser, app.url);
      const { page: screen } = hands;
      const { keyboard } = screen;
      await screen.goto('/sign-in');
      await screen.getByLabel('E-mail').waitFor();
      await keyboard.type(EMAIL);
      await keyboard.press('Tab');
      await keyboard.type(PASSWORD);
      await keyboard.press('Enter');
      await screen.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
      const at = (name: string) => screen.getByRole('heading', { level: 1, name }).waitFor();
      const focused = () => screen.evaluate(`document.activeElement?.textContent ?? ''`);
      for (const [key, name] of [
        ['k', 'API keys'],
        ['u', 'Usage'],
        ['c', 'Credits'],
        ['m', 'Models and prices'],
        ['r', 'Requests'],
      ] as const) {
        await keyboard.press('g');
        await keyboard.press(key);
        await at(name);
        // Who listens hears where they are.
        await eventually(async () => ((await focused()) === name ? true : null), `focus on ${name}`);
      }
      await screen.locator('[data-row-main]').first().waitFor();
      await keyboard.press('j');
      await keyboard.press('j');
      await keyboard.press('k');
      await keyboard.press('Enter');
      await screen.getByText('Timeline').waitFor();
      await keyboard.press('Control+k');
      await screen.getByPlaceholder('Where to?').waitFor();
      await keyboard.type('limits');
      await keyboard.press('Enter');
      await at('Limits');
      await keyboard.press('?');
      await screen.getByRole('dialog', { name: 'Keyboard' }).waitFor();
      await keyboard.press('Escape');
      await screen.getByRole('dialog').waitFor({ state: 'detached' });
      await keyboard.press('g');
      await keyboard.press('k');
      await at('API keys');
      await keyboard.press('/');
      await keyboard.type('gu?');
      expect(await screen.locator('[data-filter]').inputValue()).toBe('gu?');
      await at('API keys');
      // The first stop of any page leads past the side bar.
      await screen.reload();
      await at('API keys');
      await keyboard.press('Tab');
      expect(await focused()).toBe('Skip to the content');
      expect(hands.complaints).toEqual([]);
      await hands.context.close();
    },
    STEP_LIMIT_MS,
  );

  test('the browser had nothing to complain about: no script error, no breach of the policy, no other host', () => {
    expect(seen.complaints).toEqual([]);
  });
});
