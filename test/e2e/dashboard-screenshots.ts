/**
 * `npm run screenshots`: a picture of each screen into docs/screenshots/, from a real local start with real requests.
 * Looked at by people when a screen changes; nothing compares them byte for byte.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import type { Page } from 'playwright-core';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { ADMIN_PAGES, OPEN_PAGES, PAGES, signIn, startDashboard, visit } from './dashboard-kit.ts';
import { open } from './dashboard-walks.ts';
import { cleanUp } from './local-start.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
const HOLIDAYS =
  '# Holidays\n\nEverybody has thirty days of holidays a year. Ask for them two weeks before.\n\n# Illness\n\nCall before ten in the morning.\n';
const HOUSE_RULES = 'The last one out turns off the light. Bicycles stand in the cellar, never in the hall.\n';
const nameOf = (path: string) => path.replace(/^\//, '').replace(/\W+/g, '-') || 'home';

mkdirSync(FOLDER, { recursive: true });
const app = await startDashboard();
try {
  const { dev } = app.stack;
  const light = await visit(app.browser, app.url, { colorScheme: 'light', reducedMotion: 'reduce' });
  const shoot = async (page: Page, name: string) => {
    await page.screenshot({ path: `${FOLDER}${name}.png` });
  };
  for (const [path, heading] of OPEN_PAGES.filter(([path]) => !path.includes('#'))) {
    await open(light.page, path, heading);
    await shoot(light.page, nameOf(path));
  }
  await signIn(light.page, dev.adminEmail, dev.adminPassword);
  await light.page.locator('.skeleton').first().waitFor({ state: 'detached' });
  await shoot(light.page, 'home-guide');

  const me = await light.page.evaluate<{ organisations: { accountId: string }[] }>(
    `fetch('/api/me').then((r) => r.json())`,
  );
  const accountId = me.organisations[0]!.accountId;
  await app.operator('POST', `/api/accounts/${accountId}/credits`, { usd: '25', reason: 'Welcome credit' });
  const key = async (name: string, rest: object = {}) =>
    (await app.operator<{ key: string }>('POST', '/api/keys', { accountId, name, ...rest })).key;
  const keys = [
    await key('production', { capMonthUsd: '50', rpm: 600 }),
    await key('ci', { capDayUsd: '2' }),
    await key('laptop', { rpm: 60, expiresAt: new Date(Date.now() + 5 * 86_400_000).toISOString() }),
  ];
  await open(light.page, '/team', 'Team');
  await light.page.getByLabel('Keep prompts and answers of new requests').check();
  await light.page.getByRole('button', { name: 'Save' }).last().click();
  await light.page.getByText('kept 30 days').waitFor();
  for (let i = 0; i < 36; i++) {
    const client = new OpenAI({ baseURL: dev.routerUrl, apiKey: keys[[0, 0, 1, 0, 2][i % 5]!]!, maxRetries: 0 });
    const model = i % 12 === 11 ? 'no/such-model' : MODEL;
    const messages = [
      { role: 'user' as const, content: `Tell me about city number ${i}. ${'Be precise. '.repeat(i)}` },
    ];
    await client.chat.completions.create({ model, messages, max_tokens: 40 + 12 * i }).catch(() => undefined);
  }

  await light.page.goto('/collections');
  await light.page.getByRole('button', { name: 'New collection' }).click();
  await light.page.getByRole('dialog').getByLabel('Name').fill('Handbook');
  await light.page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await light.page.getByRole('heading', { level: 1, name: 'Handbook' }).waitFor();
  await light.page.getByLabel('Files to upload').setInputFiles([
    { name: 'holidays.md', mimeType: 'text/markdown', buffer: Buffer.from(HOLIDAYS) },
    { name: 'house-rules.txt', mimeType: 'text/plain', buffer: Buffer.from(HOUSE_RULES) },
  ]);
  await light.page.getByRole('table').getByText('ready').nth(1).waitFor();
  await light.page.getByLabel('Question').fill('How many days of holidays?');
  await light.page.getByRole('main').getByRole('button', { name: 'Search' }).click();
  await light.page.locator('[data-passage]').first().waitFor();
  await shoot(light.page, 'collection');
  await light.page.getByRole('link', { name: 'Ask it in the playground' }).click();
  await light.page.getByLabel('User').fill('How many days of holidays do I have?');
  await light.page.getByRole('button', { name: 'Run', exact: true }).click();
  await light.page.getByText('shows its timeline and price').waitFor();
  await light.page.locator('[data-source] summary').first().click();
  await shoot(light.page, 'playground-sources');

  // Roll-ups follow the requests within seconds; an empty chart would say nothing.
  await eventually('the roll-ups', async () => {
    await open(light.page, '/usage', 'Usage');
    return light.page.getByRole('table').isVisible();
  });
  for (const [path, heading] of [...PAGES, ...ADMIN_PAGES]) {
    await open(light.page, path, heading);
    // Charts, editors and live tiles draw a moment after their page.
    await light.page.waitForTimeout(1500);
    await shoot(light.page, nameOf(path));
  }
  await open(light.page, '/requests', 'Requests');
  // One that a program sent; the playground's and retrieval's own stand above it.
  const sent = light.page.getByRole('row').filter({ hasText: 'production' }).filter({ hasText: '200 Served' });
  await sent.first().locator('[data-row-main]').click();
  await light.page.getByText('Timeline').waitFor();
  await shoot(light.page, 'request');
  // What was said arrives beside the path, a moment after the bill.
  await eventually('the text is kept', async () => {
    await light.page.reload();
    await light.page.getByText('Timeline').waitFor();
    return light.page.getByRole('button', { name: 'Show it' }).isVisible();
  });
  await light.page.getByRole('button', { name: 'Show it' }).click();
  await light.page.getByRole('region', { name: 'Request' }).waitFor();
  await light.page.getByRole('region', { name: 'Request' }).scrollIntoViewIfNeeded();
  await shoot(light.page, 'request-kept');
  await open(light.page, '/admin/fleet', 'Fleet');
  await light.page.getByRole('button', { name: 'Explain' }).click();
  await light.page.getByRole('table').getByText('chosen').waitFor();
  await light.page.getByRole('table').scrollIntoViewIfNeeded();
  await shoot(light.page, 'admin-fleet-why');
  await light.page.goto('/keys?create=true');
  await light.page.getByRole('dialog').waitFor();
  await shoot(light.page, 'keys-create');
  await open(light.page, '/playground', 'Playground');
  await light.page.getByRole('button', { name: 'A city as JSON' }).click();
  await light.page.getByRole('button', { name: 'Run', exact: true }).click();
  await light.page.getByText('Valid under the schema').waitFor();
  await shoot(light.page, 'playground');

  await open(light.page, '/', 'Home');
  await shoot(light.page, 'home');

  const dark = await visit(app.browser, app.url, { colorScheme: 'dark', reducedMotion: 'reduce' });
  await signIn(dark.page, dev.adminEmail, dev.adminPassword);
  for (const [path, heading] of [...PAGES, ...ADMIN_PAGES].filter(([path]) => /^\/$|usage|requests|fleet/.test(path))) {
    await open(dark.page, path, heading);
    await dark.page.waitForTimeout(1500);
    await shoot(dark.page, `${nameOf(path)}-dark`);
  }
  const phone = await visit(app.browser, app.url, {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
    reducedMotion: 'reduce',
  });
  await signIn(phone.page, dev.adminEmail, dev.adminPassword);
  for (const [path, heading] of PAGES.filter(([path]) => /^\/$|keys|requests/.test(path))) {
    await open(phone.page, path, heading);
    await shoot(phone.page, `${nameOf(path)}-phone`);
  }
} finally {
  await app.stop();
  await cleanUp();
}
