import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AnswerReader, chunkText, type ReadRequest, RequestReader, requestText } from './wire.ts';

/** Cuts `bytes` at the given places. */
function cut(bytes: Buffer, places: number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % bytes.length).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

const sized = 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\n\r\nhello';
const empty = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const stream = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunkText('data: {"a":1}\n\n')}${chunkText('data: [DO')}${chunkText('NE]\n\n')}0\r\n\r\n`;

describe('answers', () => {
  test('any split of the bytes gives the same answers', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 12 }), (places) => {
        const seen: string[] = [];
        const reader = new AnswerReader(
          () => seen.push(`head ${reader.status}`),
          () => seen.push(`end ${reader.bodyBytes} ${JSON.stringify(reader.tail.slice(-14))}`),
        );
        for (const part of cut(Buffer.from(sized + stream + empty), places)) reader.push(part);
        expect(seen).toEqual([
          'head 429',
          'end 5 ""',
          'head 200',
          'end 29 "data: [DONE]\\n\\n"',
          'head 200',
          'end 0 ""',
        ]);
      }),
      { seed: 7 },
    );
  });

  test('any split of the bytes gives the same number of events', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 12 }), (places) => {
        const reader = new AnswerReader(
          () => {},
          () => {},
        );
        for (const part of cut(Buffer.from(stream + sized + stream), places)) reader.push(part);
        expect(reader.events).toBe(4);
      }),
      { seed: 7 },
    );
  });

  test('a stream without its last chunk has no end', () => {
    let ended = 0;
    const reader = new AnswerReader(
      () => {},
      () => ended++,
    );
    reader.push(Buffer.from(stream.slice(0, -5)));
    expect([ended, reader.status]).toEqual([0, 200]);
  });
});

test('requests: any split gives the same bodies, several in one read too', () => {
  const texts = ['{"n":1}', '', 'x'.repeat(3000)].map((body) => requestText({ path: '/p', body }));
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 12 }), (places) => {
      const bodies: string[] = [];
      const reader = new RequestReader(({ method, path, body }: ReadRequest) => {
        bodies.push(`${method} ${path} ${body.toString()}`);
      });
      for (const part of cut(Buffer.from(texts.join('')), places)) reader.push(part);
      expect(bodies).toEqual(['POST /p {"n":1}', 'POST /p ', `POST /p ${'x'.repeat(3000)}`]);
    }),
    { seed: 7 },
  );
});
