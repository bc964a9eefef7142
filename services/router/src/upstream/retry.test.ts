import { describe, expect, test } from '@jest/globals';
import { isStrike, Poison } from './poison.ts';
import { RETRY_BUDGET_DEFAULTS, RetryBudget } from './retry-budget.ts';

describe('the retry budget', () => {
  test('is a tenth of the requests, over a small reserve', () => {
    const budget = new RetryBudget(RETRY_BUDGET_DEFAULTS, () => 0);
    let allowed = 0;
    for (let i = 0; i < 1_000; i++) {
      budget.deposit();
      if (budget.withdraw()) allowed++;
    }
    expect(allowed).toBeGreaterThanOrEqual(105);
    expect(allowed).toBeLessThanOrEqual(111);
  });

  test('comes back with time, up to the reserve, and never piles up beyond its bound', () => {
    let nowMs = 0;
    const budget = new RetryBudget({ ...RETRY_BUDGET_DEFAULTS, most: 20 }, () => nowMs);
    const drain = () => {
      let count = 0;
      while (budget.withdraw()) count++;
      return count;
    };
    expect(drain()).toBe(10);
    nowMs += 3_000;
    expect(drain()).toBe(3);
    nowMs += 3_600_000;
    expect(drain()).toBe(10);
    for (let i = 0; i < 10_000; i++) budget.deposit();
    expect(drain()).toBe(20);
  });
});

describe('requests that kill workers', () => {
  const text = { messages: '[{"role":"user","content":"x"}]', tools: null };
  const request = { model: 'm', stream: true, structured: { regex: 'a' } };

  test('are remembered for their account alone, whatever way the answer is wanted, and not for ever', () => {
    let nowMs = 0;
    const poison = new Poison(() => nowMs);
    expect(poison.isRefused('a', request, text)).toBe(false);
    poison.remember('a', request, text);
    expect(poison.isRefused('a', { ...request, stream: false }, text)).toBe(true);
    expect(poison.isRefused('b', request, text)).toBe(false);
    expect(poison.isRefused('a', { ...request, structured: { regex: 'b' } }, text)).toBe(false);
    expect(poison.isRefused('a', request, { ...text, messages: '[]' })).toBe(false);
    nowMs = 600_000;
    expect(poison.isRefused('a', request, text)).toBe(false);
  });

  test('memory of them is bounded: the oldest go', () => {
    const poison = new Poison(() => 0);
    for (let i = 0; i < 1_001; i++) poison.remember('a', request, { ...text, messages: String(i) });
    expect(poison.isRefused('a', request, { ...text, messages: '0' })).toBe(false);
    expect(poison.isRefused('a', request, { ...text, messages: '1000' })).toBe(true);
  });

  test('a connection that never stood, a busy worker and a death in mid-answer say nothing', () => {
    const failure = (reason: string, status: number | null = null) => ({ reason, status, detail: '' }) as never;
    expect(isStrike(failure('cut'), false)).toBe(true);
    expect(isStrike(failure('bad_status', 500), false)).toBe(true);
    expect(isStrike(failure('engine_error', 200), false)).toBe(true);
    expect(isStrike(failure('cut'), true)).toBe(false);
    expect(isStrike(failure('connect'), false)).toBe(false);
    expect(isStrike(failure('bad_status', 503), false)).toBe(false);
    expect(isStrike(failure('first_token_timeout'), false)).toBe(false);
  });
});
