import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ERROR_CODES, errorPage, errorPageHtml } from './pages.ts';
import { ERRORS_FOLDER, errorFiles } from './write-pages.ts';

describe('the error pages', () => {
  test('docs/errors holds exactly what the catalogue says today', () => {
    const expected = errorFiles();
    const there = readdirSync(ERRORS_FOLDER).sort();
    expect(there).toEqual([...expected.keys()].sort());
    for (const [name, text] of expected)
      expect({ name, text: readFileSync(ERRORS_FOLDER + name, 'utf8') }).toEqual({ name, text });
  });

  test.each(ERROR_CODES)('%s says what happened, whose fault it is and what to do', (code) => {
    const headings = errorPage(code).sections.map(({ heading }) => heading);
    expect(headings.slice(0, 3)).toEqual(['What happened', 'Whose fault', 'What to do']);
    for (const { text } of errorPage(code).sections) expect(text).toMatch(/^\S.*[.:"].*$/s);
    // Escaped text only: no markup besides ours.
    expect(errorPageHtml(code)).not.toMatch(/<(script|img|iframe)/);
  });
});
