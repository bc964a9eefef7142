/** The first minutes of an installation: nobody runs it yet, and who can read its log claims it in a browser, once. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { ensureDashboard } from '../../services/cli/bootstrap/dashboard.mjs';
import { type Harness, startHarness } from '../../services/console/src/testing/harness.ts';
import { atHome, hasBrowser, launchBrowser, PASSWORD, visit } from './dashboard-kit.ts';
import { faults } from './dashboard-walks.ts';

const DIST = fileURLToPath(new URL('../../services/dashboard/dist/', import.meta.url));
const EMAIL = 'first@example.com';
/** On a busy machine a start and each page may take long. */
const LIMIT_MS = 240_000;
const given = hasBrowser ? describe : describe.skip;

given('a fresh installation', () => {
  let h: Harness;
  let browser: Browser;

  beforeAll(async () => {
    await ensureDashboard(process.execPath);
    [h, browser] = await Promise.all([
      startHarness({ dashboardFolder: DIST, people: { signUp: 'invite' } }),
      launchBrowser(),
    ]);
  }, LIMIT_MS);
  afterAll(async () => {
    await browser?.close();
    await h?.stop();
  }, LIMIT_MS);

  /** As a person reads it off the log of the console. */
  function tokenInLog(): string {
    const lines = h.logs().split('\n');
    const line = lines.find((text) => text.includes('claimToken'));
    const { claimToken, msg } = JSON.parse(line ?? '{}') as { claimToken: string; msg: string };
    expect(msg).toContain('/claim');
    return claimToken;
  }

  test(
    'leads whoever opens it to its claim, takes the token of its log and no other, and has its owner then',
    async () => {
      const token = tokenInLog();
      const { context, page, complaints } = await visit(browser, h.url);
      await page.goto('/usage');
      await page.getByRole('heading', { name: 'Claim this installation' }).waitFor();
      expect(await faults(page)).toEqual([]);
      await page.getByLabel('Claim token').fill('z'.repeat(32));
      await page.getByLabel('Your name').fill('Margaret Hamilton');
      await page.getByLabel('E-mail').fill(EMAIL);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Claim', exact: true }).click();
      await page.getByRole('alert').getByText('The token is not right, or was used.').waitFor();
      await page.getByLabel('Claim token').fill(` ${token}`);
      await page.getByRole('button', { name: 'Claim', exact: true }).click();
      await atHome(page);

      await page.goto('/team');
      expect(await page.getByLabel('Role of Margaret Hamilton').inputValue()).toBe('owner');
      await page.goto('/admin/settings');
      await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
      expect(await page.getByLabel('Who may register an organisation').inputValue()).toBe('invite');
      expect(complaints).toEqual([]);
      await context.close();
    },
    LIMIT_MS,
  );

  test(
    'is claimed once: the same link shows the sign-in to anybody later, and the token opens nothing',
    async () => {
      const token = tokenInLog();
      const { context, page } = await visit(browser, h.url);
      await page.goto(`/claim#${token}`);
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      const person = { token, email: 'second@example.com', password: PASSWORD, name: 'Second' };
      expect((await h.browser().post('/api/auth/claim', person)).status).toBe(401);
      await context.close();
    },
    LIMIT_MS,
  );
});
