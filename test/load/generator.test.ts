import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { Load, LoadReading } from './generator.ts';
import { Helper } from './ipc.ts';
import { chatRequests } from './traffic.ts';
import type { UpstreamReading } from './upstream.ts';

let upstream: Helper;
let generator: Helper;
let port: number;

beforeAll(async () => {
  [upstream, generator] = await Promise.all([Helper.start('./upstream.ts'), Helper.start('./generator.ts')]);
  port = await upstream.ask<number>('listen');
});

afterAll(async () => {
  await generator?.stop();
  await upstream?.stop();
});

const start = (load: Omit<Load, 'port' | 'requests'>, stream = false) =>
  generator.ask('start', { ...load, port, requests: chatRequests(['none'], { bytes: 500, stream }) });
const read = () => generator.ask<LoadReading>('read');

describe('the load generator', () => {
  test('a stall of the server is felt by every request that was due meanwhile, not by one', async () => {
    const perSecond = 200;
    const stallMs = 1000;
    await start({ kind: 'rate', connections: 1, perSecond });
    await eventually('load runs', async () => (await read()).good > 20);
    await read();
    const { requests } = await upstream.ask<UpstreamReading>('read');
    await upstream.ask('stall', stallMs);
    await eventually('the backlog is gone', async () => {
      return (await upstream.ask<UpstreamReading>('read')).requests - requests >= (perSecond * stallMs) / 1000;
    });
    const after = await generator.ask<LoadReading>('stop');
    // With a closed loop one request would have waited and the median would be a fraction of a millisecond.
    expect(after.latencyMs.max).toBeGreaterThanOrEqual(stallMs * 0.9);
    expect(after.latencyMs.p50).toBeGreaterThan(stallMs / 10);
  });

  test('streams are read to their end, and every chunk is counted by the upstream', async () => {
    await upstream.ask('configure', { chunks: 10, intervalMs: 2 });
    const before = await upstream.ask<UpstreamReading>('read');
    await start({ kind: 'streams', connections: 5 }, true);
    await eventually('streams end', async () => (await read()).good >= 20);
    const { good, bad, events, gapMs } = await generator.ask<LoadReading>('stop');
    const after = await upstream.ask<UpstreamReading>('read');
    expect(bad).toEqual({});
    // Clients count what they read; gaps lie between the reads of one stream.
    expect(events).toBeGreaterThanOrEqual(good * 13);
    expect(gapMs.count).toBeLessThanOrEqual(events - good);
    // First chunk, 9 more, then the last content, usage and [DONE].
    expect(after.chunks - before.chunks).toBeGreaterThanOrEqual(good * 13);
  });

  test('idle connections ask once each and then stay open', async () => {
    await upstream.ask('configure', { chunks: 10, intervalMs: 2 });
    const { requests } = await upstream.ask<UpstreamReading>('read');
    await start({ kind: 'idle', connections: 150 });
    await eventually('all are open and silent', async () => (await read()).idle === 150);
    const { good, bad } = await generator.ask<LoadReading>('stop');
    expect([good, bad]).toEqual([150, {}]);
    expect((await upstream.ask<UpstreamReading>('read')).requests - requests).toBe(150);
  });

  test('a client that leaves is told from one that stays: the upstream sees that mark close', async () => {
    await upstream.ask('configure', { chunks: 1000, intervalMs: 10 });
    await upstream.ask('read');
    await start({ kind: 'streams', connections: 3, leaveAfterMs: 30 }, true);
    const marks: number[] = [];
    await eventually('clients leave', async () => {
      marks.push(...(await read()).leaves.map((leave) => leave.mark));
      return marks.length >= 5;
    });
    const aborted: number[] = [];
    await eventually('the upstream saw them', async () => {
      aborted.push(...(await upstream.ask<UpstreamReading>('read')).aborts.map((abort) => abort.mark));
      return marks.every((mark) => aborted.includes(mark));
    });
    await generator.ask('stop');
    expect(new Set(marks).size).toBe(marks.length);
  });
});
