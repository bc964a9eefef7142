import { describe, expect, test } from '@jest/globals';
import { adminToken } from './admin-token.ts';

const authenticate = adminToken('correct-horse-battery-staple');

describe('the admin token', () => {
  test('makes an operator of whoever sends it, whatever the case of the scheme', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      expect(await authenticate({ authorization: `${scheme} correct-horse-battery-staple` })).toEqual({
        kind: 'operator',
        id: 'admin-token',
      });
    }
  });

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer correct-horse-battery-stapl',
    'Bearer correct-horse-battery-staplex',
    'Bearer correct-horse-battery-staple extra',
    'Basic correct-horse-battery-staple',
    'correct-horse-battery-staple',
  ])('nothing else does: %s', async (authorization) => {
    expect(await authenticate({ authorization })).toBeNull();
  });

  test('the actor does not carry the token', async () => {
    const actor = await authenticate({ authorization: 'Bearer correct-horse-battery-staple' });
    expect(JSON.stringify(actor)).not.toContain('horse');
  });
});
