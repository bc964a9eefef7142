import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BLOCK_BYTES, prefixChain, promptChain } from './prefix-hash.ts';

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

  test('a longer conversation begins with the blocks of the shorter one, at every length', () => {
    const text = (messages: unknown[]) => ({ tools: '[{"type":"function"}]', messages: JSON.stringify(messages) });
    const bytesOf = ({ tools, messages }: { tools: string; messages: string }) => Buffer.byteLength(tools + messages);
    fc.assert(
      fc.property(fc.nat(3 * BLOCK_BYTES), fc.string({ unit: 'grapheme', maxLength: 50 }), (length, answer) => {
        const start = [{ role: 'user', content: 'é'.repeat(length) }];
        const short = text(start);
        const long = text([...start, { role: 'assistant', content: answer + 'x'.repeat(BLOCK_BYTES) }]);
        const blocks = promptChain('salt', short, bytesOf(short));
        expect(blocks).toHaveLength(Math.floor((bytesOf(short) - 1) / BLOCK_BYTES));
        expect(promptChain('salt', long, bytesOf(long)).slice(0, blocks.length)).toEqual(blocks);
      }),
      { numRuns: 50 },
    );
  });

  test('a prompt too long for the kept buffer has the same chain as its beginning', () => {
    const content = 'a'.repeat(2 * 1024 * 1024);
    const long = { tools: null, messages: JSON.stringify([{ role: 'user', content }]) };
    const short = { tools: null, messages: JSON.stringify([{ role: 'user', content: content.slice(0, 9_000) }]) };
    const blocks = promptChain('salt', long, long.messages.length);
    expect(blocks).toHaveLength(2 * 1024);
    expect(blocks.slice(0, 8)).toEqual(promptChain('salt', short, short.messages.length).slice(0, 8));
  });
});
