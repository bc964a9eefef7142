import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ReplyError } from 'ioredis';
import { counts } from '../testkit/counts.ts';
import { BrokenReply, type Reply, ReplyReader } from './replies.ts';

function read(pieces: readonly Buffer[], wantsText = true): Reply[] {
  const replies: Reply[] = [];
  const reader = new ReplyReader({ wantsText: () => wantsText, reply: (reply) => void replies.push(reply) });
  for (const piece of pieces) reader.push(piece);
  return replies;
}

const whole = (text: string, wantsText?: boolean) => read([Buffer.from(text)], wantsText);

describe('replies', () => {
  test('are texts, bytes, numbers, nothing, and arrays of them', () => {
    expect(whole('+OK\r\n:-12\r\n:9007199254740991\r\n$-1\r\n*-1\r\n$0\r\n\r\n$4\r\n\r\né\r\n*0\r\n')).toEqual([
      'OK',
      -12,
      9007199254740991,
      null,
      null,
      '',
      '\r\né',
      [],
    ]);
    expect(whole('*3\r\n*2\r\n:1\r\n*0\r\n$1\r\na\r\n*1\r\n$-1\r\n')).toEqual([[[1, []], 'a', [null]]]);
    expect(read([Buffer.from([...Buffer.from('*2\r\n$2\r\n'), 0xff, 0, ...Buffer.from('\r\n+a\r\n')])], false)).toEqual(
      [[Buffer.from([0xff, 0]), Buffer.from('a')]],
    );
  });

  test('may be errors, of a command or of one among several', () => {
    const [alone, several] = whole('-NOSCRIPT No matching script\r\n*2\r\n:1\r\n-ERR x\r\n');
    expect(alone).toBeInstanceOf(ReplyError);
    expect(alone).toMatchObject({ name: 'ReplyError', message: 'NOSCRIPT No matching script' });
    expect(several).toMatchObject([1, { name: 'ReplyError', message: 'ERR x' }]);
  });

  test.each(['%1\r\n', 'HTTP/1.1 400\r\n', ':1x\r\n', '$x\r\n', ':1\rx'])('that are none break off: %j', (text) => {
    expect(() => whole(text)).toThrow(BrokenReply);
  });
});

const value: fc.Arbitrary<Reply> = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: fc.constantFrom('a', '\r', '\n', '$', 'é', '0') }),
    fc.integer(),
    fc.constant(null),
    fc.array(tie('reply'), { maxLength: 4 }),
  ),
})).reply;

function encoded(reply: Reply): string {
  if (reply === null) return '$-1\r\n';
  if (typeof reply === 'number') return `:${reply}\r\n`;
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  return `*${(reply as Reply[]).length}\r\n${(reply as Reply[]).map(encoded).join('')}`;
}

test('however the bytes are cut, the same replies are read', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 5 }), fc.array(fc.nat(300)), (replies, cuts) => {
      const bytes = Buffer.from(replies.map(encoded).join(''));
      const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
      expect(read(at.slice(1).map((end, i) => bytes.subarray(at[i], end)))).toEqual(replies);
      for (const part of [1, 2, 3])
        expect(read([bytes.subarray(0, bytes.length - part)]).length).toBeLessThan(replies.length || 1);
    }),
    { numRuns: counts(300, 20_000) },
  );
});
