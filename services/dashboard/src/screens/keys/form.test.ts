import { expect, test } from '@jest/globals';
import { createKey, patchKey } from '@tollgate/shared/contracts/console/keys';
import { bodyOf, checkForm, formOf, NEW_KEY } from './form.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const filled = {
  ...NEW_KEY,
  name: ' ci ',
  expires: '30' as const,
  capDay: '1.5',
  capMonth: '20',
  rpm: '60',
  ips: '10.0.0.0/8\n2001:db8::1',
  tags: 'a, b',
};

test('what the form makes is what the console takes', () => {
  const body = bodyOf(filled, NOW);
  expect(createKey.safeParse({ ...body, accountId: 'acct_1' }).error).toBeUndefined();
  expect(patchKey.safeParse(bodyOf({ ...filled, expires: 'keep' }, NOW)).error).toBeUndefined();
  expect(body).toMatchObject({
    name: 'ci',
    expiresAt: '2026-12-21T12:00:00.000Z',
    capDayUsd: '1.5',
    rpm: 60,
    tpm: null,
    models: null,
    allowedIps: ['10.0.0.0/8', '2001:db8::1'],
    tags: ['a', 'b'],
  });
  expect(bodyOf({ ...filled, expires: 'keep' }, NOW)).not.toHaveProperty('expiresAt');
});

test('what would be refused is said at its field', () => {
  expect(checkForm(filled)).toEqual({});
  expect(Object.keys(checkForm({ ...filled, capDay: 'ten', rpm: '0', tpm: '1.5', expires: 'date' })).sort()).toEqual([
    'capDay',
    'date',
    'rpm',
    'tpm',
  ]);
  expect(checkForm({ ...filled, capDay: '30' }).capDay).toContain('never takes effect');
});

test('a key that exists fills the form with what it has', () => {
  const form = formOf({
    name: 'x',
    models: null,
    capDayNusd: '1500000000',
    capMonthNusd: null,
    limits: { rpm: 5, tpm: null, concurrency: null },
    allowedIps: ['::1'],
    tags: [],
    projectId: null,
    allowGrammars: true,
  } as unknown as Parameters<typeof formOf>[0]);
  expect(form).toMatchObject({
    expires: 'keep',
    capDay: '1.50',
    capMonth: '',
    rpm: '5',
    ips: '::1',
    allowGrammars: true,
  });
});
