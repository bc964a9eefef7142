/** A real browser before a whole local start: what the dashboard's tests share. */
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../services/shared/src/runtime/binaries.mjs';
import { type LocalStart, startLocal } from './local-start.ts';

const found = findChromium();
/** `npm test` says in one line when there is no browser. */
export const hasBrowser = found !== null;
/** On a busy machine a page and its API may take long; nothing here waits for time, only for what is seen. */
const SEEN_LIMIT_MS = 30_000;

export interface DashboardStack {
  stack: LocalStart;
  browser: Browser;
  /** Address of the dashboard. */
  url: string;
  /** `fetch` of the console's API as the operator (admin token). */
  operator<T>(method: string, path: string, body?: unknown): Promise<T>;
  stop(): Promise<void>;
}

export async function startDashboard(args: string[] = []): Promise<DashboardStack> {
  if (!found) throw new Error('no browser here');
  const stack = await startLocal({ args });
  const browser = await chromium.launch({
    executablePath: found.program,
    env: { ...found.env },
    // The tests visit this machine alone; Chromium's own sandbox needs rights that containers do not give.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
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

/** A fresh browser profile. */
export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
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
    if (protocol !== 'data:' && origin !== new URL(url).origin) complaints.push(`other host: ${origin}`);
  });
  return { context, page, complaints };
}

export async function signIn(page: Page, email: string, password: string): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
}

/** Serious findings of axe about what is on the page now, one line each; of some rules, or of all. */
export async function axeFindings(page: Page, rules?: string[]): Promise<string[]> {
  const axe = new AxeBuilder({ page });
  const { violations } = await (rules ? axe.withRules(rules) : axe).analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary?.replace(/\s+/g, ' ')}`),
    );
}

/** Asks again until it holds; fails with what it last said. For what another process does in its own time. */
export async function eventually<T>(ask: () => Promise<T | null>, what: string, limitMs = SEEN_LIMIT_MS): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The pages of an organisation, and the heading by which each is known. */
export const PAGES: readonly [path: string, heading: string | RegExp][] = [
  ['/', 'Home'],
  ['/playground', 'Playground'],
  ['/keys', 'API keys'],
  ['/usage', 'Usage'],
  ['/requests', 'Requests'],
  ['/credits', 'Credits'],
  ['/models', 'Models and prices'],
  ['/limits', 'Limits'],
  ['/reference', 'API reference'],
  ['/team', 'Team'],
  ['/webhooks', 'Webhooks'],
  ['/security', 'Your account'],
];
/** Pages of those who run the installation. */
export const ADMIN_PAGES: readonly [path: string, heading: string | RegExp][] = [
  ['/admin/fleet', 'Fleet'],
  ['/admin/accounts', 'Accounts'],
  ['/admin/prices', 'Prices and plans'],
  ['/admin/codes', 'Redemption codes'],
  ['/admin/audit', 'Audit log'],
  ['/admin/webhooks', 'Platform webhooks'],
  ['/admin/settings', 'Settings'],
];
export const OPEN_PAGES: readonly [path: string, heading: string | RegExp][] = [
  ['/sign-in', 'Sign in'],
  ['/register', 'Make an account'],
  ['/status', /models|Status/],
];
