import { expect, test } from '@jest/globals';
import { testSeed } from '@tollgate/shared/testkit/counts';
import * as fc from 'fast-check';
import type { Block } from '../parse/block.ts';
import { chunkBlocks } from './chunker.ts';
import { estimateTokens } from './tokens.ts';

const text = (words: number, word = 'word'): Block => ({
  kind: 'text',
  text: `${word} `.repeat(words).trim(),
  place: '',
});
const heading = (level: number, title: string): Block => ({ kind: 'heading', level, text: title, place: '' });

test('a chunk begins at a heading and carries the path to it', () => {
  const chunks = chunkBlocks(
    [heading(1, 'Guide'), text(40), heading(2, 'Limits'), text(50), heading(1, 'Other'), text(30)],
    { chunkTokens: 100, overlapTokens: 0 },
  );
  expect(chunks.map((chunk) => chunk.heading)).toEqual(['Guide', 'Guide > Limits', 'Other']);
});

test('small sections stay together, with their headings as lines', () => {
  const chunks = chunkBlocks([heading(1, 'A'), text(2), heading(1, 'B'), text(2)], {
    chunkTokens: 400,
    overlapTokens: 0,
  });
  expect(chunks.map((chunk) => chunk.text)).toEqual(['word word\nB\nword word']);
});

test('the next chunk of a section begins with the end of the last, sentence by sentence', () => {
  const long = Array.from({ length: 60 }, (_, i) => `Sentence number ${i} is here.`).join(' ');
  const chunks = chunkBlocks([{ kind: 'text', text: long, place: '' }], { chunkTokens: 100, overlapTokens: 20 });
  expect(chunks.length).toBeGreaterThan(3);
  for (let i = 1; i < chunks.length; i++) {
    const first = chunks[i]!.text.split('\n')[0]!;
    expect(chunks[i - 1]!.text.endsWith(first)).toBe(true);
  }
});

test('rows keep their place, from the first to the last', () => {
  const rows = Array.from(
    { length: 30 },
    (_, i): Block => ({ kind: 'row', text: `a: ${i}; b: some value`, place: `row ${i + 2}` }),
  );
  const chunks = chunkBlocks(rows, { chunkTokens: 100, overlapTokens: 30 });
  expect(chunks[0]!.place).toMatch(/^row 2 to row \d+$/);
  expect(chunks.at(-1)!.place).toMatch(/to row 31$/);
  // Rows are not repeated.
  expect(chunks.map((chunk) => chunk.text).join('\n')).toBe(rows.map((row) => row.text).join('\n'));
});

test('no word is lost, no chunk is above its size, and no character is cut in two', () => {
  const word = fc.oneof(
    fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
    fc.constant('😀'.repeat(150)),
    fc.constant('x'.repeat(900)),
  );
  const block = fc.record({
    kind: fc.constantFrom('text' as const, 'row' as const, 'code' as const, 'heading' as const),
    text: fc.array(word, { minLength: 1, maxLength: 60 }).map((words) => words.join(' ').trim() || 'x'),
    place: fc.constant(''),
    level: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(block, { maxLength: 12 }), fc.integer({ min: 130, max: 300 }), (blocks, chunkTokens) => {
      const chunks = chunkBlocks(blocks, { chunkTokens, overlapTokens: 0 });
      for (const chunk of chunks) {
        expect(chunk.text.isWellFormed()).toBe(true);
        expect(chunk.tokens).toBe(estimateTokens(chunk.text));
        expect(chunk.tokens).toBeLessThanOrEqual(chunkTokens + 1);
      }
      const letters = (value: string) => value.replace(/\s+/g, '');
      const body = letters(
        blocks
          .filter(({ kind }) => kind !== 'heading')
          .map((entry) => entry.text)
          .join(''),
      );
      const told = letters(chunks.map((chunk) => chunk.text).join(''));
      // Headings of small sections may stand among the words; nothing else may.
      let at = 0;
      for (const letter of told) if (letter === body[at]) at++;
      expect(at).toBeLessThanOrEqual(body.length);
      if (!blocks.some(({ kind }) => kind === 'heading')) expect(told).toBe(body);
    }),
    { seed: testSeed(), numRuns: 60 },
  );
});
