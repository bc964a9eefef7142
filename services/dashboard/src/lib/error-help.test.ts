import { expect, test } from '@jest/globals';
import { ERRORS } from '@tollgate/shared/domain/errors';
import { fixFor } from './error-help.ts';

test('every code with a fix is a code of the catalogue, and every fix leads to a page', () => {
  const codes = Object.keys(ERRORS).filter((code) => fixFor(code) !== null);
  expect(codes.length).toBeGreaterThan(12);
  for (const code of codes) expect(fixFor(code)?.to).toMatch(/^\/[a-z]+$/);
});

test('what is the account holder’s to mend has a fix', () => {
  for (const [code, { blame }] of Object.entries(ERRORS)) {
    if (blame === 'account' && code !== 'account_frozen') expect([code, fixFor(code)]).not.toEqual([code, null]);
  }
});
test('an unknown code has none', () => {
  expect(fixFor('nonsense')).toBeNull();
  expect(fixFor(null)).toBeNull();
});
