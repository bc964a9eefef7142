import { randomBytes } from 'node:crypto';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32, isWellFormedKey, mintKey } from './key.ts';

const bytes = (count: number) => randomBytes(count);

describe('API key text', () => {
  test('a minted key is well formed and shows its loggable part and its last four', () => {
    const key = mintKey(bytes);
    expect(key.text).toMatch(/^tg_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
    expect(isWellFormedKey(key.text)).toBe(true);
    expect(key.text).toContain(`tg_live_${key.publicId}_`);
    expect(key.text.endsWith(key.last4)).toBe(true);
  });

  test('any single changed character is refused by the checksum alone', () => {
    const { text } = mintKey(bytes);
    for (let i = 'tg_live_'.length; i < text.length; i++) {
      if (text[i] === '_') continue;
      const other = text[i] === 'a' ? 'b' : 'a';
      expect(isWellFormedKey(text.slice(0, i) + other + text.slice(i + 1))).toBe(false);
    }
  });

  test('junk is refused', () => {
    fc.assert(fc.property(fc.string(), (text) => expect(isWellFormedKey(text)).toBe(false)));
  });

  test('the checksum is the CRC-32 everybody means', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'abcXYZ019_:') }), (text) => {
        expect(crc32(text)).toBe(zlibCrc32(text));
      }),
    );
  });
});
