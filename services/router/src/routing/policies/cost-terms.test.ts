import { expect, test } from '@jest/globals';
import { Picker } from '../picker.ts';
import { POLICIES, type PolicyName } from './index.ts';

function book(policy: PolicyName) {
  const now = { ms: 0 };
  const picker = new Picker(
    policy,
    () => now.ms,
    () => 0.5,
  );
  const workers = ['http://a', 'http://b'].map((url) => picker.addWorker(url));
  const route = (id: string, words: number) => {
    const text = { tools: null, messages: 'a word of a prompt '.repeat(words) };
    const asked = { id, model: 'm', accountId: 'acct_a', text, promptBytes: text.messages.length, salt: 's' };
    return picker.route({ ...asked, maxOutputTokens: 64 }, true);
  };
  return { picker, workers, route };
}

test('the terms that people are told are the very cost that workers are compared by', () => {
  const { picker, workers, route } = book('cost');
  for (const [id, words] of [
    ['x', 400],
    ['y', 90],
    ['z', 7],
  ] as const) {
    picker.dispatch(route(id, words), workers[0]!);
  }
  const asked = route('asked', 250);
  for (const worker of workers) {
    const { queueMs, prefillMs, factor } = picker.costTerms(asked, worker, workers)!;
    expect(prefillMs).toBeGreaterThan(0);
    expect((queueMs + prefillMs) * factor).toBeCloseTo(picker.costMs(asked, worker, workers)!, 9);
  }
  const [busy, idle] = workers.map((worker) => picker.costTerms(asked, worker, workers)!);
  expect(busy!.queueMs).toBeGreaterThan(idle!.queueMs);
});

test('a policy that compares something else tells no terms', () => {
  for (const policy of Object.keys(POLICIES) as PolicyName[]) {
    const { picker, workers, route } = book(policy);
    const terms = picker.costTerms(route('r', 20), workers[0]!, workers);
    expect(terms === null).toBe(policy !== 'cost');
  }
});

test('a prompt that has to be computed anew weighs more the fuller the caches of the fleet are', () => {
  const { picker, workers, route } = book('cost');
  const asked = route('asked', 250);
  const prefillMs = () => picker.costTerms(asked, workers[1]!, workers)!.prefillMs;
  const whileIdle = prefillMs();
  const full = picker.dispatch(route('x', 20), workers[0]!);
  // What runs there is all that it holds.
  picker.noteKvTokens(workers[0]!, workers[0]!.pinnedTokens);
  // Half of the fleet's cache: 1 + 4 x 0.5^2.
  expect(prefillMs()).toBeCloseTo(2 * whileIdle, 6);
  full.end(null);
  expect(prefillMs()).toBeCloseTo(whileIdle, 6);
});
