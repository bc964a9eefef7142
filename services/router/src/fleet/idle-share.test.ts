/** Several routers before one worker: their batch requests together take the idle room that one router would take alone. */
import { expect, test } from '@jest/globals';
import type { RoutingRequest } from '../routing/fleet-book.ts';
import { Picker, type Routed } from '../routing/picker.ts';
import { Inbox } from '../routing/replicas/inbox.ts';
import { Outbox } from '../routing/replicas/outbox.ts';
import { decode, encode } from '../routing/replicas/protocol.ts';
import { DEFAULT_BREAKER } from './breaker.ts';
import { Worker } from './worker.ts';

const URL = 'http://w';
const BATCH_TOKENS = 500;
const INTERACTIVE = { count: 100, tokens: 4_000 };

interface Router {
  worker: Worker;
  picker: Picker;
  outbox: Outbox;
  inboxes: Inbox[];
  open: (() => void)[];
}

/** Routers that hear all that the others do, at once. */
function routers(count: number): Router[] {
  const made = Array.from({ length: count }, (_, number): Router => {
    const picker = new Picker(
      'cost',
      () => 0,
      () => 0,
    );
    const hooks = { transition() {}, breakerChanged() {}, freed() {} };
    const spec = { url: URL, engine: 'vllm' as const, maxConcurrency: null };
    const worker = new Worker(spec, picker.addWorker(URL), DEFAULT_BREAKER, hooks, () => 0);
    return { worker, picker, outbox: new Outbox(`r${number}`), inboxes: [], open: [] };
  });
  for (const router of made) {
    router.inboxes = made.filter((other) => other !== router).map(({ picker }) => new Inbox('me', picker.others));
    router.outbox.record(true);
    for (const inbox of router.inboxes) inbox.receive(router.outbox.snapshot(0), 0);
    const { outbox } = router;
    router.picker.tell({
      dispatched: (request, url, firstTokenMs) => outbox.dispatched(request, url, firstTokenMs, 0),
      started: (id, isMeasured) => outbox.started(id, isMeasured, 0),
      ended: (id, seen) => outbox.ended(id, seen, 0),
      isBlind: false,
    });
  }
  return made;
}

function tellOthers({ outbox, inboxes }: Router): void {
  const delta = outbox.delta(0);
  if (delta !== null) for (const inbox of inboxes) inbox.receive(decode(encode(delta))!, 0);
}

/** Sends one and has its first token at once. */
function send(router: Router, id: string, promptTokens: number, isBatch: boolean): void {
  const common: RoutingRequest = {
    id,
    tenant: 'a m',
    promptTokens,
    blocks: [],
    blockTokens: 16,
    maxOutputTokens: 9,
    session: null,
  };
  const request: Routed = { ...common, model: 'm', promptBytes: promptTokens * 4, ...(isBatch ? { isBatch } : {}) };
  const booking = router.picker.dispatch(request, router.worker.book);
  const ticket = router.worker.begin(booking, isBatch ? 'batch' : 'interactive', request);
  ticket.firstToken();
  tellOthers(router);
  router.open.push(() => {
    ticket.end(null);
    tellOthers(router);
  });
}

/** Interactive requests at all of them, then batch requests in turn until none has idle room. */
function fill(all: readonly Router[]): number {
  for (let i = 0; i < INTERACTIVE.count; i++) send(all[i % all.length]!, `i${i}`, INTERACTIVE.tokens, false);
  for (let batch = 0; ; batch++) {
    const router = all.find(({ worker }, i) => i >= batch % all.length && worker.hasIdleRoom(BATCH_TOKENS));
    if (router === undefined) return batch;
    send(router, `b${batch}`, BATCH_TOKENS, true);
  }
}

test('four routers together send as much batch to a worker as one router alone', () => {
  const alone = fill(routers(1));
  expect(alone).toBeGreaterThan(0);
  const four = routers(4);
  expect(fill(four)).toBe(alone);
  expect(four.map(({ worker }) => worker.hasIdleRoom(BATCH_TOKENS))).toEqual([false, false, false, false]);
});

test('what other routers end, or take with them, is idle room again and leaves nothing behind', () => {
  const four = routers(4);
  fill(four);
  for (const { open } of four) for (const end of open) end();
  for (const { worker } of four) {
    expect(worker.book).toMatchObject({
      running: 0,
      heldTokens: 0,
      others: { running: 0, batchRunning: 0, batchHeldTokens: 0 },
    });
    expect(worker.hasIdleRoom(BATCH_TOKENS)).toBe(true);
  }
  const [first, second] = routers(2) as [Router, Router];
  send(first, 'b', BATCH_TOKENS, true);
  expect(second.worker.book.others.batchRunning).toBe(1);
  for (const inbox of first.inboxes) inbox.receive(first.outbox.bye(), 0);
  expect(second.worker.book.others).toMatchObject({ running: 0, batchRunning: 0, batchHeldTokens: 0 });
});
