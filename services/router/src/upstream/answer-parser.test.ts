import { describe, expect, test } from '@jest/globals';
import { counts } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { AnswerParser, BrokenAnswer } from './answer-parser.ts';

interface Read {
  status: number;
  type: string;
  body: string;
}

/** What is read of these pieces, one after the other; with `ends` the connection ends behind them. */
function read(pieces: readonly Buffer[], ends = false): { answers: Read[]; isDone: boolean; keeps: boolean } {
  const answers: Read[] = [];
  const parser = new AnswerParser({
    head: (status, type) => void answers.push({ status, type, body: '' }),
    body(bytes) {
      answers.at(-1)!.body += bytes.toString('latin1');
      // As a connection's buffer, which the next read fills.
      bytes.fill(0);
    },
  });
  for (const piece of pieces) parser.push(Buffer.from(piece));
  const isDone = ends ? parser.end() : parser.isDone;
  return { answers, isDone, keeps: parser.keeps };
}

const whole = (text: string, ends = false) => read([Buffer.from(text, 'latin1')], ends);

describe('an answer', () => {
  test('has its length told, its end in chunks, or ends with the connection', () => {
    expect(whole('HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 3\r\n\r\nabc')).toEqual({
      answers: [{ status: 200, type: 'a/b', body: 'abc' }],
      isDone: true,
      keeps: true,
    });
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n';
    expect(whole(chunked)).toEqual({
      answers: [{ status: 200, type: '', body: 'abc0123456789' }],
      isDone: true,
      keeps: true,
    });
    expect(whole('HTTP/1.0 200 OK\r\n\r\nabc')).toMatchObject({ isDone: false });
    expect(whole('HTTP/1.0 200 OK\r\n\r\nabc', true)).toMatchObject({ isDone: true, keeps: false });
    expect(whole('HTTP/1.1 204 No Content\r\n\r\n')).toMatchObject({ isDone: true, keeps: true });
    expect(whole('HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n')).toMatchObject({ isDone: true });
  });

  test('comes after its interim ones', () => {
    const text = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 500 Oh\r\ncontent-length: 1\r\n\r\nx';
    expect(whole(text).answers).toEqual([{ status: 500, type: '', body: 'x' }]);
  });

  test.each([
    ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n', false],
    ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: a, close\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n', true],
    // What comes behind an answer was not asked for.
    ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n', false],
  ])('%j keeps its connection: %s', (text, keeps) => {
    expect(whole(text)).toMatchObject({ isDone: true, keeps });
  });

  test.each([
    'HTTP/2 200 OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'ICY 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 0x1\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: 1\r\n folded: 2\r\n\r\n',
    'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
    'HTTP/1.1 200 OK\r\n: no name\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffff\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n',
  ])('is refused where it could be read in two ways: %j', (text) => {
    expect(() => whole(text)).toThrow(BrokenAnswer);
  });

  test('is not whole when its connection ends before', () => {
    for (const rest of ['content-length: 2\r\n\r\nx', 'transfer-encoding: chunked\r\n\r\n1\r\nx\r\n', 'x']) {
      expect(whole(`HTTP/1.1 200 OK\r\n${rest}`, true).isDone).toBe(false);
    }
    expect(whole('', true).isDone).toBe(false);
  });
});

test('what one read brings is told once, in however many chunks it came', () => {
  const told: string[] = [];
  const parser = new AnswerParser({ head() {}, body: (bytes) => void told.push(bytes.toString('latin1')) });
  const read = Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n4\r\nfg//');
  // The buffer of reads is longer than what one brings.
  parser.push(read, read.length - 2);
  parser.push(Buffer.from('hi\r\n0\r\n\r\n'));
  expect(told).toEqual(['abcdefg', 'hi']);
  expect(parser.isDone).toBe(true);
});

test('however the bytes are cut, the same answer is read', () => {
  const body = fc.array(
    fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ';', 'é'), minLength: 1, maxLength: 40 }),
  );
  const framing = fc.constantFrom('sized', 'chunked', 'extended');
  fc.assert(
    fc.property(body, framing, fc.array(fc.nat(400)), (parts, how, cuts) => {
      const text = parts.join('');
      const extension = how === 'extended' ? ';a="b"' : '';
      const chunks = parts.map((part) => `${part.length.toString(16)}${extension}\r\n${part}\r\n`).join('');
      const framed =
        how === 'sized'
          ? `content-length: ${text.length}\r\n\r\n${text}`
          : `Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
      const bytes = Buffer.from(
        `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: x/y\r\n${framed}`,
        'latin1',
      );
      const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
      expect(read(pieces)).toEqual({ answers: [{ status: 200, type: 'x/y', body: text }], isDone: true, keeps: true });
      // And no part of it is taken for the whole.
      expect(read([bytes.subarray(0, bytes.length - 1)]).isDone).toBe(false);
    }),
    { numRuns: counts(300, 20_000) },
  );
});
