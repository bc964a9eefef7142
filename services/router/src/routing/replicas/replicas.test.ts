/** Books of several routers: what one does the others know, whatever happens to the messages between them. */
import { describe, expect, test } from '@jest/globals';
import { counts, testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import type { RoutingRequest, Seen } from '../fleet-book.ts';
import { Picker } from '../picker.ts';
import { type BookSink, Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import { decode, encode, type Message, prefixOf } from './protocol.ts';

const request = (id: string, blocks: number[] = []): RoutingRequest => ({
  id,
  tenant: 'acct_a m',
  promptTokens: 700,
  blocks,
  blockTokens: 256,
  maxOutputTokens: 100,
  session: null,
});
const NOTHING: Seen = { cachedTokens: null, outputTokens: null };

/** A sink that complains about what a book would not stand: an id twice, a start or an end of nothing. */
class Recorder implements BookSink {
  readonly live = new Map<string, { url: string; started: boolean }>();
  readonly errors: string[] = [];
  dispatch({ id }: RoutingRequest, url: string): void {
    if (this.live.has(id)) this.errors.push(`${id} dispatched twice`);
    this.live.set(id, { url, started: false });
  }
  start(id: string): void {
    const entry = this.live.get(id);
    if (entry === undefined || entry.started) this.errors.push(`${id} started at the wrong time`);
    else entry.started = true;
  }
  end(id: string): void {
    if (!this.live.delete(id)) this.errors.push(`${id} ended without being there`);
  }
}

/** What a router does: 0 dispatches, 1 starts, 2 ends one of its requests; 3 sends a delta, 4 a beat, 5 listens or not. */
type Step = { what: 0 | 1 | 2 | 3 | 4 | 5; which: number };
const steps = fc.array(fc.record({ what: fc.constantFrom(0, 1, 2, 3, 4, 5), which: fc.nat(1_000) }), { maxLength: 60 });

/** Plays the steps; answers all messages in order of sending, and the truth. */
function play(list: readonly Step[], outbox: Outbox) {
  const truth = new Map<string, { url: string; started: boolean }>();
  const messages: Message[] = [];
  let next = 0;
  let atMs = 0;
  let listens = true;
  outbox.record(true);
  for (const { what, which } of list) {
    atMs += which % 7;
    const ids = [...truth.keys()];
    const id = ids[which % Math.max(1, ids.length)];
    if (what === 0) {
      const made = `r${next++}`;
      const url = `http://w${which % 3}`;
      truth.set(made, { url, started: false });
      outbox.dispatched(request(made, [which]), url, which, atMs);
    } else if (what === 1 && id !== undefined) {
      truth.get(id)!.started = true;
      outbox.started(id, which % 2 === 0, atMs);
    } else if (what === 2 && id !== undefined) {
      truth.delete(id);
      outbox.ended(id, { cachedTokens: which, outputTokens: 3 }, atMs);
    } else if (what === 3) {
      const delta = outbox.delta(atMs);
      if (delta !== null) messages.push(delta);
    } else if (what === 4) messages.push(outbox.beat());
    else if (what === 5) {
      listens = !listens;
      outbox.record(listens);
    }
  }
  return { truth, messages, atMs };
}

const asWire = (message: Message): Message => decode(encode(message))!;
const states = (live: ReadonlyMap<string, { started: boolean }>) =>
  [...live].map(([id, { started }]) => `${id} ${started}`).sort();

describe('a book that hears another router', () => {
  test('after a snapshot it is right, whatever was lost, doubled or swapped before', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(200), { maxLength: 200 }), fc.boolean(), (list, order, isEarly) => {
        const outbox = new Outbox('a');
        const { truth, messages, atMs } = play(list, outbox);
        const sink = new Recorder();
        const inbox = new Inbox('b', sink);
        const deliver = (message: Message) => inbox.receive(asWire(message), atMs);
        const pick = (index: number) => messages.length > 0 && deliver(messages[index % messages.length]!);
        const half = Math.floor(order.length / 2);
        for (const index of order.slice(0, half)) pick(index);
        const pending = outbox.delta(atMs);
        const snapshot = outbox.snapshot(atMs);
        if (isEarly && pending !== null) deliver(pending);
        deliver(snapshot);
        // Old messages that come late change nothing.
        for (const index of order.slice(half)) pick(index);
        expect(states(inbox.liveOf('a'))).toEqual(states(truth));
        expect(states(sink.live)).toEqual(states(truth));
        expect(sink.errors).toEqual([]);
        expect(inbox.receive(asWire(outbox.beat()), atMs)).toBe(false);
        inbox.expire(atMs + 1e9);
        expect(sink.live.size).toBe(0);
      }),
      { numRuns: counts(300, 20_000), seed: testSeed() },
    );
  });

  test('it asks until nothing is missing, and then it is right', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), (list, losses) => {
        const outbox = new Outbox('a');
        const { truth, messages, atMs } = play(list, outbox);
        const inbox = new Inbox('b', new Recorder());
        let nowMs = atMs;
        messages.forEach((message, i) => {
          nowMs += 300;
          if (losses[i % losses.length] === true && inbox.receive(asWire(message), nowMs)) {
            // Its answer may be lost too.
            const delta = outbox.delta(nowMs);
            if (delta !== null) inbox.receive(asWire(delta), nowMs);
            if (losses[(i + 1) % losses.length] === true) inbox.receive(asWire(outbox.snapshot(nowMs)), nowMs);
          }
        });
        const last = outbox.delta(nowMs);
        if (last !== null) inbox.receive(asWire(last), nowMs);
        for (let i = 0; i < 3; i++) {
          nowMs += 300;
          if (inbox.receive(asWire(outbox.beat()), nowMs)) inbox.receive(asWire(outbox.snapshot(nowMs)), nowMs);
        }
        expect(states(inbox.liveOf('a'))).toEqual(states(truth));
      }),
      { numRuns: counts(300, 20_000), seed: testSeed() },
    );
  });

  test('in order and complete, it needs no snapshot after the first', () => {
    const outbox = new Outbox('a');
    outbox.record(true);
    const sink = new Recorder();
    const inbox = new Inbox('b', sink);
    expect(inbox.receive(outbox.beat(), 0)).toBe(true);
    inbox.receive(outbox.snapshot(0), 0);
    outbox.dispatched(request('x'), 'http://w', 50, 10);
    outbox.started('x', true, 20);
    expect(inbox.receive(outbox.delta(30)!, 40)).toBe(false);
    expect(sink.live).toEqual(new Map([['x', { url: 'http://w', started: true }]]));
    outbox.ended('x', NOTHING, 50);
    expect(inbox.receive(outbox.delta(60)!, 70)).toBe(false);
    expect([sink.live.size, inbox.gaps]).toEqual([0, 0]);
  });

  test('a silent router takes its share with it, and comes back with all of it', () => {
    const outbox = new Outbox('a');
    outbox.record(true);
    outbox.dispatched(request('x'), 'http://w', 50, 0);
    const sink = new Recorder();
    const inbox = new Inbox('b', sink);
    inbox.receive(outbox.snapshot(0), 0);
    expect(inbox.expire(3_000)).toBe(0);
    expect(inbox.expire(3_001)).toBe(1);
    expect([sink.live.size, inbox.replicas]).toEqual([0, 0]);
    expect(inbox.receive(outbox.beat(), 4_000)).toBe(true);
    inbox.receive(outbox.snapshot(4_000), 4_000);
    expect([...sink.live.keys()]).toEqual(['x']);
    inbox.receive(outbox.bye(), 4_100);
    expect([sink.live.size, inbox.replicas]).toEqual([0, 0]);
  });

  test('a router that spoke to nobody for a while is found out by its next beat', () => {
    const outbox = new Outbox('a');
    const inbox = new Inbox('b', new Recorder());
    inbox.receive(outbox.snapshot(0), 0);
    outbox.dispatched(request('x'), 'http://w', 50, 10);
    expect(inbox.receive(outbox.beat(), 1_000)).toBe(true);
  });
});

