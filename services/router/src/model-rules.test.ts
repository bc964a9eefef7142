import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { modelRules, modelTerms } from './model-rules.ts';

const base = {
  limits: { firstTokenMs: 1, idleMs: 2, plainMs: 3, totalMs: 4 },
  maxQueueMs: 5,
  scaleFromZero: false,
} as never;
const read = (text: string) => z.object({ rules: modelRules() }).parse({ rules: text }).rules;

test('a model has times of its own where the operator says so, the usual ones else', () => {
  const terms = modelTerms(base, read('{"big": {"firstTokenMs": 900, "maxQueueMs": 0, "scaleFromZero": true}}'));
  expect(terms('big')).toMatchObject({
    limits: { firstTokenMs: 900, idleMs: 2, plainMs: 3, totalMs: 4 },
    maxQueueMs: 0,
    scaleFromZero: true,
  });
  expect(terms('small')).toBe(base);
});

test.each(['', '[]', '{"m": 3}', '{"m": {"firstTokenMs": 0}}', '{"m": {"firstToken": 5}}'])(
  '%j ends the start with a message that shows the form',
  (text) => {
    expect(() => read(text)).toThrow(/must be \{/);
  },
);
