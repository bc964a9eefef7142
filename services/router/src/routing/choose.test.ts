import { describe, expect, test } from '@jest/globals';
import type { WorkerSnapshot } from '@tollgate/shared/domain/worker';
import { choose } from './choose.ts';

const worker = (url: string, more: Partial<WorkerSnapshot> = {}): WorkerSnapshot => ({
  url,
  engine: 'vllm',
  models: ['m'],
  maxModelLen: 1_000,
  state: 'ready',
  breakerOpen: false,
  running: 0,
  waiting: 0,
  pendingPrefillTokens: 0,
  kvUsage: null,
  maxConcurrency: null,
  ...more,
});
const request = { model: 'm', promptTokens: 1_000 };
const pick = (workers: WorkerSnapshot[], excluded: string[] = [], turn = 0) =>
  choose(request, workers, excluded, turn)?.worker;

describe('a worker is chosen', () => {
  test('only if it serves the model, is ready, not full, not broken and not tried before', () => {
    const unfit = [
      worker('other', { models: ['x'] }),
      worker('joining', { state: 'joining' }),
      worker('draining', { state: 'draining' }),
      worker('gone', { state: 'gone' }),
      worker('broken', { breakerOpen: true }),
      worker('full', { running: 3, maxConcurrency: 3 }),
      worker('tried'),
    ];
    expect(pick(unfit, ['tried'])).toBeUndefined();
    expect(pick([...unfit, worker('fit', { running: 50 })], ['tried'])).toBe('fit');
  });

  test('by what it has yet to prefill, before how many requests it runs', () => {
    const busy = worker('busy', { running: 2, waiting: 1, pendingPrefillTokens: 60_000 });
    const many = worker('many', { running: 4 });
    expect(pick([busy, many])).toBe('many');
    expect(pick([worker('a', { running: 9 }), worker('b', { running: 3 })])).toBe('b');
  });

  test('in turn among equals', () => {
    const workers = [worker('a'), worker('b'), worker('c')];
    expect([0, 1, 2, 3].map((turn) => pick(workers, [], turn))).toEqual(['a', 'b', 'c', 'a']);
  });
});
