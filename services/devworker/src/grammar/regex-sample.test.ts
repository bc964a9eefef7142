import { expect, test } from '@jest/globals';
import { drawFrom } from '../model/seeded.ts';
import { sampleRegex } from './regex-sample.ts';

test.each([
  '^[a-c]{3}-[0-9]{2}$',
  '^(red|green|blue)( dark)?$',
  '^\\d{4}-\\d{2}-\\d{2}$',
  '^[^a]+\\.x\\S\\d$',
  '^(?:https?)://\\w+\\.com/?$',
  '^#[0-9a-fA-F]{6}$',
  '^(\\+\\d{1,3} )?\\(\\d{3}\\) \\d{3}-\\d{4}$',
  '^a|b$',
])('strings sampled from %s match it', (pattern) => {
  for (let seed = 0; seed < 50; seed++) {
    const text = sampleRegex(pattern, drawFrom(seed));
    expect(text).toMatch(new RegExp(pattern));
  }
});

test.each(['(?=a)b', 'a\\1', '[a-', '(unclosed'])('%s is beyond it and says so', (pattern) => {
  expect(sampleRegex(pattern, drawFrom(1))).toBeUndefined();
});
