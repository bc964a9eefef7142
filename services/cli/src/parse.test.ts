import { describe, expect, test } from '@jest/globals';
import { keyState } from './commands/keys.ts';
import { recordOfLine } from './commands/usage.ts';
import { parseCount, parseDurationMs, parseList, parsePort, parseSignedUsd, parseTime, parseUsd } from './parse.ts';

describe('option values', () => {
  test.each([
    ['24h', 86_400_000],
    ['30m', 1_800_000],
    ['90s', 90_000],
    ['7d', 604_800_000],
    ['500ms', 500],
    ['0', 0],
  ])('duration %s', (text, ms) => expect(parseDurationMs(text)).toBe(ms));
  test.each(['', '5', 'h', '-1h', '1.5h', '1h30m'])('no duration: %p', (text) =>
    expect(() => parseDurationMs(text)).toThrow('duration'),
  );

  test('amounts keep their text; nothing is rounded', () => {
    expect(parseUsd('0.000000001')).toBe('0.000000001');
    expect(parseSignedUsd('-3.25')).toBe('-3.25');
    for (const text of ['-1', '1e3', '.5', '1.0000000001', '1,5']) expect(() => parseUsd(text)).toThrow('USD');
  });

  test('counts, ports, lists and times', () => {
    expect([parseCount('7'), parsePort('8080'), parseList('a, b')]).toEqual([7, 8080, ['a', 'b']]);
    expect(parseTime('2027-01-31T00:00:00+02:00')).toBe('2027-01-30T22:00:00.000Z');
    expect(parseTime('2027-01-31')).toBe('2027-01-31T00:00:00.000Z');
    for (const text of ['0', '-1', '1.5', 'x']) expect(() => parseCount(text)).toThrow();
    for (const text of ['0', '65536', 'http']) expect(() => parsePort(text)).toThrow();
    for (const text of ['tomorrow', '2027-13-01', '2027-01-31T00:00:00']) expect(() => parseTime(text)).toThrow();
    expect(() => parseList('a,,b')).toThrow();
  });
});

test('the state of a key follows from its times', () => {
  const at = (text: string) => Date.parse(text);
  const key = { expiresAt: '2027-01-01T00:00:00Z', revokedAt: null };
  expect(keyState(key, at('2026-12-31T23:59:59Z'))).toBe('live');
  expect(keyState(key, at('2027-01-01T00:00:00Z'))).toBe('expired');
  expect(keyState({ ...key, revokedAt: '2026-01-01T00:00:00Z' }, 0)).toBe('revoked');
  expect(keyState({ expiresAt: null, revokedAt: null }, at('2099-01-01'))).toBe('live');
});

test('usage records are found in router logs and in plain files, and nothing else is taken for one', () => {
  const record = { requestId: 'req_1', leaseId: 'lease_1', amountNusd: '5' };
  const text = JSON.stringify(record);
  expect(recordOfLine(JSON.stringify({ level: 'error', msg: 'unconfirmed_usage', record }))).toBe(text);
  expect(recordOfLine(JSON.stringify({ msg: 'unconfirmed_usage', record: text }))).toBe(text);
  expect(recordOfLine(text)).toBe(text);
  for (const line of [
    '',
    'not JSON',
    'null',
    '7',
    '{"msg":"request","requestId":"req_1"}',
    '{"msg":"unconfirmed_usage"}',
  ]) {
    expect(recordOfLine(line)).toBeNull();
  }
});
