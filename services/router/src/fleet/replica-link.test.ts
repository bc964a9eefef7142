/** The timers and the channel between routers: when what is said goes out, and what is done when nobody is heard. */
import { expect, test } from '@jest/globals';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import type { RoutingRequest } from '../routing/fleet-book.ts';
import { decode, type Message } from '../routing/replicas/protocol.ts';
import { ReplicaLink } from './replica-link.ts';

const FLUSH_MS = 15;
const NOTHING = { cachedTokens: null, outputTokens: null };
const logger = createLogger({ service: 'test', level: 'silent' });

const request = (id: string): RoutingRequest => ({
  id,
  tenant: 'acct_a m',
  promptTokens: 700,
  blocks: [1, 2],
  blockTokens: 256,
  maxOutputTokens: 100,
  session: null,
});

interface Said {
  atMs: number;
  message: Message;
}

/** Routers on one channel, which may be cut. */
function channel(clock: FakeClock, names: readonly string[]) {
  const said: Said[] = [];
  const state = { isCut: false };
  const told: boolean[] = [];
  const links = names.map((replica): ReplicaLink => {
    const sink = { dispatch() {}, start() {}, end() {} };
    const metrics = {
      replicas: (_peers: number, _live: number, blind: boolean) => told.push(blind),
      replicaLag() {},
      replicaGaps() {},
    };
    const publish = async (text: string) => {
      if (state.isCut) throw new Error('gone');
      said.push({ atMs: clock.monotonicMs(), message: decode(text)! });
      for (const link of links) link.received(text);
    };
    return new ReplicaLink({ replica, flushMs: FLUSH_MS }, publish, sink, clock, logger, metrics);
  });
  for (const link of links) {
    link.start();
    link.setUp(true);
  }
  return { links, said, state, told };
}

const deltasOf = (said: readonly Said[]) =>
  said.flatMap(({ atMs, message }) =>
    message.kind === 'delta' ? [{ atMs, seq: message.seq, events: message.events }] : [],
  );

test('what happens within a batch goes out in one numbered message, at its end; a beat a second when nothing does', async () => {
  const clock = fakeClock();
  const { links, said } = channel(clock, ['a', 'b']);
  await clock.advance(1_000);
  const [a] = links as [ReplicaLink, ReplicaLink];
  said.length = 0;
  for (let i = 0; i < 10; i++) {
    a.dispatched(request(`r${i}`), 'http://w', 100);
    await clock.advance(1);
  }
  await clock.advance(FLUSH_MS);
  for (let i = 0; i < 10; i++) a.ended(`r${i}`, NOTHING);
  await clock.advance(FLUSH_MS);
  const deltas = deltasOf(said);
  expect(deltas.map(({ events }) => events.map(({ kind }) => kind))).toEqual([
    Array.from({ length: 10 }, () => 'dispatch'),
    Array.from({ length: 10 }, () => 'end'),
  ]);
  expect(deltas[1]!.seq).toBe(deltas[0]!.seq + 1);
  expect(deltas[0]!.atMs).toBe(1_000 + FLUSH_MS);
  // Clocks differ: what is told is how long ago it was.
  expect(deltas[0]!.events.map(({ ageMs }) => ageMs)).toEqual([15, 14, 13, 12, 11, 10, 9, 8, 7, 6]);
  said.length = 0;
  await clock.advance(3_000);
  expect(said.map(({ message: { kind } }) => kind)).toEqual(Array.from({ length: 6 }, () => 'beat'));
});

test('alone, a router says nothing but that it is there', async () => {
  const clock = fakeClock();
  const { links, said } = channel(clock, ['a']);
  for (let i = 0; i < 10; i++) {
    links[0]!.dispatched(request(`r${i}`), 'http://w', 100);
    await clock.advance(500);
  }
  expect(new Set(said.map(({ message: { kind } }) => kind))).toEqual(new Set(['ask', 'snapshot', 'beat']));
  expect(deltasOf(said)).toEqual([]);
});

test('whoever does not hear the others is blind and says so, until they are heard again with all that runs', async () => {
  const clock = fakeClock();
  const { links, state, told } = channel(clock, ['a', 'b']);
  const [a, b] = links as [ReplicaLink, ReplicaLink];
  await clock.advance(1_000);
  expect([a.peers, a.isBlind]).toEqual([{ routers: 1, inFlight: 0 }, false]);
  state.isCut = true;
  for (const link of links) link.setUp(false);
  expect([a.isBlind, told.at(-1)]).toEqual([true, true]);
  b.dispatched(request('meanwhile'), 'http://w', 100);
  await clock.advance(5_000);
  expect([a.peers, a.isBlind]).toEqual([{ routers: 0, inFlight: 0 }, true]);
  state.isCut = false;
  for (const link of links) link.setUp(true);
  await clock.advance(1_100);
  expect([a.peers, a.isBlind, told.at(-1)]).toEqual([{ routers: 1, inFlight: 1 }, false, false]);
});

test('who never had company is not blind without it, nor after the others said good-bye', async () => {
  const clock = fakeClock();
  const lonely = channel(clock, ['a']).links[0]!;
  lonely.setUp(false);
  expect(lonely.isBlind).toBe(false);
  const { links } = channel(clock, ['a', 'b']);
  const [a, b] = links as [ReplicaLink, ReplicaLink];
  await clock.advance(1_000);
  await b.stop();
  a.setUp(false);
  expect(a.isBlind).toBe(false);
});
