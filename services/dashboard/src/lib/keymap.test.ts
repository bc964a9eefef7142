import { describe, expect, test } from '@jest/globals';
import { onPress, type Press, SEQUENCE_MS } from './keymap.ts';

const press = (key: string, rest: Partial<Press> = {}): Press => ({
  key,
  ctrl: false,
  meta: false,
  alt: false,
  typing: false,
  atMs: 0,
  ...rest,
});

describe('keyboard map', () => {
  test('two presses within the time go to a page', () => {
    const first = onPress(press('g'), null);
    expect(first).toEqual({ action: null, pending: { key: 'g', atMs: 0 } });
    expect(onPress(press('k', { atMs: SEQUENCE_MS }), first.pending).action).toBe('go:/keys');
    expect(onPress(press('k', { atMs: SEQUENCE_MS + 1 }), first.pending).action).toBe('previous');
  });

  test('nothing is taken from somebody who types, but the palette', () => {
    expect(onPress(press('j', { typing: true }), null).action).toBeNull();
    expect(onPress(press('k', { typing: true }), { key: 'g', atMs: 0 }).action).toBeNull();
    expect(onPress(press('k', { typing: true, meta: true }), null).action).toBe('palette');
  });

  test("the browser's own chords stay the browser's", () => {
    expect(onPress(press('c', { ctrl: true }), null).action).toBeNull();
    expect(onPress(press('r', { ctrl: true }), { key: 'g', atMs: 0 }).action).toBeNull();
  });

  test('an unknown second press means nothing and forgets the first', () => {
    expect(onPress(press('z'), { key: 'g', atMs: 0 })).toEqual({ action: null, pending: null });
  });
});
