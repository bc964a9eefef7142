import { describe, expect, test } from '@jest/globals';
import { BytesPerToken } from './estimates.ts';
import type { WorkerBook } from './fleet-book.ts';
import { type Asked, Picker } from './picker.ts';
import type { PolicyName } from './policies/index.ts';

const final = (promptTokens: number, cachedTokens = 0) => ({
  promptTokens,
  cachedTokens,
  completionTokens: 4,
  final: true,
});

function asked(id: string, content: string, change: Partial<Asked> = {}): Asked {
  const text = { tools: null, messages: JSON.stringify([{ role: 'user', content }]) };
  const promptBytes = Buffer.byteLength(text.messages);
  return { id, model: 'm', accountId: 'acct_a', text, promptBytes, maxOutputTokens: 64, salt: 'salt-a', ...change };
}

function pickerOf(policy: PolicyName, workers: number) {
  const now = { ms: 0 };
  const picker = new Picker(
    policy,
    () => now.ms,
    () => 0.5,
  );
  const books = Array.from({ length: workers }, (_, i) => picker.addWorker(`http://w${i}`));
  return { picker, books, now };
}

describe('the picker', () => {
  const long = 'the same long beginning of a prompt '.repeat(800);

  test('sends a prompt where its beginning was answered, and the same prompt of another account wherever', () => {
    const { picker, books, now } = pickerOf('cost', 4);
    const first = picker.route(asked('a', long), true);
    const home = books[2]!;
    const booking = picker.dispatch(first, home);
    now.ms = 200;
    booking.firstToken();
    booking.end(final(7_000));
    now.ms = 100_000;
    const next = picker.route(asked('b', `${long} and on`), true);
    expect(picker.pick(next, books)).toBe(home);
    const foreign = picker.route(asked('c', long, { salt: 'salt-b', accountId: 'acct_b' }), true);
    expect(foreign.blocks.filter((block) => first.blocks.includes(block))).toEqual([]);
  });

  test('hashes no prompt that nobody will look at', () => {
    const cost = pickerOf('cost', 2).picker;
    expect(cost.route(asked('a', long), false).blocks).toEqual([]);
    expect(cost.route(asked('a', long), true).blocks.length).toBeGreaterThan(20);
    expect(pickerOf('round-robin', 2).picker.route(asked('a', long), true).blocks).toEqual([]);
  });

  test('learns how many bytes a token of the model has', () => {
    const { picker, books } = pickerOf('cost', 2);
    for (let i = 0; i < 200; i++) {
      const request = asked(`r${i}`, long);
      picker.dispatch(picker.route(request, true), books[0]!).end(final(request.promptBytes / 2));
    }
    const { promptTokens, ends, promptBytes } = picker.route(asked('next', long), true);
    expect(promptTokens / (promptBytes / 2)).toBeCloseTo(1, 1);
    expect((ends?.at(-1) ?? 0) / promptTokens).toBeCloseTo(1, 2);
    expect(picker.route(asked('other', long, { model: 'other' }), true).ends?.[0]).toBe(32);
  });

  test('a plain answer counts as being computed until its first token is due, then as decoding', () => {
    const { picker, books, now } = pickerOf('cost', 2);
    const booking = picker.dispatch(picker.route(asked('a', long), true), books[0]!);
    booking.assumeStarted();
    expect(books[0]!.decoding).toBe(0);
    now.ms = 60_000;
    booking.assumeStarted();
    expect(books[0]).toMatchObject({ running: 1, decoding: 1, pendingPrefillTokens: 0 });
    booking.end(null);
    booking.end(final(100));
    expect([picker.inFlight, books[0]!.running]).toEqual([0, 0]);
  });
});

describe('a worker that takes the place of one that left', () => {
  /** `slow` took a minute for an answer, or holds the prompt; then another worker comes in its place. */
  function replaced(policy: PolicyName) {
    const { picker, books, now } = pickerOf(policy, 2);
    const [slow, other] = books as [WorkerBook, WorkerBook];
    const prompt = 'a prompt of some length '.repeat(100);
    const booking = picker.dispatch(picker.route(asked('a', prompt), true), slow);
    now.ms = 60_000;
    booking.end(final(600));
    picker.removeWorker(slow);
    const next = picker.addWorker('http://next');
    expect(next.index).toBe(slow.index);
    const pick = () => picker.pick(picker.route(asked('again', prompt), true), [next, other]);
    return { picker, next, other, pick };
  }

  test('is not as slow as that one was (peak-ewma)', () => {
    const { picker, next, other, pick } = replaced('peak-ewma');
    for (let i = 0; i < 3; i++) picker.dispatch(picker.route(asked(`busy ${i}`, 'x'), true), other);
    expect(pick()).toBe(next);
  });

  test('holds nothing of what that one did (sglang-cache-aware)', () => {
    const { picker, next, other, pick } = replaced('sglang-cache-aware');
    picker.dispatch(picker.route(asked('busy', 'x'), true), next);
    expect(pick()).toBe(other);
  });
});

test('bytes per token begin at 4 and end at the ratio of the bytes and tokens seen, odd reports aside', () => {
  const learned = new BytesPerToken();
  expect(learned.of('m')).toBe(4);
  learned.observe('m', 0, 5);
  learned.observe('m', 5, 0);
  expect(learned.of('m')).toBe(4);
  for (let i = 0; i < 300; i++) learned.observe('m', i % 2 === 0 ? 300 : 30_000, i % 2 === 0 ? 300 : 10_000);
  expect(learned.of('m')).toBeCloseTo(3, 0);
});
