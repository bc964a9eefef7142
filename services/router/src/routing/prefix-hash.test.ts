import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { blockBytes, type PromptText, prefixChain, promptChain } from './prefix-hash.ts';

const bytesOf = ({ tools, messages }: PromptText) => Buffer.byteLength((tools ?? '') + messages);
const chainOf = (text: PromptText, salt = 'salt') => promptChain(salt, text, bytesOf(text));
const talk = (messages: unknown[], tools: string | null = '[{"type":"function"}]'): PromptText => ({
  tools,
  messages: JSON.stringify(messages),
});
const message = fc.record({
  role: fc.constantFrom('system', 'user', 'assistant'),
  content: fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.nat(6_000).map((length) => 'é'.repeat(length)),
    fc.constant('},{"role":"user","content":"not a message"},'),
  ),
});

describe('prefix chain', () => {
  test('two texts agree on exactly the blocks that end within their common start', () => {
    fc.assert(
      fc.property(fc.nat(20_000), fc.nat(3_000), fc.nat(3_000), (common, a, b) => {
        const fill = (count: number, seed: number) =>
          Uint8Array.from({ length: count }, (_, i) => (seed + i * 7) & 0x7f);
        const one = prefixChain('acct_a', Buffer.concat([fill(common, 1), Buffer.from('A'), fill(a, 5)]));
        const two = prefixChain('acct_a', Buffer.concat([fill(common, 1), Buffer.from('B'), fill(b, 9)]));
        let depth = 0;
        while (depth < Math.min(one.hashes.length, two.hashes.length) && one.hashes[depth] === two.hashes[depth])
          depth++;
        expect(one.ends.filter((end) => end <= common).length).toBe(depth);
        expect(common - (one.ends[depth - 1] ?? 0)).toBeLessThan(blockBytes(common) + 1);
      }),
    );
  });

  test('another account shares nothing, and every hash is a safe integer', () => {
    const bytes = Buffer.alloc(20 * 1024, 'abc');
    const mine = prefixChain('acct_a', bytes).hashes;
    const theirs = prefixChain('acct_b', bytes).hashes;
    expect(new Set([...mine, ...theirs]).size).toBe(mine.length * 2);
    expect([...mine, ...theirs].every(Number.isSafeInteger)).toBe(true);
  });

  test('a longer conversation begins with the blocks of the shorter one, which end where its last message ends', () => {
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 6 }),
        fc.array(message, { maxLength: 3 }),
        (start, more) => {
          const short = talk(start);
          const blocks = chainOf(short);
          const longer = chainOf(talk([...start, ...more]));
          expect(longer.hashes.slice(0, blocks.hashes.length)).toEqual(blocks.hashes);
          expect(longer.ends.slice(0, blocks.ends.length)).toEqual(blocks.ends);
          // A last message of a few words is left to the block that comes.
          expect(bytesOf(short) - 1 - (blocks.ends.at(-1) ?? 0)).toBeLessThan(64);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('a common first message is found to its end, whatever follows', () => {
    const system = { role: 'system', content: 'Be brief. '.repeat(82) };
    const one = chainOf(talk([system, { role: 'user', content: 'one '.repeat(100) }], null));
    const two = chainOf(talk([system, { role: 'user', content: 'two '.repeat(100) }], null));
    const shared = one.hashes.filter((hash) => two.hashes.includes(hash)).length;
    const end = JSON.stringify([system]).length - 1;
    // Six whole blocks, and 83 bytes that are long enough to be one.
    expect(one.ends[shared - 1]).toBe(end);
  });

  test('tools are a start of their own', () => {
    const tools = JSON.stringify([{ type: 'function', function: { name: 'f', description: 'x'.repeat(300) } }]);
    const one = chainOf(talk([{ role: 'user', content: 'a'.repeat(500) }], tools));
    const two = chainOf(talk([{ role: 'system', content: 'b'.repeat(500) }], tools));
    const shared = one.hashes.filter((hash) => two.hashes.includes(hash)).length;
    expect(one.ends[shared - 1]).toBe(tools.length);
  });

  test('a prompt too long for the kept buffer has the same chain as its beginning', () => {
    const content = 'a'.repeat(2 * 1024 * 1024);
    const long = { tools: null, messages: JSON.stringify([{ role: 'user', content }]) };
    const short = { tools: null, messages: JSON.stringify([{ role: 'user', content: content.slice(0, 9_000) }]) };
    const { hashes, ends } = chainOf(long);
    expect(bytesOf(long) - 1 - ends.at(-1)!).toBeLessThan(64);
    expect(hashes.length).toBeLessThan(700);
    const beginning = chainOf(short).hashes.slice(0, -1);
    expect(hashes.slice(0, beginning.length)).toEqual(beginning);
  });
});
