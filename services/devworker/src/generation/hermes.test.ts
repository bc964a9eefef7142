import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHermesReader, type HermesEvent, parseFinishedCalls } from './hermes.ts';
import { CALL_SUFFIX, callPrefix } from './tools.ts';

/** Joins neighbouring fragments, so that only their sum is compared. */
function joined(events: readonly HermesEvent[]): HermesEvent[] {
  const result: HermesEvent[] = [];
  for (const event of events) {
    const last = result[result.length - 1];
    if (last && last.kind === event.kind && 'text' in last && 'text' in event) last.text += event.text;
    else result.push({ ...event });
  }
  return result;
}

function feedAll(pieces: readonly string[]): HermesEvent[] {
  const reader = createHermesReader();
  return joined(pieces.flatMap((piece) => reader.feed(piece)));
}

const call = fc.record({
  name: fc.string({ minLength: 1, maxLength: 8 }),
  args: fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue()),
});

test('calls are read the same wherever the text is cut', () => {
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(400)), (calls, cuts) => {
      const text = calls.map(({ name, args }) => callPrefix(name) + JSON.stringify(args) + CALL_SUFFIX).join('\n');
      const points = [...new Set([0, ...cuts.filter((cut) => cut < text.length), text.length])].sort((a, b) => a - b);
      const events = feedAll(points.slice(1).map((point, i) => text.slice(points[i], point)));
      const starts = events.filter((event) => event.kind === 'start');
      expect(starts.map(({ name }) => name)).toEqual(calls.map(({ name }) => name));
      for (const [index, { args }] of calls.entries()) {
        const sent = events
          .filter((event) => event.kind === 'arguments' && event.index === index)
          .map((event) => (event as { text: string }).text);
        expect(JSON.parse(sent.join(''))).toEqual(JSON.parse(JSON.stringify(args)));
      }
      expect(parseFinishedCalls(text)?.calls).toHaveLength(calls.length);
    }),
  );
});

test('text before a call is content; a text that only looks like one is too', () => {
  expect(feedAll(['Let me ', 'see <to', 'ol', ' box'])).toEqual([{ kind: 'content', text: 'Let me see <tool box' }]);
  expect(feedAll([`Hm ${callPrefix('go')}{}${CALL_SUFFIX}`])).toEqual([
    { kind: 'content', text: 'Hm ' },
    { kind: 'start', index: 0, name: 'go' },
    { kind: 'arguments', index: 0, text: '{}' },
  ]);
});

test('half a call is no call in a finished text', () => {
  expect(parseFinishedCalls(`${callPrefix('go')}{"zone":`)).toBeUndefined();
  expect(parseFinishedCalls('no call')).toBeUndefined();
});
