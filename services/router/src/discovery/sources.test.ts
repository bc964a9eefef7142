import { describe, expect, test } from '@jest/globals';
import type { WorkerRegistration } from '@tollgate/shared/redis/fleet-store';
import { EndpointSlices } from './endpoint-slices.ts';
import { Registrations } from './registrations.ts';
import { type FoundWorker, isListed, labelValue, mergeFound } from './source.ts';

const found = (url: string, more: Partial<FoundWorker> = {}): FoundWorker => ({
  url,
  engine: 'vllm',
  models: null,
  leaving: false,
  ...more,
});

describe('several sources at once', () => {
  test('a worker stands once, as its first source describes it, and leaves only when all say so', () => {
    const merged = mergeFound([
      [found('http://a', { engine: 'sglang' }), found('http://b', { leaving: true })],
      [found('http://a', { leaving: true }), found('http://b'), found('http://c', { leaving: true })],
    ]);
    expect(merged).toEqual([
      found('http://a', { engine: 'sglang' }),
      found('http://b'),
      found('http://c', { leaving: true }),
    ]);
  });

  test('a label may name a model with dashes for what a label cannot hold', () => {
    expect(labelValue('Qwen/Qwen3-30B-A3B-FP8')).toBe('Qwen-Qwen3-30B-A3B-FP8');
    expect(isListed('Qwen/Qwen3-30B-A3B-FP8', ['Qwen-Qwen3-30B-A3B-FP8'])).toBe(true);
    expect(isListed('Qwen/Qwen3-30B-A3B-FP8', ['other'])).toBe(false);
    expect(isListed('anything', null)).toBe(true);
    expect(labelValue(`${'x'.repeat(62)}//`)).toMatch(/^x{62}$/);
  });
});

describe('registrations', () => {
  const row = (atMs: number, more: Partial<WorkerRegistration> = {}): WorkerRegistration => ({
    url: 'http://w',
    engine: 'vllm',
    atMs,
    ttlMs: 15_000,
    ...more,
  });
  const urls = (registrations: Registrations, nowMs: number) => registrations.workers(nowMs).map(({ url }) => url);

  test('one lives while its stamp changes, by the clock of the reader alone', () => {
    const registrations = new Registrations();
    // The worker's clock is a year behind and jumps back: only the change counts.
    registrations.read([row(50)], 1_000_000);
    registrations.read([row(20)], 1_010_000);
    expect(urls(registrations, 1_025_000)).toEqual(['http://w']);
    registrations.read([row(20)], 1_025_001);
    expect(urls(registrations, 1_025_001)).toEqual([]);
    registrations.read([row(21)], 1_030_000);
    expect(urls(registrations, 1_030_000)).toEqual(['http://w']);
  });

  test('a flushed Redis takes nobody away before the time of his last word is over', () => {
    const registrations = new Registrations();
    registrations.read([row(1)], 0);
    registrations.read([], 5_000);
    expect(urls(registrations, 5_000)).toEqual(['http://w']);
    registrations.read([], 15_001);
    expect(urls(registrations, 15_001)).toEqual([]);
  });

  test('one that says it leaves is drained, and gone when its entry is', () => {
    const registrations = new Registrations();
    registrations.read([row(1, { leaving: true, models: ['m'] })], 0);
    expect(registrations.workers(1)).toEqual([found('http://w', { leaving: true, models: ['m'] })]);
    registrations.read([], 10);
    expect(urls(registrations, 10)).toEqual([]);
  });

  test('what a crashed worker left is litter after ten lifetimes', () => {
    const registrations = new Registrations();
    registrations.read([row(1)], 0);
    expect(registrations.read([row(1)], 150_000)).toEqual([]);
    expect(registrations.read([row(1)], 150_001)).toEqual(['http://w']);
  });
});

