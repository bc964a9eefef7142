/** Part of the dashboard's story: who runs the installation looks after workers, customers and people. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { PASSWORD, saveSecret, signIn, type Visit, visit } from './dashboard-kit.ts';
import { faults } from './dashboard-walks.ts';
import { MODEL, STEP_LIMIT_MS, type StoryWorld } from './dashboard-world.ts';

export function operatorsStory(given: () => StoryWorld): void {
  let world: StoryWorld;
  let operator: Visit;
  let page: Page;
  /** Who signed up before, in an organisation of her own. */
  let customer: Visit;

  beforeAll(async () => {
    world = given();
    const { app } = world;
    operator = await visit(app.browser, app.url);
    page = operator.page;
    await signIn(page, app.stack.dev.adminEmail, app.stack.dev.adminPassword);
  }, STEP_LIMIT_MS);
  afterAll(async () => {
    await operator?.context.close();
    await customer?.context.close();
  });

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

  test(
    'a code that was made here is redeemed by another organisation, once: its ledger shows it, a third party is told no',
    async () => {
      await page.goto('/admin/codes');
      await page.getByRole('button', { name: 'Make a code' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Credit, USD').fill('7.25');
      await dialog.getByLabel('Note').fill('for the workshop');
      await dialog.getByRole('button', { name: 'Make it' }).click();
      const code = await saveSecret(page, 'Code');
      const line = page.getByRole('table', { name: 'Redemption codes, newest first' }).getByRole('row');
      const made = line.filter({ hasText: 'for the workshop' });
      await made.getByText('0 of 1').waitFor();

      customer = await visit(world.app.browser, world.app.url);
      await signIn(customer.page, 'hypatia@example.com', PASSWORD);
      await customer.page.goto('/credits');
      const redeem = async (desk: Page, text: string) => {
        await desk.getByLabel('Redemption code').fill(text);
        await desk.getByRole('button', { name: 'Redeem' }).click();
      };
      // As people type it: small letters, a space behind it.
      await redeem(customer.page, `${code.toLowerCase()} `);
      await customer.page.getByText('$7.25 added.').waitFor();
      const ledger = customer.page.getByRole('table', { name: 'Ledger, newest first' });
      await ledger.getByText('+$7.25').waitFor();
      await redeem(customer.page, code);
      await customer.page.getByText('This code was redeemed before: $7.25.').waitFor();
      expect(await ledger.getByText('+$7.25').count()).toBe(1);

      await page.goto('/credits');
      await redeem(page, code);
      await page.getByRole('alert').getByText('The code was used up, has expired or was withdrawn.').waitFor();
      await page.goto('/admin/codes');
      await made.getByText('1 of 1').waitFor();
      await made.getByText('used up').waitFor();
      expect(await made.getByRole('button').count()).toBe(0);
    },
    STEP_LIMIT_MS,
  );

  test(
    'a new price is on every customer’s Models page, a plan that was given holds on their Limits page',
    async () => {
      await page.goto('/admin/prices');
      await page.getByRole('button', { name: `Actions for ${MODEL}` }).click();
      await page.getByRole('menuitem', { name: 'New price' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Prompt', { exact: true }).fill('0.375');
      await dialog.getByLabel('Cached prompt').fill('0.5');
      await dialog.getByRole('button', { name: 'Set price' }).click();
      // A cached token is never dearer than another: the dialog stays, with the reason.
      await dialog.getByRole('alert').waitFor();
      await dialog.getByLabel('Cached prompt').fill('0.125');
      await dialog.getByRole('button', { name: 'Set price' }).click();
      await dialog.waitFor({ state: 'detached' });
      await customer.page.goto('/models');
      const sold = customer.page.getByRole('table', { name: 'Models and prices' }).getByRole('row');
      const row = sold.filter({ hasText: MODEL });
      await row.getByText('$0.375').waitFor();
      await row.getByText('$0.125').waitFor();

      await page.getByRole('button', { name: 'Add plan' }).click();
      await dialog.getByLabel('Id', { exact: true }).fill('school');
      await dialog.getByLabel('Name').fill('School');
      await dialog.getByLabel('Requests per minute').fill('77');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      const plan = page.getByRole('table', { name: 'Plans' }).getByRole('row').filter({ hasText: 'School' });
      await plan.getByText('77', { exact: true }).waitFor();
      const accountId = await customer.page.evaluate<string>(
        `fetch('/api/me').then((r) => r.json()).then((me) => me.organisations[0].accountId)`,
      );
      await page.goto(`/admin/accounts/${accountId}`);
      await page.getByLabel('Plan', { exact: true }).selectOption('school');
      await page.getByRole('button', { name: 'Change plan' }).click();
      await page.getByText('Now on plan school').waitFor();
      await customer.page.goto('/limits');
      await customer.page.getByText('Plan: school').waitFor();
      await customer.page.getByText('of 77').first().waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'a setting is changed in a form and is there after a reload, for those who register too',
    async () => {
      await page.goto('/admin/settings');
      const months = page.getByLabel('Request log, months kept');
      await months.fill('9');
      await page.getByLabel('Who may register an organisation').selectOption('invite');
      await page.getByLabel('Plan at sign-up').selectOption('school');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('Settings saved').waitFor();
      await page.reload();
      await months.waitFor();
      expect(await months.inputValue()).toBe('9');
      expect(await page.getByLabel('Plan at sign-up').inputValue()).toBe('school');
      const { signUp } = await page.evaluate<{ signUp: string }>(`fetch('/api/auth/options').then((r) => r.json())`);
      expect(signUp).toBe('invite');
      // As it was, for the pages that are looked at afterwards.
      await world.app.operator('PATCH', '/api/settings', { signUp: 'open', signUpPlan: 'standard' });
    },
    STEP_LIMIT_MS,
  );

  test('their browser had nothing to complain about', () => {
    expect([...operator.complaints, ...customer.complaints]).toEqual([]);
  });
}
