import { describe, expect, test } from '@jest/globals';
import { noSessionCookie, readSessionCookie, readSignInCookie, sessionCookie, signInCookie } from './cookies.ts';

const https = { secure: true };
const http = { secure: false };

describe('the session cookie', () => {
  test('on https is one that no other host and no plain http can set: __Host-, Secure, Path=/, no Domain', () => {
    for (const [text, name] of [
      [sessionCookie('abc', 90_500, https), '__Host-tollgate_session=abc'],
      [signInCookie('abc', https), '__Host-tollgate_sign_in=abc'],
      [noSessionCookie(https), '__Host-tollgate_session='],
    ] as const) {
      const [pair, ...attributes] = text.split('; ');
      expect(pair).toBe(name);
      expect(attributes).toEqual(expect.arrayContaining(['Secure', 'HttpOnly', 'Path=/', 'SameSite=Lax']));
      expect(text).not.toMatch(/Domain/i);
    }
    expect(sessionCookie('abc', 90_500, https)).toContain('Max-Age=91;');
    expect(noSessionCookie(https)).toContain('Max-Age=0;');
  });

  test('on plain http has its bare name: browsers refuse the other there', () => {
    expect(sessionCookie('abc', 1_000, http)).toBe('tollgate_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=1');
  });

  test('on https a bare one counts for nothing: a neighbour under the same domain may have planted it', () => {
    expect(readSessionCookie('tollgate_session=planted', https)).toBeNull();
    expect(readSessionCookie('a=b; __Host-tollgate_session=mine; tollgate_session=planted', https)).toBe('mine');
    expect(readSignInCookie('tollgate_sign_in=planted', https)).toBeNull();
  });

  test('that is there twice, or is no text of ours, is none', () => {
    expect(readSessionCookie('tollgate_session=one; tollgate_session=two', http)).toBeNull();
    for (const bad of [
      undefined,
      '',
      'tollgate_session=',
      'tollgate_session=a b',
      `tollgate_session=${'x'.repeat(4001)}`,
    ]) {
      expect(readSessionCookie(bad, http)).toBeNull();
    }
  });
});