describe('endpoint slices', () => {
  const slice = (name: string, endpoints: object[], more: object = {}) => ({
    metadata: { name, namespace: 'lab', labels: { 'tollgate.io/engine': 'vllm' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8000, protocol: 'TCP' }],
    endpoints,
    ...more,
  });
  const endpoint = (address: string, conditions: object = { ready: true, serving: true, terminating: false }) => ({
    addresses: [address],
    conditions,
  });
  const workersOf = (...slices: object[]) => {
    const all = new EndpointSlices('http');
    all.replace(slices as Parameters<EndpointSlices['replace']>[0]);
    return all.workers().map(({ url, leaving }) => `${url}${leaving ? ' leaving' : ''}`);
  };

  test.each<[string, object, string[]]>([
    ['ready', { ready: true, serving: true, terminating: false }, ['http://10.0.0.1:8000']],
    ['silent about itself', {}, ['http://10.0.0.1:8000']],
    ['null about itself', { ready: null, serving: null, terminating: null }, ['http://10.0.0.1:8000']],
    ['not ready', { ready: false, serving: false, terminating: false }, []],
    [
      'terminating, still serving',
      { ready: false, serving: true, terminating: true },
      ['http://10.0.0.1:8000 leaving'],
    ],
    [
      'terminating, published all the same',
      { ready: true, serving: true, terminating: true },
      ['http://10.0.0.1:8000 leaving'],
    ],
    ['terminating, not serving', { ready: false, serving: false, terminating: true }, []],
  ])('an endpoint that is %s', (_what, conditions, expected) => {
    expect(workersOf(slice('a', [endpoint('10.0.0.1', conditions)]))).toEqual(expected);
  });

  test('in two slices at once it serves if one of them says so', () => {
    const leaving = endpoint('10.0.0.1', { ready: false, serving: true, terminating: true });
    expect(workersOf(slice('a', [leaving]), slice('b', [endpoint('10.0.0.1')]))).toEqual(['http://10.0.0.1:8000']);
  });

  test('the port is the named one, or the only one', () => {
    const two = [
      { name: 'zmq', port: 5557, protocol: 'TCP' },
      { name: 'http', port: 8001, protocol: 'TCP' },
    ];
    expect(workersOf(slice('a', [endpoint('10.0.0.1')], { ports: two }))).toEqual(['http://10.0.0.1:8001']);
    expect(workersOf(slice('a', [endpoint('10.0.0.1')], { ports: [{ name: '', port: 9 }] }))).toEqual([
      'http://10.0.0.1:9',
    ]);
    const none = [
      { name: 'a', port: 1 },
      { name: 'b', port: 2 },
    ];
    expect(workersOf(slice('a', [endpoint('10.0.0.1')], { ports: none }))).toEqual([]);
    expect(workersOf(slice('a', [endpoint('10.0.0.1')], { ports: null, endpoints: null }))).toEqual([]);
  });

  test('addresses of version 6, TLS, engine and models by label or annotation', () => {
    const all = new EndpointSlices('http');
    all.replace([
      {
        ...slice('a', [endpoint('fd00::1')], { addressType: 'IPv6' }),
        metadata: { name: 'a', labels: { 'tollgate.io/engine': 'sglang', 'tollgate.io/model': 'Qwen-Qwen3' } },
        ports: [{ name: 'http', port: 443, appProtocol: 'https' }],
      },
      {
        ...slice('b', [endpoint('10.0.0.2')]),
        metadata: { name: 'b', annotations: { 'tollgate.io/models': 'a/b, c' } },
      },
    ]);
    expect(all.workers()).toEqual([
      found('http://10.0.0.2:8000', { models: ['a/b', 'c'] }),
      found('https://[fd00::1]', { engine: 'sglang', models: ['Qwen-Qwen3'] }),
    ]);
  });

  test('events change what a list has said; a list replaces everything', () => {
    const all = new EndpointSlices('http');
    all.apply('ADDED', slice('a', [endpoint('10.0.0.1')]));
    all.apply('MODIFIED', slice('a', [endpoint('10.0.0.2')]));
    all.apply('ADDED', slice('b', [endpoint('10.0.0.3')]));
    all.apply('DELETED', slice('b', []));
    expect(all.workers().map(({ url }) => url)).toEqual(['http://10.0.0.2:8000']);
    all.replace([]);
    expect(all.size).toBe(0);
  });
});
