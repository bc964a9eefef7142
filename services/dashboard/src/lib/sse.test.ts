import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sseReader } from './sse.ts';

const TEXT = ': hello\ndata: {"a":1}\n\nevent: error\r\ndata: one\r\ndata:two\r\n\r\ndata: [DONE]\n\n';
const EVENTS = [
  { event: 'message', data: '{"a":1}' },
  { event: 'error', data: 'one\ntwo' },
  { event: 'message', data: '[DONE]' },
];

test('the events are the same wherever the network cuts the text', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(TEXT.length), { maxLength: 8 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), TEXT.length];
      const read = sseReader();
      const found = places.slice(1).flatMap((place, index) => read(TEXT.slice(places[index], place)));
      expect(found).toEqual(EVENTS);
    }),
  );
});

test('an event that has not ended is not given', () => {
  const read = sseReader();
  expect(read('data: x\n')).toEqual([]);
  expect(read('\n')).toEqual([{ event: 'message', data: 'x' }]);
});
