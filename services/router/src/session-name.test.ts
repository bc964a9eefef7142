import { expect, test } from '@jest/globals';
import { Picker } from './routing/picker.ts';
import { sessionOf } from './routing/session.ts';
import { MAX_SESSION_NAME, sessionHeader, sessionName } from './session-name.ts';

const headers = (values: Record<string, string>) => (name: string) => values[name];

test('our own header goes first, then the usual one, then what the body says; an empty one says nothing', () => {
  expect(sessionHeader(headers({ 'x-tollgate-session': 'ours', 'x-session-id': 'usual' }))).toBe('ours');
  expect(sessionHeader(headers({ 'x-tollgate-session': '', 'x-session-id': 'usual' }))).toBe('usual');
  expect(sessionHeader(headers({ 'x-session': 'no' }))).toBeNull();
  expect(sessionHeader(headers({ 'x-session-id': 'x'.repeat(5_000) }))).toHaveLength(MAX_SESSION_NAME);
  expect(sessionName('header', { session: 'key', chatId: 'chat' })).toBe('header');
  expect(sessionName(null, { session: 'key', chatId: 'chat' })).toBe('key');
  expect(sessionName(null, { user: 'u', chatId: 'chat' })).toBe('chat');
  expect(sessionName(null, { user: 'u' })).toBeNull();
  expect(sessionName(null, null)).toBeNull();
});

test("a session is of a fixed length, and no account's is another's", () => {
  const session = sessionOf('salt of a', 'talk');
  expect(sessionOf('salt of a', 'talk')).toBe(session);
  expect(sessionOf('salt of b', 'talk')).not.toBe(session);
  expect(sessionOf('salt of a', 'tal')).not.toBe(session);
  expect(sessionOf('salt of a', 'x'.repeat(10_000))).toHaveLength(session.length);
});

test('blind, any policy keeps a session together, whatever it says', () => {
  const picker = new Picker(
    'cost',
    () => 0,
    () => 0,
  );
  picker.tell({ dispatched() {}, started() {}, ended() {}, isBlind: true });
  const workers = Array.from({ length: 8 }, (_, i) => picker.addWorker(`http://w${i}`));
  const home = (session: string | null, salt: string, said: number) => {
    const text = { tools: null, messages: `${said} `.repeat(400) };
    const asked = { id: `r${said}`, model: 'm', accountId: 'a', text, promptBytes: 800, maxOutputTokens: 1 };
    return picker.pick(picker.route({ ...asked, salt, session }, true), workers).url;
  };
  const turns = [1, 2, 3, 4, 5, 6, 7, 8];
  expect(new Set(turns.map((said) => home('talk', 's', said))).size).toBe(1);
  expect(new Set(turns.map((said) => home(null, 's', said))).size).toBeGreaterThan(1);
  expect(new Set(turns.map((said) => home('talk', `salt ${said}`, 1))).size).toBeGreaterThan(1);
});
