/**
 * `npm run screenshots`: a picture of each screen into docs/screenshots/, from a real local start with real requests.
 * Looked at by people when a screen changes; nothing compares them byte for byte.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import type { Page } from 'playwright-core';
import { ADMIN_PAGES, eventually, OPEN_PAGES, PAGES, signIn, startDashboard, visit } from './dashboard-kit.ts';
import { open } from './dashboard-walks.ts';
import { cleanUp } from './local-start.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
const nameOf = (path: string) => path.replace(/^\//, '').replace(/\W+/g, '-') || 'home';

mkdirSync(FOLDER, { recursive: true });
const app = await startDashboard();
try {
  const { dev } = app.stack;
  const light = await visit(app.browser, app.url, { colorScheme: 'light', reducedMotion: 'reduce' });
  const shoot = async (page: Page, name: string) => {
    await page.screenshot({ path: `${FOLDER}${name}.png` });
  };
  for (const [path, heading] of OPEN_PAGES) {
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
  for (let i = 0; i < 36; i++) {
    const client = new OpenAI({ baseURL: dev.routerUrl, apiKey: keys[[0, 0, 1, 0, 2][i % 5]!]!, maxRetries: 0 });
    const model = i % 12 === 11 ? 'no/such-model' : MODEL;
    const messages = [
      { role: 'user' as const, content: `Tell me about city number ${i}. ${'Be precise. '.repeat(i)}` },
    ];
    await client.chat.completions.create({ model, messages, max_tokens: 40 + 12 * i }).catch(() => undefined);
  }

  // Roll-ups follow the requests within seconds; an empty chart would say nothing.
  await eventually(async () => {
    await open(light.page, '/usage', 'Usage');
    return (await light.page.getByRole('table').isVisible()) ? true : null;
  }, 'the roll-ups');
  for (const [path, heading] of [...PAGES, ...ADMIN_PAGES]) {
    await open(light.page, path, heading);
    // Charts, editors and live tiles draw a moment after their page.
    await light.page.waitForTimeout(1500);
    await shoot(light.page, nameOf(path));
  }
  await open(light.page, '/requests', 'Requests');
  await light.page.locator('[data-row-main]').nth(2).click();
  await light.page.getByText('Timeline').waitFor();
  await shoot(light.page, 'request');
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
