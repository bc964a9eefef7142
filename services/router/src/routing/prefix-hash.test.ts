import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BLOCK_BYTES, prefixChain, promptBytes } from './prefix-hash.ts';

describe('prefix chain', () => {
  test('two prompts agree on exactly the blocks of their common start', () => {
    fc.assert(
      fc.property(fc.nat(6), fc.nat(6), fc.nat(6), (common, a, b) => {
        const fill = (count: number, seed: number) =>
          Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.alloc(BLOCK_BYTES, (seed + i * 7 + 1) & 0xff)));
        const one = prefixChain('acct_a', Buffer.concat([fill(common, 1), fill(a, 100)]));
        const two = prefixChain('acct_a', Buffer.concat([fill(common, 1), fill(b, 200)]));
        let depth = 0;
        while (depth < Math.min(one.length, two.length) && one[depth] === two[depth]) depth++;
        expect(depth).toBe(common);
      }),
    );
  });

  test('another account shares nothing, and every hash is a safe integer', () => {
    const bytes = Buffer.alloc(20 * BLOCK_BYTES, 'abc');
    const mine = prefixChain('acct_a', bytes);
    const theirs = prefixChain('acct_b', bytes);
    expect(new Set([...mine, ...theirs]).size).toBe(40);
    expect([...mine, ...theirs].every(Number.isSafeInteger)).toBe(true);
  });

  test('a longer conversation begins with the bytes of the shorter one', () => {
    const start = [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
    ];
    const longer = [...start, { role: 'assistant', content: 'hello' }];
    expect(promptBytes({ messages: longer }).subarray(0, promptBytes({ messages: start }).length)).toEqual(
      promptBytes({ messages: start }),
    );
  });
});
