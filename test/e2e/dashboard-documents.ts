/** Part of the dashboard's story: what was said is kept when an owner wants it, found again, and answered from documents. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { saveSecret, signUp, type Visit, visit } from './dashboard-kit.ts';
import { faults } from './dashboard-walks.ts';
import { STEP_LIMIT_MS, type StoryWorld } from './dashboard-world.ts';

const QUESTION = 'What does the handbook say about holidays?';
const HANDBOOK =
  '# Holidays\n\nEverybody has thirty days of holidays a year.\n\n# Parking\n\nBicycles stand in the cellar.\n';

export function documentsStory(given: () => StoryWorld): void {
  let world: StoryWorld;
  let librarian: Visit;
  let page: Page;
  let key = '';

  beforeAll(async () => {
    world = given();
    librarian = await visit(world.app.browser, world.app.url);
    page = librarian.page;
    await signUp(page, 'Hypatia', 'hypatia@example.com', 'Library');
    const accountId = await page.evaluate<string>(
      `fetch('/api/me').then((r) => r.json()).then((me) => me.organisations[0].accountId)`,
    );
    await world.app.operator('POST', `/api/accounts/${accountId}/credits`, { usd: '5', reason: 'test' });
    await page.goto('/keys?create=true');
    await page.getByRole('dialog').getByLabel('Name').fill('reading room');
    expect(await faults(page)).toEqual([]);
    await page.getByRole('dialog').getByRole('button', { name: 'Create key' }).click();
    key = await saveSecret(page);
  }, STEP_LIMIT_MS);
  afterAll(() => librarian?.context.close());

  const rows = () => page.getByRole('table', { name: 'Requests' }).locator('[data-row-main]');

  test(
    'an owner switches the keeping of texts on; a request from then on shows its own, and can be asked again',
    async () => {
      await page.goto('/team');
      await page.getByLabel('Keep prompts and answers of new requests').check();
      await page.getByLabel('Days').fill('7');
      await page.getByRole('button', { name: 'Save' }).last().click();
      await page.getByText('kept 7 days').waitFor();
      const messages = [{ role: 'user', content: QUESTION }];
      const answer = await world.ask(key, { messages, max_tokens: 60, chat_id: 'talk-1' }, '/rag/v1');
      await world.ask(key, { chat_id: 'talk-2' }, '/rag/v1');
      await eventually('both are in the log', async () => {
        await page.goto('/requests');
        await rows().first().or(page.getByText('No requests yet')).waitFor();
        return (await rows().count()) === 2;
      });
      await rows().nth(1).click();
      await page.getByText('kept until').waitFor();
      expect(await page.getByText(QUESTION).count()).toBe(0);
      await page.getByRole('button', { name: 'Show it' }).click();
      await page.getByRole('region', { name: 'Request' }).getByText(QUESTION).waitFor();
      const said = JSON.stringify(answer.choices[0]!.message.content).slice(1, -1).slice(0, 20);
      await page
        .getByRole('region', { name: /^Answer, 200/ })
        .getByText(said)
        .first()
        .waitFor();
      expect(await page.getByLabel('As curl').inputValue()).toContain(QUESTION);
      expect(await faults(page)).toEqual([]);
      await page.getByRole('button', { name: 'With this text in the playground' }).click();
      await page.getByRole('heading', { level: 1, name: 'Playground' }).waitFor();
      expect(await page.getByLabel('User').inputValue()).toBe(QUESTION);
      // Nothing of it stands in the address, and it is not there the next time.
      expect(page.url()).toBe(`${world.app.url}/playground`);
      await page.reload();
      await page.getByLabel('User').waitFor();
      expect(await page.getByLabel('User').inputValue()).toBe('');
    },
    STEP_LIMIT_MS,
  );

  test(
    'requests are found by what clients call them, the address holds the filters, and they can be cleared',
    async () => {
      await page.goto('/requests');
      await page.getByRole('button', { name: 'More filters' }).click();
      await page.getByLabel('Chat id').fill('talk-1');
      await page.getByLabel('Chat id').press('Enter');
      await page.waitForURL(/chatId=talk-1/);
      await page.getByText('1 request shown').waitFor();
      // Who types goes on typing where they were.
      expect(await page.evaluate(`document.activeElement.value`)).toBe('talk-1');
      await page.getByLabel('End user').fill('somebody else');
      await page.getByLabel('End user').press('Enter');
      await page.getByText('No request fits these filters').waitFor();
      await page.reload();
      await page.getByText('No request fits these filters').waitFor();
      expect(await page.getByLabel('End user').inputValue()).toBe('somebody else');
      expect(await faults(page)).toEqual([]);
      await page.getByRole('button', { name: 'Clear all' }).click();
      await page.getByText('2 requests shown').waitFor();
      expect(await page.getByLabel('Chat id').inputValue()).toBe('');
      await rows().first().click();
      await page.getByRole('link', { name: 'talk-2' }).click();
      await page.getByText('1 request shown').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'a collection takes a file, finds its passages, and answers in the playground name their source',
    async () => {
      await page.goto('/collections');
      await page.getByRole('button', { name: 'New collection' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('Handbook');
      await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
      await page.getByRole('heading', { level: 1, name: 'Handbook' }).waitFor();
      await page.getByLabel('Files to upload').setInputFiles([
        { name: 'handbook.md', mimeType: 'text/markdown', buffer: Buffer.from(HANDBOOK) },
        { name: 'broken.pdf', mimeType: 'application/pdf', buffer: Buffer.from('this is no PDF') },
      ]);
      const files = page.getByRole('table', { name: 'Files of the collection' });
      await files.getByRole('row').filter({ hasText: 'handbook.md' }).getByText('ready').waitFor();
      // One broken file fails alone, with its reason.
      await files.getByRole('row').filter({ hasText: 'broken.pdf' }).getByText('failed').waitFor();
      // It ends so many days after its last use, when somebody wants that: here and in OpenAI's words.
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      await page.getByLabel('Ends after so many days without use').fill('30');
      await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
      await page.getByText('Ends 30 days after its last use').waitFor();
      const [store] = await world.stores(key);
      expect(page.url()).toContain(store!.id);
      expect(store!.expires_after).toEqual({ anchor: 'last_active_at', days: 30 });
      await page.getByLabel('Question').fill('How many holidays?');
      await page.getByRole('main').getByRole('button', { name: 'Search' }).click();
      await page.locator('[data-passage]').first().getByText('thirty days').waitFor();
      expect(await faults(page)).toEqual([]);

      await page.getByRole('link', { name: 'Ask it in the playground' }).click();
      await page.getByLabel('User').fill('How many holidays do I have?');
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await page.getByText('shows its timeline and price').waitFor();
      const source = page.locator('[data-source]').filter({ hasText: 'handbook.md' }).first();
      await source.locator('summary').click();
      await page.getByText('from documents').waitFor();
      expect(await faults(page)).toEqual([]);
    },
    STEP_LIMIT_MS,
  );

  test(
    'the reference of the models’ API tries a call with a key of the session, and shows what a program would send',
    async () => {
      await page.goto('/reference');
      const call = page.locator('.opblock').filter({ hasText: '/v1/key' }).first();
      await call.getByRole('button').first().click();
      await call.getByRole('button', { name: 'Try it out' }).click();
      await call.getByRole('button', { name: 'Execute' }).click();
      const answered = call.locator('.live-responses-table');
      await answered.getByText('"object": "key"').first().waitFor();
      expect(await answered.locator('.response-col_status').last().innerText()).toContain('200');
      expect(await call.locator('.curl-command').innerText()).toContain(
        new URL('/v1/key', world.app.stack.dev.routerUrl).href,
      );
      await page.getByText('Console', { exact: true }).click();
      await page.locator('.opblock-tag').filter({ hasText: 'organisations' }).waitFor();
      expect(page.url()).toContain('api=console');
    },
    STEP_LIMIT_MS,
  );

  test('her browser had nothing to complain about', () => {
    expect(librarian.complaints).toEqual([]);
  });
}
