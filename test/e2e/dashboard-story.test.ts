/**
 * What people do with the dashboard, in a real browser before the whole stack, with OpenAI's own SDK as the program. One
 * start for all of it: a new customer first, then those who work beside her, then every page is looked at.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { APIError } from 'openai';
import type { Page } from 'playwright-core';
import { recordProof } from '../../services/shared/src/testkit/counts.ts';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { documentsStory } from './dashboard-documents.ts';
import {
  ADMIN_PAGES,
  axeFindings,
  hasBrowser,
  OPEN_PAGES,
  PAGES,
  PASSWORD,
  saveSecret,
  signIn,
  signUp,
  type Visit,
  visit,
} from './dashboard-kit.ts';
import { operatorsStory } from './dashboard-operators.ts';
import { peopleStory } from './dashboard-people.ts';
import { auditPages, looksTaken } from './dashboard-walks.ts';
import { STEP_LIMIT_MS, type StoryWorld, startStoryWorld } from './dashboard-world.ts';

const EMAIL = 'ada@example.com';
const LONG_NAME = 'Donaudampfschifffahrtsgesellschaft'.repeat(3).slice(0, 80);
/** axe reads every element of every page; on a busy machine that is minutes. */
const AUDIT_LIMIT_MS = 400_000;
const given = hasBrowser ? describe : describe.skip;

let world: StoryWorld;
beforeAll(async () => {
  if (hasBrowser) world = await startStoryWorld();
}, 300_000);
afterAll(() => world?.stop(), 60_000);

given('a new customer', () => {
  let seen: Visit;
  let page: Page;
  let firstKey = '';
  let secondKey = '';

  beforeAll(async () => {
    seen = await visit(world.app.browser, world.app.url);
    page = seen.page;
  }, STEP_LIMIT_MS);

  const voucher = async (usd: string) =>
    (await world.app.operator<{ code: string }>('POST', '/api/redemption-codes', { usd, note: 'test' })).code;
  const redeem = async (usd: string) => {
    await page.goto('/credits');
    await page.getByLabel('Redemption code').fill(await voucher(usd));
    await page.getByRole('button', { name: 'Redeem' }).click();
    await page.getByText('added.').waitFor();
  };

  test(
    'signs up and meets the guide, which knows that there is neither key nor credit',
    async () => {
      await signUp(page, 'Ada Lovelace', EMAIL, 'Analytical Engines');
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
      firstKey = await saveSecret(page);
      expect(firstKey).toMatch(/^tg_live_/);
      await eventually('a refusal for credit', async () => (await world.statusOf(firstKey)) === 402);
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
      const answer = await world.ask(firstKey);
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
      await eventually('the roll-up of the hour', async () => {
        await page.goto('/usage?range=24h');
        const table = page.getByRole('table', { name: 'The chart in figures' });
        await table.or(page.getByText('No requests in this time')).first().waitFor();
        return table.isVisible();
      });
    },
    STEP_LIMIT_MS,
  );

  test(
    'spends until 402, tops up, and works again',
    async () => {
      await eventually('the end of the credit', async () => {
        const error = await world.ask(firstKey, { max_tokens: 400 }).catch((refusal: unknown) => refusal);
        return error instanceof APIError && error.status === 402;
      });
      await redeem('1');
      await eventually('service again', async () => (await world.statusOf(firstKey)) === 200);
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
      secondKey = await saveSecret(page);
      expect(secondKey).not.toBe(firstKey);
      expect(await Promise.all([world.statusOf(firstKey), world.statusOf(secondKey)])).toEqual([200, 200]);
      const old = page.getByRole('row').filter({ hasText: 'Being replaced' });
      await old.getByRole('button', { name: 'Actions for first' }).click();
      await page.getByRole('menuitem', { name: 'Revoke' }).click();
      await revokeTyped();
      expect(await Promise.all([world.statusOf(firstKey), world.statusOf(secondKey)])).toEqual([401, 200]);
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
      await eventually('the refusal', async () => (await world.statusOf(secondKey)) === 401);
      expect(Date.now() - revokedAtMs).toBeLessThan(5_000);
      await page.getByText('No key fits the filter').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'the keyboard alone goes everywhere, and typing is left in peace',
    async () => {
      const hands = await visit(world.app.browser, world.app.url);
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
        await eventually(`focus on ${name}`, async () => (await focused()) === name);
      }
      await screen.locator('[data-row-main]').first().waitFor();
      await keyboard.press('j');
      await keyboard.press('j');
      await keyboard.press('k');
      await keyboard.press('Enter');
      await screen.getByText('Timeline').waitFor();
      await keyboard.press('Control+k');
      await screen.getByPlaceholder('Where to?').waitFor();
      expect(await axeFindings(screen)).toEqual([]);
      await keyboard.type('limits');
      await keyboard.press('Enter');
      await at('Limits');
      await keyboard.press('?');
      await screen.getByRole('dialog', { name: 'Keyboard' }).waitFor();
      expect(await axeFindings(screen)).toEqual([]);
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

given('those who work beside her', () => peopleStory(() => world));
given('documents and what was said', () => documentsStory(() => world));
given('who runs the installation', () => operatorsStory(() => world));

given('every page', () => {
  test(
    'axe finds nothing serious, no text is below 12 px, fingers find every control, nothing is wider than a phone',
    async () => {
      const { app } = world;
      const other = await visit(app.browser, app.url);
      const found = await auditPages(other.page, OPEN_PAGES);
      await signIn(other.page, EMAIL, PASSWORD);
      const { accountId, keyId } = await other.page.evaluate<{ accountId: string; keyId: string }>(
        `fetch('/api/me').then((r) => r.json()).then(({ organisations: [{ accountId }] }) =>
          fetch('/api/keys?accountId=' + accountId).then((r) => r.json())
            .then(({ data }) => ({ accountId, keyId: data.find(({ name }) => name === 'first').keyId })))`,
      );
      // Names as people give them at worst: 80 letters, no space.
      await app.operator('POST', '/api/keys', { accountId, name: LONG_NAME });
      await app.operator('POST', `/api/accounts/${accountId}/projects`, { name: LONG_NAME });
      await app.operator('PATCH', `/api/accounts/${accountId}/organisation`, { name: LONG_NAME });
      await app.operator('POST', `/api/accounts/${accountId}/credits`, { usd: '1', reason: LONG_NAME });
      const further = [
        [`/keys/${keyId}`, 'first'],
        ['/nowhere', 'There is no such page'],
      ] as const;
      found.push(...(await auditPages(other.page, [...PAGES, ...further])));
      const operator = await visit(app.browser, app.url);
      await signIn(operator.page, app.stack.dev.adminEmail, app.stack.dev.adminPassword);
      found.push(...(await auditPages(operator.page, ADMIN_PAGES)));
      expect(found).toEqual([]);
      expect([...other.complaints, ...operator.complaints]).toEqual([]);
      recordProof({ name: 'axe over every page of the dashboard', count: looksTaken(), result: 'no serious finding' });
      await other.context.close();
      await operator.context.close();
    },
    AUDIT_LIMIT_MS,
  );
});
