/** A fleet that grows and shrinks for weeks: what is kept of it is what is there. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { startEngines, type TestEngines, type TestFleet, testFleet } from '../testing/fleet.ts';
import { KEPT_MS } from './departed.ts';

const PATIENCE_MS = 120_000;
const WAVE = 10;

let engines: TestEngines;

beforeAll(async () => {
  engines = await startEngines();
});
afterAll(() => engines.close());

/** The fleet is these now; each is sent a request, fails three times and is well again. */
async function serve({ fleet, set, request }: TestFleet, first: number): Promise<void> {
  const urls = Array.from({ length: WAVE }, (_, i) => engines.url(first + i));
  await set(urls);
  expect(fleet.snapshots().map(({ state }) => state)).toEqual(urls.map(() => 'ready'));
  for (const [i, url] of urls.entries()) {
    const others = urls.filter((other) => other !== url);
    const offer = fleet.offer(request(`${first}-${i}`, `${first} `.repeat(300)), others, false);
    if (offer.kind !== 'taken') throw new Error(`${url}: ${offer.kind}`);
    offer.ticket.firstToken();
    for (let failures = 0; failures < 3; failures++) fleet.failed(url);
    offer.ticket.end({ promptTokens: 300, cachedTokens: 0, completionTokens: 4, final: true });
    fleet.succeeded(url);
  }
}

test(
  'workers that come and go leave nothing: no series, no place in the book, no breaker',
  async () => {
    const tested = testFleet();
    const { fleet, clock, series } = tested;
    await serve(tested, 0);
    await clock.advance(KEPT_MS);
    await fleet.probeAll();
    const first = await series();
    expect(first.filter((line) => line.includes(`"${engines.url(0)}"`)).length).toBeGreaterThan(5);
    const all = counts(60, 1_000);
    for (let from = WAVE; from < all; from += WAVE) {
      // What workers serve beside what is sold may have a new name each time.
      engines.models[1] = `adapter-${from}`;
      await serve(tested, from);
      await clock.advance(KEPT_MS / 2);
      // New ones come before old ones go, so that twice as many were there at once.
      expect(fleet.footprint).toMatchObject({ workers: WAVE, places: 2 * WAVE });
      expect(fleet.footprint.departed).toBeLessThanOrEqual(2 * WAVE);
    }
    await clock.advance(KEPT_MS);
    await fleet.probeAll();
    const last = await series();
    expect(last.length).toBe(first.length);
    expect(last.filter((line) => line.includes('adapter-'))).toEqual([]);
    const named = new Set(last.flatMap((line) => /worker="([^"]*)"/.exec(line)?.[1] ?? []));
    const there = fleet.snapshots().map(({ url }) => url);
    expect([...named].sort()).toEqual(there.sort());
    expect(fleet.footprint).toEqual({ workers: WAVE, places: 2 * WAVE, departed: 0 });
    recordProof({ name: 'workers that come and go', count: all, result: 'series and places as at the start' });
    await tested.stop();
  },
  PATIENCE_MS,
);

test('a worker that comes back in time keeps its counters, one that stays away does not', async () => {
  const tested = testFleet();
  const { fleet, clock, series } = tested;
  await serve(tested, 0);
  await serve(tested, WAVE);
  const breakers = async () => (await series()).filter((line) => line.startsWith('tollgate_worker_breaker')).sort();
  const both = await breakers();
  await clock.advance(KEPT_MS - 1);
  await serve(tested, 0);
  await clock.advance(2);
  await fleet.probeAll();
  expect(await breakers()).toEqual(both);
  await clock.advance(KEPT_MS);
  await fleet.probeAll();
  const kept = await breakers();
  expect(kept.filter((line) => line.includes(`"${engines.url(WAVE)}"`))).toEqual([]);
  expect(kept.filter((line) => line.includes(`"${engines.url(0)}"`)).length).toBeGreaterThan(0);
  await tested.stop();
});
