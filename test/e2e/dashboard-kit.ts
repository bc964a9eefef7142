/** A real browser before a whole local start: what the dashboard's tests share. */
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../services/shared/src/runtime/binaries.mjs';
import { type LocalStart, type LocalStartOptions, startLocal } from './local-start.ts';

const found = findChromium();
/** `npm test` says in one line when there is no browser. */
export const hasBrowser = found !== null;
/** Of everybody who signs up here. */
export const PASSWORD = 'a long enough password';
/** On a busy machine a page and its API may take long; nothing here waits for time, only for what is seen. */
const SEEN_LIMIT_MS = 60_000;

export interface DashboardStack {
  stack: LocalStart;
  browser: Browser;
  /** Address of the dashboard. */
  url: string;
  /** `fetch` of the console's API as the operator (admin token). */
  operator<T>(method: string, path: string, body?: unknown): Promise<T>;
  stop(): Promise<void>;
}

export async function launchBrowser(): Promise<Browser> {
  if (!found) throw new Error('no browser here');
  return chromium.launch({
    executablePath: found.program,
    env: { ...found.env },
    // The tests visit this machine alone; Chromium's own sandbox needs rights that containers do not give.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}

export async function startDashboard(options: LocalStartOptions = {}): Promise<DashboardStack> {
  const stack = await startLocal(options);
  const browser = await launchBrowser();
  const url = stack.dev.consoleUrl;
  return {
    stack,
    browser,
    url,
    async operator<T>(method: string, path: string, body?: unknown): Promise<T> {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${stack.dev.adminToken}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer = (await response.json()) as T;
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
      return answer;
    },
    async stop() {
      await browser.close();
      await stack.stop();
    },
  };
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What the browser complained about: script errors, breaches of the policy, requests to other hosts. */
  complaints: string[];
}

/** A fresh browser profile. `others`: hosts that this person is sent to on purpose, such as a sign-in provider's. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  others: readonly string[] = [],
): Promise<Visit> {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(SEEN_LIMIT_MS);
  const complaints: string[] = [];
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  page.on('console', (message) => {
    // A refused request (401 before signing in, 404 of a wrong id) is told by the browser too; the pages handle those.
    const refused = /Failed to load resource/.test(message.text());
    if (message.type() === 'error' && !refused) complaints.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    const known = origin === new URL(url).origin || others.includes(origin);
    if (protocol !== 'data:' && !known) complaints.push(`other host: ${origin}`);
  });
  return { context, page, complaints };
}

/** As far as the password goes: what comes then may be a second step, or a refusal. */
export async function tryPassword(page: Page, email: string, password: string): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

export const atHome = (page: Page): Promise<void> => page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();

export async function signIn(page: Page, email: string, password: string): Promise<void> {
  await tryPassword(page, email, password);
  await atHome(page);
}

export async function signUp(page: Page, name: string, email: string, organisation: string): Promise<void> {
  await page.goto('/register');
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByLabel('Organisation').fill(organisation);
  await page.getByRole('button', { name: 'Make account' }).click();
  await atHome(page);
}

/**
 * Takes the secret out of the dialog that shows it once; nothing but "I saved it" closes that.
 * `label`: what the secret is called there.
 */
export async function saveSecret(page: Page, label = 'Key'): Promise<string> {
  const dialog = page.getByRole('dialog');
  const secret = await dialog.getByLabel(label, { exact: true }).inputValue();
  await page.keyboard.press('Escape');
  await page.mouse.click(5, 5);
  if (!(await dialog.isVisible())) throw new Error('the dialog with the secret was dismissed');
  const done = dialog.getByRole('button', { name: 'Done' });
  if (!(await done.isDisabled())) throw new Error('the dialog can be left before the secret was saved');
  await dialog.getByLabel('I saved it').check();
  await done.click();
  await dialog.waitFor({ state: 'detached' });
  return secret;
}

/** Serious findings of axe about what is on the page now, one line each. */
export async function axeFindings(page: Page): Promise<string[]> {
  // There are no frames, so the mode without a second page sees as much; passes are of no interest.
  const axe = new AxeBuilder({ page }).setLegacyMode().options({ resultTypes: ['violations'] });
  const { violations } = await axe.analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary?.replace(/\s+/g, ' ')}`),
    );
}

/** An address and the heading by which its page is known. */
export type KnownPage = readonly [path: string, heading: string | RegExp];

/** The pages of an organisation; those of one key, request or collection are added by who has one. */
export const PAGES: readonly KnownPage[] = [
  ['/', 'Home'],
  ['/playground', 'Playground'],
  ['/collections', 'Collections'],
  ['/keys', 'API keys'],
  ['/usage', 'Usage'],
  ['/requests', 'Requests'],
  ['/credits', 'Credits'],
  ['/models', 'Models and prices'],
  ['/limits', 'Limits'],
  ['/reference', 'API reference'],
  ['/team', 'Team'],
  ['/audit', 'Audit log'],
  ['/webhooks', 'Webhooks'],
  ['/security', 'Your account'],
];
/** Pages of those who run the installation. */
export const ADMIN_PAGES: readonly KnownPage[] = [
  ['/admin/fleet', 'Fleet'],
  ['/admin/accounts', 'Accounts'],
  ['/admin/prices', 'Prices and plans'],
  ['/admin/codes', 'Redemption codes'],
  ['/admin/audit', 'Audit log'],
  ['/admin/webhooks', 'Platform webhooks'],
  ['/admin/settings', 'Settings'],
];
export const OPEN_PAGES: readonly KnownPage[] = [
  ['/sign-in', 'Sign in'],
  ['/register', 'Make an account'],
  ['/forgot-password', 'Forgot your password?'],
  ['/reset-password#a-token', 'Choose a new password'],
  ['/invite#a-token', 'This invitation is over'],
  ['/status', /models|Status/],
];
