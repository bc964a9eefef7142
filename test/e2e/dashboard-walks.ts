/** Walks over every page: what holds for all of them. */
import type { Page } from 'playwright-core';
import { axeFindings } from './dashboard-kit.ts';

/** Opens a page and waits until it shows its heading and nothing loads any more. */
export async function open(page: Page, path: string, heading: string | RegExp): Promise<void> {
  await page.goto(path);
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
  await page.locator('.skeleton').first().waitFor({ state: 'detached' });
}

/** Visible texts smaller than 12 px, by their words. */
export const smallTexts = (page: Page): Promise<string[]> =>
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
export const smallTargets = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const controls = document.querySelectorAll('button, select, input:not([type=checkbox]):not([type=radio]), .tap, .nav-item');
    return [...controls]
      .filter((control) => control.checkVisibility() && !control.closest('.api-reference, [aria-hidden=true], .sr-only'))
      .filter((control) => !control.classList.contains('sr-only') && control.getBoundingClientRect().height < 43.5)
      .map((control) => (control.getAttribute('aria-label') || control.textContent || control.id).trim().slice(0, 60));
  })()`);

/** How far the page is wider than the screen, px: nothing but tables in their own frames may scroll sideways. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`);

/** Every page's serious findings of axe and its small texts, as lines; empty when all is well. */
export async function auditPages(
  page: Page,
  pages: readonly (readonly [path: string, heading: string | RegExp])[],
  rules?: string[],
): Promise<string[]> {
  const lines: string[] = [];
  for (const [path, heading] of pages) {
    await open(page, path, heading);
    for (const finding of await axeFindings(page, rules)) lines.push(`${path}: ${finding}`);
    for (const text of await smallTexts(page)) lines.push(`${path}: smaller than 12 px: ${text}`);
  }
  return lines;
}

/** The same on a phone: targets for fingers, and nothing wider than the screen. */
export async function auditPhone(
  page: Page,
  pages: readonly (readonly [path: string, heading: string | RegExp])[],
): Promise<string[]> {
  const lines: string[] = [];
  for (const [path, heading] of pages) {
    await open(page, path, heading);
    for (const name of await smallTargets(page)) lines.push(`${path}: smaller than 44 px: ${name}`);
    const wider = await overflow(page);
    if (wider > 0) lines.push(`${path}: ${wider} px wider than the screen`);
  }
  return lines;
}
