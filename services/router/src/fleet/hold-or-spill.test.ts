/** The worker that suits a request best is full, another is not: it waits or goes there, whichever is cheaper. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startEngines, type TestEngines, type TestFleet, testFleet } from '../testing/fleet.ts';
import type { Ticket } from './worker.ts';

let engines: TestEngines;
let tested: TestFleet;
let home: string;
let other: string;

beforeAll(async () => {
  engines = await startEngines();
  [home, other] = [engines.url(0), engines.url(1)];
});
afterAll(() => engines.close());
beforeEach(async () => {
  tested = testFleet({ maxConcurrency: 2 });
  await tested.set([home, other]);
});
afterEach(() => tested.stop());

/** Some 10,000 tokens: a third of a second of computing. */
const LONG = 'the same long beginning of a conversation '.repeat(1_000);

/** Sends it to this worker, whatever it costs. */
function send(id: string, text: string, url = home): Ticket {
  const offer = tested.fleet.offer(tested.request(id, text), [url === home ? other : home], false);
  if (offer.kind !== 'taken') throw new Error(offer.kind);
  return offer.ticket;
}

const end = (ticket: Ticket, promptTokens: number) =>
  ticket.end({ promptTokens, cachedTokens: 0, completionTokens: 4, final: true });

/** `home` holds the long prompt and is full. */
function fill(): Ticket[] {
  end(send('first', LONG), 10_000);
  return [send('a', 'short'), send('b', 'short')];
}

const offer = (id: string, text: string, mayHold: boolean, claim?: 'batch') => {
  const made = tested.fleet.offer(tested.request(id, text), [], mayHold, claim);
  return made.kind === 'taken' ? made.ticket.worker : made.kind;
};

test('a conversation waits for the worker that holds it, a stranger goes elsewhere at once', () => {
  fill();
  expect(offer('next', `${LONG} and on`, true)).toBe('held');
  expect(offer('stranger', 'another prompt '.repeat(2_000), true)).toBe(other);
});

test('nobody waits for a full worker that holds no more of the prompt than another with room', () => {
  end(send('copy', LONG, other), 10_000);
  fill();
  // However busy that one is otherwise.
  send('busy', 'something else entirely '.repeat(2_000), other);
  expect(offer('next', `${LONG} and on`, true)).toBe(other);
});

test('who may not wait, and batch, goes elsewhere', () => {
  fill();
  expect(offer('batch', `${LONG} or not`, true, 'batch')).toBe(other);
  expect(offer('hurried', `${LONG} and on`, false)).toBe(other);
});

test('it spills where a place there comes free less often than the prompt takes to compute', async () => {
  const [first, second] = fill() as [Ticket, Ticket];
  end(first, 10);
  const third = send('c', 'short');
  await tested.clock.advance(60_000);
  end(second, 10);
  const fourth = send('d', 'short');
  expect(offer('next', `${LONG} and on`, true)).toBe(other);
  for (const ticket of [third, fourth]) end(ticket, 10);
});

test('with a place free at home it goes home', () => {
  const [first] = fill() as [Ticket, Ticket];
  end(first, 10);
  expect(offer('next', `${LONG} and on`, true)).toBe(home);
});

test('what no worker holds of a prompt is what it would cost to compute', () => {
  fill();
  const { fleet, request } = tested;
  const cold = fleet.coldMs(request('cold', 'words of somebody else '.repeat(2_000)));
  expect(fleet.coldMs(request('warm', `${LONG} and on`))).toBeLessThan(cold / 4);
  expect(fleet.coldMs(request('foreign', `${LONG} and on`, 'acct_b'))).toBeGreaterThan(cold / 2);
});
