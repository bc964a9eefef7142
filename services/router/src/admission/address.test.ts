import { describe, expect, test } from '@jest/globals';
import { clientAddress, mayComeFrom } from './address.ts';

describe('the address of a client', () => {
  test('is the connection’s own unless proxies of ours stand before', () => {
    expect(clientAddress('203.0.113.9', '198.51.100.1', 0)).toBe('203.0.113.9');
    expect(clientAddress('::ffff:203.0.113.9', undefined, 0)).toBe('203.0.113.9');
    expect(clientAddress(undefined, undefined, 0)).toBeNull();
  });

  test('what a client writes itself is never believed', () => {
    expect(clientAddress('10.0.0.1', '6.6.6.6, 198.51.100.1', 1)).toBe('198.51.100.1');
    expect(clientAddress('10.0.0.1', '6.6.6.6, 198.51.100.1, 10.0.0.2', 2)).toBe('198.51.100.1');
    expect(clientAddress('10.0.0.1', 'nonsense', 1)).toBeNull();
  });
});

describe('a list of addresses', () => {
  const list = ['203.0.113.0/24', '198.51.100.7', '2001:db8::/32'];
  test.each([
    ['203.0.113.200', true],
    ['203.0.114.1', false],
    ['198.51.100.7', true],
    ['198.51.100.8', false],
    ['2001:db8:1::1', true],
    ['2001:db9::1', false],
    [null, false],
  ])('%s: %s', (address, allowed) => {
    expect(mayComeFrom(list, address)).toBe(allowed);
  });
});
