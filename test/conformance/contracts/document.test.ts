import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { conformanceDocument, DOCUMENT, testedIds } from './document.ts';
import { LINES, UNTESTED } from './lines.ts';

test('every line has a test of its name, or says why not; never both', () => {
  const tested = testedIds();
  for (const { id } of LINES) expect([id, tested.has(id)]).toEqual([id, UNTESTED[id] === undefined]);
  for (const id of tested) expect(LINES.map((line) => line.id)).toContain(id);
});

test('docs/conformance.md is what these lines and tests say', () => {
  expect(readFileSync(DOCUMENT, 'utf8')).toBe(conformanceDocument());
});
