/** Part of the dashboard's story: who runs the installation looks after workers, customers and people. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { saveSecret, signIn, type Visit, visit } from './dashboard-kit.ts';
import { faults } from './dashboard-walks.ts';
import { STEP_LIMIT_MS, type StoryWorld } from './dashboard-world.ts';

export function operatorsStory(given: () => StoryWorld): void {
  let world: StoryWorld;
  let operator: Visit;
  let page: Page;

  beforeAll(async () => {
    world = given();
    const { app } = world;
    operator = await visit(app.browser, app.url);
    page = operator.page;
    await signIn(page, app.stack.dev.adminEmail, app.stack.dev.adminPassword);
  }, STEP_LIMIT_MS);
  afterAll(() => operator?.context.close());

  test(
    'a drained worker gets nothing more and is taken back; the router says why it chose one',
    async () => {
      await page.goto('/admin/fleet');
      await page.getByRole('button', { name: 'Drain' }).first().click();
      const dialog = page.getByRole('dialog');
      const url = await dialog.getByRole('code').or(dialog.locator('form code')).first().innerText();
      await dialog.getByRole('button', { name: 'Drain' }).click();
      const tile = page.locator(`[data-row][data-copy="${url}"]`);
      await tile.getByText('draining').waitFor();
      await page.getByRole('button', { name: 'Explain' }).click();
      const candidates = page.getByRole('table', { name: 'Candidates and their predicted cost' });
      await candidates.getByText('chosen').waitFor();
      expect(await candidates.getByRole('row').filter({ hasText: 'chosen' }).innerText()).not.toContain(
        new URL(url).host,
      );
      expect(await faults(page)).toEqual([]);
      await tile.getByRole('button', { name: 'Use again' }).click();
      await tile.getByText('ready').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'a customer is found by name, adjusted with a reason, frozen and unfrozen: the router obeys at once',
    async () => {
      const { key, accountId } = await world.app.operator<{ key: string; accountId: string }>('POST', '/api/keys', {
        name: 'frozen-one',
        creditUsd: '1',
      });
      await page.goto('/admin/accounts');
      await page.getByRole('searchbox', { name: 'Search' }).fill(key.slice(0, 20));
      await page.keyboard.press('Enter');
      await page.getByRole('table', { name: 'Keys found' }).getByRole('link', { name: 'frozen-one' }).click();
      await page.getByText(accountId).first().waitFor();
      await page.getByLabel('Amount, USD').fill('2.5');
      await page.getByLabel('Reason').fill('for the trouble');
      await page.getByRole('button', { name: 'Book it' }).click();
      await page.getByText('Balance is now $3.50').waitFor();
      expect(await faults(page)).toEqual([]);
      expect(await world.statusOf(key)).toBe(200);
      await page.getByRole('button', { name: 'Freeze' }).click();
      const dialog = page.getByRole('dialog');
      const freeze = dialog.getByRole('button', { name: 'Freeze' });
      expect(await freeze.isDisabled()).toBe(true);
      await dialog.getByRole('textbox').fill((await dialog.locator('label code').innerText()).trim());
      await freeze.click();
      await page.getByText('frozen', { exact: true }).waitFor();
      await eventually('the key is refused', async () => (await world.statusOf(key)) === 403);
      await page.getByRole('button', { name: 'Unfreeze' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Unfreeze' }).click();
      await page.getByText('active', { exact: true }).waitFor();
      await eventually('the key works again', async () => (await world.statusOf(key)) === 200);
    },
    STEP_LIMIT_MS,
  );

  test(
    'a person without mail gets a link for a new password from hand to hand, and all of it stands in the audit log',
    async () => {
      await page.goto('/admin/accounts?q=hypatia%40example.com');
      await page.getByRole('button', { name: 'New password' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Make the link' }).click();
      const link = await saveSecret(page, 'Link');
      expect(link.startsWith(`${world.app.url}/reset-password#`)).toBe(true);
      await page.goto('/admin/audit');
      const log = page.getByRole('table', { name: 'Audit log, newest first' });
      for (const action of ['accounts.patch', 'workers.drain', 'bodies.read', 'password_resets.create']) {
        await page.getByRole('searchbox').fill(action);
        await page.keyboard.press('Enter');
        await log.getByText(action, { exact: true }).first().waitFor();
      }
      await page.getByRole('button', { name: 'Check the chain' }).click();
      await page.getByText('The chain holds').waitFor();
      expect(await page.content()).not.toContain(link.split('#')[1]);
    },
    STEP_LIMIT_MS,
  );

  test('their browser had nothing to complain about', () => {
    expect(operator.complaints).toEqual([]);
  });
}
