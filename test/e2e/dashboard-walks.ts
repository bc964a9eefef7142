/** Walks over every page: what holds for all of them. */
import type { Page } from 'playwright-core';
import { counts, testSeed } from '../../services/shared/src/testkit/counts.ts';
import { axeFindings, type KnownPage } from './dashboard-kit.ts';

/** Waits until a page shows its heading and nothing loads any more. */
async function settled(page: Page, heading: string | RegExp): Promise<void> {
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
  await page.locator('.skeleton').first().waitFor({ state: 'detached' });
}

/** Opens a page as by typing its address. */
export async function open(page: Page, path: string, heading: string | RegExp): Promise<void> {
  await page.goto(path);
  await settled(page, heading);
}

/** Goes to a page as a link of the application does: nothing is loaded twice. */
async function goTo(page: Page, path: string, heading: string | RegExp): Promise<void> {
  await page.evaluate(
    `history.pushState(null, '', ${JSON.stringify(path)}); dispatchEvent(new PopStateEvent('popstate'))`,
  );
  await settled(page, heading);
}

/** Visible texts smaller than 12 px, by their words. */
const smallTexts = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.textContent.trim() || !element.checkVisibility() || element.closest('script,style,svg title')) continue;
      if (parseFloat(getComputedStyle(element).fontSize) < 11.99) found.add(node.textContent.trim().slice(0, 60));
    }
    return [...found];
  })()`);

/** Buttons, links that look like buttons, fields and menu entries that a finger would miss (below 44 px), by name. */
const smallTargets = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const controls = document.querySelectorAll('button, select, input:not([type=checkbox]):not([type=radio]), .tap, .nav-item');
    return [...controls]
      .filter((control) => control.checkVisibility() && !control.closest('.api-reference, [aria-hidden=true], .sr-only'))
      .filter((control) => !control.classList.contains('sr-only') && control.getBoundingClientRect().height < 43.5)
      .map((control) => (control.getAttribute('aria-label') || control.textContent || control.id).trim().slice(0, 60));
  })()`);

/** How far the page is wider than the screen, px: nothing but tables in their own frames may scroll sideways. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`);

const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };
const THEMES = ['light', 'dark'] as const;
/** In which themes to look: both in a full run, else every other time the other one, and the seed says which first. */
const inTurn = (index: number): readonly (typeof THEMES)[number][] =>
  counts([THEMES[(index + testSeed()) % 2]!], [...THEMES]);

/** Pages that were looked at, by path and theme. */
const looked = new Set<string>();
/** Pages times themes, so far. */
export const looksTaken = (): number => looked.size;
const lookedAt = (path: string, theme: string): boolean =>
  counts([...THEMES], [theme]).some((each) => looked.has(`${path} ${each}`));

/** What is wrong with what is on the page now, as lines; empty when all is well. */
export async function faults(page: Page, themes = inTurn(0)): Promise<string[]> {
  const lines: string[] = [];
  // What lies behind a dialog is hidden from axe too.
  if ((await page.getByRole('dialog').count()) === 0) {
    for (const theme of themes) looked.add(`${new URL(page.url()).pathname} ${theme}`);
  }
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const finding of await axeFindings(page)) lines.push(`${colorScheme}: ${finding}`);
  }
  for (const text of await smallTexts(page)) lines.push(`smaller than 12 px: ${text}`);
  await page.setViewportSize(PHONE);
  for (const name of await smallTargets(page)) lines.push(`smaller than 44 px: ${name}`);
  const wider = await overflow(page);
  if (wider > 0) lines.push(`${wider} px wider than the screen of a phone`);
  await page.setViewportSize(DESKTOP);
  return lines;
}

/**
 * Looks at every page that no walk of this run has looked at, with more on it: axe, small texts, and on a phone's screen
 * small targets and overflow.
 */
export async function auditPages(page: Page, pages: readonly KnownPage[]): Promise<string[]> {
  const found: string[] = [];
  for (const [index, [path, heading]] of pages.entries()) {
    // The first is opened by its address; sign-in was only seen at its second step.
    const themes = inTurn(index).filter((theme) => index === 0 || !lookedAt(path, theme));
    if (themes.length === 0) continue;
    await (index === 0 ? open : goTo)(page, path, heading);
    for (const fault of await faults(page, themes)) found.push(`${path}: ${fault}`);
  }
  return found;
}
