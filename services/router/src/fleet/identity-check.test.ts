/** Nothing is sent to a worker before it has said that it serves what is sold, with the context that is sold. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { SOLD, startEngines, type TestEngines, type TestFleet, testFleet } from '../testing/fleet.ts';

let engines: TestEngines;

beforeAll(async () => {
  engines = await startEngines();
});
afterAll(() => engines.close());
beforeEach(() => {
  engines.models = [SOLD];
  engines.context = 4_096;
});

/** What a request to the sold model would get now, and the worker's state. */
function seen({ fleet, request }: TestFleet): [string, string | undefined] {
  const offer = fleet.offer(request('r', 'x'), [], false);
  if (offer.kind === 'taken') offer.ticket.end(null);
  return [offer.kind, fleet.snapshots()[0]?.state];
}

async function withOne(): Promise<TestFleet> {
  const tested = testFleet();
  await tested.set([engines.url(0)]);
  return tested;
}

test('a worker with the model and the context that is sold is sent requests', async () => {
  const tested = await withOne();
  expect(seen(tested)).toEqual(['taken', 'ready']);
  await tested.stop();
});

test('one with a token less of context is not, nor one with another model, nor one without any', async () => {
  engines.context = 4_095;
  const short = await withOne();
  expect(seen(short)).toEqual(['none', 'joining']);
  engines.context = 4_096;
  engines.models = ['another'];
  const other = await withOne();
  expect(seen(other)[0]).toBe('none');
  engines.models = [];
  const none = await withOne();
  expect(seen(none)).toEqual(['none', 'joining']);
  for (const tested of [short, other, none]) await tested.stop();
});

test('of the models that it has, those count that its source names', async () => {
  engines.models = [SOLD, 'another'];
  const tested = testFleet();
  const found = { url: engines.url(0), engine: 'vllm', leaving: false } as const;
  tested.fleet.setWorkers([{ ...found, models: ['another'] }]);
  await tested.fleet.probeAll();
  expect(seen(tested)[0]).toBe('none');
  await tested.stop();
});

test('another process behind its address is asked again before it gets more', async () => {
  const tested = await withOne();
  expect(seen(tested)[0]).toBe('taken');
  engines.startedS += 100;
  engines.models = ['another'];
  await tested.fleet.probeAll();
  expect(seen(tested)[0]).toBe('none');
  engines.startedS += 100;
  engines.models = [SOLD];
  await tested.fleet.probeAll();
  expect(seen(tested)).toEqual(['taken', 'ready']);
  await tested.stop();
});
