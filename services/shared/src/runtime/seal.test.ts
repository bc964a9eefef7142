import { expect, test } from '@jest/globals';
import { systemRandom } from './random.ts';
import { createSealer } from './seal.ts';

const sealer = createSealer('a key of the installation, long enough', systemRandom);

test('what is sealed opens again, only at its place, only unchanged, only with the same key', () => {
  const sealed = sealer.close('whsec_ä', 'webhook 1');
  expect(sealer.open(sealed, 'webhook 1')).toBe('whsec_ä');
  expect(sealed).not.toContain('whsec');
  expect(() => sealer.open(sealed, 'webhook 2')).toThrow();
  const last = sealed.at(-1) === 'A' ? 'B' : 'A';
  expect(() => sealer.open(sealed.slice(0, -1) + last, 'webhook 1')).toThrow();
  expect(() => sealer.open('short', 'webhook 1')).toThrow();
  expect(() => createSealer('another key', systemRandom).open(sealed, 'webhook 1')).toThrow();
});

test('the same text sealed twice looks different; its digest is the same, per use', () => {
  expect(sealer.close('x', 'p')).not.toBe(sealer.close('x', 'p'));
  expect(sealer.digest('csrf', 'x')).toBe(sealer.digest('csrf', 'x'));
  expect(sealer.digest('csrf', 'x')).not.toBe(sealer.digest('code', 'x'));
});
