import { expect, test } from '@jest/globals';
import { IDLE, onChunk, type Run } from './run-state.ts';

const chunk = (delta: object, rest: object = {}) =>
  JSON.stringify({ choices: [{ delta, finish_reason: null }], ...rest });
const fold = (...data: string[]): Run =>
  data.reduce((run, one, index) => onChunk(run, one, 100 * (index + 1)), { ...IDLE, startMs: 50 });

test('the first token counts from sending, an empty first delta does not', () => {
  const run = fold(chunk({ role: 'assistant', content: '' }), chunk({ content: 'a' }), chunk({ content: 'b' }));
  expect(run).toMatchObject({ text: 'ab', pieces: 2, firstTokenMs: 150, elapsedMs: 250, state: 'streaming' });
});

test('thinking is kept apart from the answer', () => {
  expect(fold(chunk({ reasoning_content: 'hm' }), chunk({ content: 'a' }))).toMatchObject({
    reasoning: 'hm',
    text: 'a',
  });
});

test('usage comes in a chunk without choices, and the stream is whole only after its last word', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 1 };
  const run = fold(chunk({ content: 'a' }), JSON.stringify({ choices: [], usage }));
  expect(run).toMatchObject({ usage, state: 'streaming' });
  expect(onChunk(run, '[DONE]', 900)).toMatchObject({ state: 'done', text: 'a' });
});

test('an error event ends the run and keeps what was written', () => {
  const run = fold(
    chunk({ content: 'a' }),
    JSON.stringify({ error: { message: 'gone', code: 'worker_stream_broken' } }),
  );
  expect(run).toMatchObject({ state: 'failed', text: 'a', error: { message: 'gone', code: 'worker_stream_broken' } });
});

test('sources come with the last chunk before usage and stay; an answer without collections has none', () => {
  const source = { index: 1, vector_store_id: 'vs_1', file_id: 'file_1', filename: 'terms.md', heading: 'Returns' };
  const passage = {
    ...source,
    place: '',
    chunk: 0,
    score: 0.5,
    attributes: {},
    content: [{ type: 'text', text: '30 days' }],
  };
  const run = fold(chunk({ content: 'a' }), chunk({ annotations: [], sources: [passage] }), chunk({}));
  expect(run.sources).toEqual([
    expect.objectContaining({ index: 1, filename: 'terms.md', text: '30 days', score: 0.5 }),
  ]);
  expect(fold(chunk({ content: 'a' })).sources).toBeNull();
  expect(fold(chunk({ sources: [] })).sources).toEqual([]);
});
