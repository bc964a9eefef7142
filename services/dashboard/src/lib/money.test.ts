import { describe, expect, test } from '@jest/globals';
import { daysLeft, daysText, parseUsd, tokenCost, usd, usdExact } from './money.ts';

describe('money on screen', () => {
  test('exact form keeps every nano-dollar and at least cents', () => {
    expect(usdExact('1500000000')).toBe('$1.50');
    expect(usdExact('1')).toBe('$0.000000001');
    expect(usdExact('-1234567000000001')).toBe('-$1,234,567.000000001');
    expect(usdExact('0')).toBe('$0.00');
    expect(usdExact('9007199254740993000000000')).toBe('$9,007,199,254,740,993.00');
  });

  test('short form never shows a charge as nothing', () => {
    expect(usd('12345000000')).toBe('$12.35');
    expect(usd('4200000')).toBe('$0.0042');
    expect(usd('123456')).toBe('$0.000123');
    expect(usd('1')).toBe('$0.000000001');
    expect(usd('500000000')).toBe('$0.50');
    expect(usd('999999999')).toBe('$1.00');
    expect(usd('-4200000')).toBe('-$0.0042');
    expect(usd(null)).toBe('$0.00');
    expect(usd('nonsense')).toBe('$0.00');
  });

  test('the cost of tokens is rounded up', () => {
    expect(tokenCost(1_000_000, '150000000')).toBe(150_000_000n);
    expect(tokenCost(1, '150000001')).toBe(151n);
    expect(tokenCost(0, '150000000')).toBe(0n);
  });

  test('days left come from the spend of past days', () => {
    expect(daysLeft('10000000000', '7000000000', 7)).toBe(10);
    expect(daysLeft('10000000000', '0', 7)).toBeNull();
    expect(daysLeft('0', '7000000000', 7)).toBe(0);
    expect(daysText(0.4)).toBe('less than a day');
    expect(daysText(1.9)).toBe('1 day');
    expect(daysText(4000)).toBe('more than a year');
  });

  test('typed dollars are read or refused, never guessed', () => {
    expect(parseUsd(' $1,000.5 ')).toBe('1000.5');
    expect(parseUsd('12')).toBe('12');
    for (const bad of ['', '-1', '1e3', '1.2.3', '0.1234567891', 'ten']) expect(parseUsd(bad)).toBeNull();
  });
});
