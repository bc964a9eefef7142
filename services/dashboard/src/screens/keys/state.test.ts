import { expect, test } from '@jest/globals';
import { isUsable, keyState } from './state.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const key = (rest: object) => ({ revokedAt: null, expiresAt: null, rotatedTo: null, ...rest });
const inDays = (days: number) => new Date(NOW + days * 86_400_000).toISOString();

test('the word for a key is the worst that is true', () => {
  expect(keyState(key({}), NOW)).toBe('live');
  expect(keyState(key({ expiresAt: inDays(30) }), NOW)).toBe('live');
  expect(keyState(key({ expiresAt: inDays(3) }), NOW)).toBe('expiring');
  expect(keyState(key({ expiresAt: inDays(1), rotatedTo: 'key_x' }), NOW)).toBe('retiring');
  expect(keyState(key({ expiresAt: inDays(-1), rotatedTo: 'key_x' }), NOW)).toBe('expired');
  expect(keyState(key({ expiresAt: inDays(-1), revokedAt: inDays(-2) }), NOW)).toBe('revoked');
  expect(isUsable('retiring')).toBe(true);
  expect(isUsable('expired')).toBe(false);
});