describe('on the wire', () => {
  test('every message comes back as it was sent, and begins with its sender', () => {
    const outbox = new Outbox('router-1:ab"c');
    outbox.record(true);
    outbox.dispatched(request('x', [2 ** 52 + 1, 7]), 'http://w', 50, 0);
    outbox.started('x', false, 1);
    outbox.ended('x', { cachedTokens: 12, outputTokens: null, promptTokens: 4 }, 2);
    outbox.dispatched(request('y'), 'http://v', 7, 3);
    outbox.dispatched({ ...request('line'), isBatch: true }, 'http://v', 7, 3);
    const delta = outbox.delta(5)!;
    expect(decode(encode(delta))).toEqual(delta);
    const dispatch = { kind: 'dispatch', ageMs: 0, url: 'http://w', firstTokenMs: 9 } as const;
    const sized = { ...dispatch, request: { ...request('z', [5, 6]), ends: [32, 75] } };
    const sizes: Message = { kind: 'delta', replica: 'a', seq: 1, events: [sized] };
    expect(decode(encode(sizes))).toEqual(sizes);
    expect(decode(encode(sizes).replace('[32,75]', '[32]'))).toBeNull();
    const snapshot = outbox.snapshot(6);
    expect(decode(encode(snapshot))).toEqual(snapshot);
    for (const message of [outbox.beat(), outbox.bye(), outbox.ask(null), outbox.ask('b'), delta, snapshot]) {
      expect(decode(encode(message))).toEqual(message);
      expect(encode(message).startsWith(prefixOf('router-1:ab"c'))).toBe(true);
    }
  });

  test('what is no message of this version is none', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const message = decode(text);
        expect(message === null || typeof message.replica === 'string').toBe(true);
      }),
      { numRuns: counts(300, 10_000), seed: testSeed() },
    );
    for (const text of ['[2,"a","beat",1]', '[1,"a","beat",-1]', '[1,"a","delta",1,[["d",0,"u"]]]', '[1,"a","x",1]'])
      expect(decode(text)).toBeNull();
  });
});

