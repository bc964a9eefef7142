import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { PLAIN_BODY, streamContent } from './canned.ts';
import { wrongPlain, wrongStream } from './check.ts';
import { readOptions } from './options.ts';
import { PEERS, type Peer } from './peers/peers.ts';
import { markdown } from './report.ts';
import { type Results, rows } from './rows.ts';

const about: Results['about'] = {
  date: '2026-01-01 00:00',
  commit: 'abc',
  version: '1',
  node: '26',
  machine: 'm',
  quick: false,
  machineBusy: 0.9,
  othersBusy: 0,
  subjects: { tollgate: '1', nginx: '1.22' },
};
const peers = (figures: Record<string, number>, absent: string[] = []) => ({
  subjects: { other: figures },
  about: { other: '1.0 (one upstream; 1 process)' },
  absent,
});
const rowsOf = (measures: Results['measures']) => rows({ about, measures });

describe('rows against other gateways', () => {
  const cpuRequest = { tollgate: { cpuUs: 200 }, nginx: { cpuUs: 20 } };

  test('are met where ours is cheaper than each, else they say by how much not', () => {
    const met = rowsOf({ cpuRequest, peers: peers({ cpuUs: 900 }) }).find(({ what }) =>
      what.includes('other gateways'),
    );
    expect(met).toMatchObject({ met: true, target: 'less than each', seen: '200.0 us', beside: 'other 900.0' });
    const missed = rowsOf({ cpuRequest, peers: peers({ cpuUs: 160 }) }).find(({ what }) =>
      what.includes('other gateways'),
    );
    expect(missed).toMatchObject({ met: false, seen: '200.0 us, 1.25x other' });
  });

  test('are absent where none was measured, and the page names who is absent', () => {
    const none = { subjects: {}, about: {}, absent: ['other is not installed'] };
    expect(rowsOf({ cpuRequest, peers: none }).filter(({ what }) => what.includes('other gateways'))).toEqual([]);
    expect(markdown({ about, measures: { cpuRequest, peers: none } })).toContain('- other is not installed');
    expect(markdown({ about, measures: { cpuRequest, peers: peers({ cpuUs: 1 }) } })).toContain(
      'other 1.0 (one upstream',
    );
  });
});

test('paced streams: the bound per chunk, and the added delay between chunks of each', () => {
  const figures = (cpuUs: number) => ({ cpuUs, addedGapP50Ms: 0.01, addedGapP99Ms: 1.5 });
  const paced = { streams: 2000, intervalMs: 100, direct: [], subjects: { tollgate: figures(20), nginx: figures(10) } };
  const [chunk, delay] = rowsOf({ streams2000: paced });
  expect(chunk).toMatchObject({ met: false, seen: '20.0 us, 2.00x nginx' });
  expect(delay).toMatchObject({ met: null, seen: '0.01 / 1.50 ms', beside: 'nginx 0.01 / 1.50 ms' });
});

test('idle connections: a request beside them is as fast as without, or the row says no', () => {
  const beside = (amongP50Ms: number) => ({
    ...{ bytes: 20_480, aloneP50Ms: 0.5, aloneP99Ms: 2, aloneCpuUs: 300 },
    ...{ amongP50Ms, amongP99Ms: 2, amongCpuUs: 310 },
  });
  const verdicts = [0.5, 5].map((p50) =>
    rowsOf({ idle: { connections: 10_000, subjects: { tollgate: beside(p50) } } }).map(({ seen, met }) => [seen, met]),
  );
  expect(verdicts[0]![0]).toEqual(['20.0 KiB', null]);
  expect(verdicts.map(([, request]) => request![1])).toEqual([true, false]);
});

describe('before a gateway is measured its answers are held against the upstream', () => {
  const stream = (content: string, end: string) =>
    `data: ${JSON.stringify({ choices: [{ delta: { content } }], usage: { completion_tokens: 3 } })}\n\n${end}`;

  test('a plain one with its text and usage', () => {
    expect(wrongPlain(PLAIN_BODY)).toBeNull();
    expect(wrongPlain(PLAIN_BODY.replace('quick', 'slow'))).toContain('another text');
    expect(wrongPlain(PLAIN_BODY.replace('"completion_tokens":100', '"completion_tokens":0'))).toContain('usage');
  });

  test('a stream with all of its text, its usage and its end', () => {
    const whole = stream(streamContent(3), 'data: [DONE]\n\n');
    expect(wrongStream(whole, 3)).toBeNull();
    expect(wrongStream(stream(streamContent(3), ''), 3)).toContain('no [DONE]');
    expect(wrongStream(stream('w0', 'data: [DONE]\n\n'), 3)).toContain('another text');
  });
});

describe('other gateways', () => {
  test('are pinned to one version each, Python ones with all that they bring', () => {
    for (const peer of PEERS as readonly Peer[]) {
      for (const name of peer.packages) expect(name).toMatch(/(@|==)\d+\.\d+\.\d+$/);
      if (peer.kind !== 'python') continue;
      const lines = readFileSync(new URL(`./peers/${peer.name}.txt`, import.meta.url), 'utf8')
        .trim()
        .split('\n');
      for (const line of lines) expect(line).toMatch(/^[\w.-]+==[\w.!+-]+$/);
      expect(lines).toContain(`${peer.name}==${peer.version}`);
    }
  });

  test('are subjects that can be asked for; strangers are refused by name', () => {
    expect(readOptions(['--peers', '--subjects', 'tollgate,smg'])).toMatchObject({ peers: true });
    expect(readOptions(['--subjects', 'smgg'])).toContain('no subject smgg');
  });
});