test("others' requests weigh on a worker like one's own, and leave nothing behind", () => {
  const picker = new Picker(
    'cost',
    () => 0,
    () => 0,
  );
  const [near, far] = [picker.addWorker('http://near'), picker.addWorker('http://far')];
  const { others } = picker;
  others.dispatch(request('x'), 'http://near', 0, 100);
  others.dispatch(request('unknown'), 'http://elsewhere', 0, 100);
  expect([near.running, far.running]).toEqual([1, 0]);
  expect(near.others).toMatchObject({ running: 1, decoding: 0, pendingPrefillTokens: 700, batchRunning: 0 });
  const text = { tools: null, messages: '[]' };
  const asked = { id: 'own', model: 'm', accountId: 'acct_b', text, promptBytes: 400, maxOutputTokens: 10, salt: 's' };
  const routed = picker.route(asked, true);
  expect(picker.pick(routed, [near, far]).url).toBe('http://far');
  const booking = picker.dispatch(routed, near);
  others.start('x', true, 5);
  expect([near.running - near.others.running, near.others.decoding]).toEqual([1, 1]);
  booking.end(null);
  others.end('x', NOTHING, 9);
  others.end('unknown', NOTHING, 9);
  for (const worker of [near, far]) {
    expect([worker.running, worker.pendingPrefillMs, worker.heldTokens]).toEqual([0, 0, 0]);
    expect(worker.others).toMatchObject({ running: 0, decoding: 0, pendingPrefillTokens: 0 });
  }
});

test('blind, routers send a prompt to the same worker unless it has more than its share', () => {
  const blind = { dispatched() {}, started() {}, ended() {}, isBlind: true };
  const routers = [0, 1].map(() => {
    const picker = new Picker(
      'cost',
      () => 0,
      () => 0,
    );
    picker.tell(blind);
    return picker;
  });
  // In different order: indices differ between routers.
  const urls = ['http://a', 'http://b', 'http://c'];
  const fleets = routers.map((picker, i) => (i === 0 ? urls : urls.toReversed()).map((url) => picker.addWorker(url)));
  const asked = (id: string) => ({ ...request(id, [42, 43]), model: 'm', promptBytes: 2_800 });
  const [first, second] = routers.map((picker, i) => picker.pick(asked('x'), fleets[i]!).url);
  expect(first).toBe(second);
  const seen = new Set<string>();
  for (let i = 0; i < 8; i++) {
    const worker = routers[0]!.pick(asked(`r${i}`), fleets[0]!);
    routers[0]!.dispatch(asked(`r${i}`), worker);
    seen.add(worker.url);
  }
  expect(seen.size).toBe(3);
  const most = Math.max(...fleets[0]!.map(({ running }) => running));
  expect(most).toBeLessThanOrEqual(Math.ceil((1.25 * 9) / 3));
});

test("another router's first token counts as there when it is due, and its health when it is heard of", () => {
  let nowMs = 0;
  const picker = new Picker(
    'cost',
    () => nowMs,
    () => 0,
  );
  const [near, far] = [picker.addWorker('http://near'), picker.addWorker('http://far')];
  const { others } = picker;
  others.dispatch(request('late'), 'http://near', 0, 200);
  others.dispatch(request('soon'), 'http://near', 10, 90);
  const text = { tools: null, messages: '[]' };
  const asked = { id: 'own', model: 'm', accountId: 'acct_b', text, promptBytes: 400, maxOutputTokens: 10, salt: 's' };
  const pick = () => picker.pick(picker.route(asked, true), [near, far]);
  nowMs = 99;
  pick();
  expect(near.others).toMatchObject({ running: 2, decoding: 0, pendingPrefillTokens: 1_400 });
  nowMs = 100;
  pick();
  expect(near.others).toMatchObject({ running: 2, decoding: 1, pendingPrefillTokens: 700 });
  others.start('soon', true, 5_000);
  expect(near.others.decoding).toBe(1);
  expect(near.health.read(5_000)).toBeGreaterThan(1);
  nowMs = 6_000;
  pick();
  expect(near.others).toMatchObject({ running: 2, decoding: 2, pendingPrefillTokens: 0 });
  for (const id of ['late', 'soon']) others.end(id, NOTHING, 6_001);
  pick();
  expect([near.running, near.pendingPrefillMs, near.others.decoding]).toEqual([0, 0, 0]);
});
