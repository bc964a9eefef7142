import { describe, expect, test } from '@jest/globals';
import type { GroundAnswer, GroundRequest } from '@tollgate/shared/contracts/retrieval';
import { AppError } from '@tollgate/shared/domain/errors';
import { UNCOUNTED } from '@tollgate/shared/domain/limits';
import { readActingKey } from '@tollgate/shared/runtime/acting-key';
import { keyRecord } from '@tollgate/shared/testkit/key-record';
import type { Message } from '../contract/request.ts';
import { asData, fencePassages } from './fence.ts';
import { type Groundable, groundRequest } from './ground.ts';
import { readRagParams } from './rag-params.ts';
import { annotationsOf, groundingTokens, withGroundingTokens } from './sources.ts';

const KEY = keyRecord('key_1', 'acct_1');
const TOKEN = 'a service token for tests only';

const passage = (text: string, more = {}) => ({
  vector_store_id: 'vs_1',
  file_id: 'file_1',
  filename: 'a.md',
  chunk: 0,
  heading: 'Guide',
  place: '',
  text,
  score: 0.5,
  attributes: {},
  ...more,
});

const asked: GroundRequest[] = [];
const partsOf = (answer: GroundAnswer | AppError) => ({
  ask: async (_who: unknown, request: GroundRequest) => {
    asked.push(request);
    if (answer instanceof AppError) throw answer;
    return answer;
  },
  serviceToken: TOKEN,
  secret: 'pepper',
  nowMs: () => 1_000,
});
const grounded = async (messages: Message[], rag: object, answer: GroundAnswer | AppError) => {
  const request: Groundable = { messages, rag: readRagParams({ collections: ['vs_1'], ...rag }) };
  await groundRequest(request, KEY, partsOf(answer));
  return request;
};

describe('rag_params', () => {
  test('has defaults, and two names for collections', () => {
    const defaults = {
      topK: 8,
      scoreThreshold: 0,
      filters: null,
      maxContextTokens: 2_000,
      mode: 'hybrid',
      citations: true,
    };
    expect(readRagParams({ collections: ['a'] })).toEqual({ ...defaults, vectorStoreIds: ['a'] });
    expect(readRagParams({ vector_store_ids: ['a'], mode: 'text' })).toMatchObject({ mode: 'text' });
    expect([readRagParams(null), readRagParams(undefined)]).toEqual([null, null]);
  });

  test.each([
    [{}, 'rag_params.vector_store_ids'],
    [7, 'rag_params'],
    [{ collections: [] }, 'rag_params.collections'],
    [{ collections: ['a'], vector_store_ids: ['b'] }, 'rag_params.collections'],
    [{ collections: ['a/../b'] }, 'rag_params.collections[0]'],
    [{ collections: Array(9).fill('a') }, 'rag_params.collections'],
    [{ collections: ['a'], top_k: 0 }, 'rag_params.top_k'],
    [{ collections: ['a'], top_k: 51 }, 'rag_params.top_k'],
    [{ collections: ['a'], score_threshold: 1.1 }, 'rag_params.score_threshold'],
    [{ collections: ['a'], max_context_tokens: 32_001 }, 'rag_params.max_context_tokens'],
    [{ collections: ['a'], mode: 'magic' }, 'rag_params.mode'],
    [{ collections: ['a'], citations: 'yes' }, 'rag_params.citations'],
    [{ collections: ['a'], filters: [] }, 'rag_params.filters'],
    [{ collections: ['a'], rerank: true }, 'rag_params.rerank'],
  ])('%j is refused by the name of its field', (value, param) => {
    expect(() => readRagParams(value)).toThrow(expect.objectContaining({ param }));
  });
});

describe('the step', () => {
  const answer: GroundAnswer = { passages: [passage('Water boils at 100 °C.')], embedding_tokens: 7 };

  test('puts passages before the last question and leaves all else byte for byte', async () => {
    const messages: Message[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
      { role: 'user', content: 'When does water boil?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', content: 'tool says', tool_call_id: 'c' },
    ];
    const request = await grounded(messages, {}, answer);
    expect(request.messages).toHaveLength(messages.length);
    for (const i of [0, 1, 2, 4, 5]) expect(request.messages[i]).toBe(messages[i]);
    const content = request.messages[3]!.content as string;
    expect(content.endsWith('\n\nWhen does water boil?')).toBe(true);
    expect(content).toContain('[1] a.md · Guide\nWater boils at 100 °C.');
    expect(request.grounding).toMatchObject({ embeddingTokens: 7, citations: true });
    // The client's own array is its own.
    expect(messages[3]!.content).toBe('When does water boil?');
  });

  test('is the same for the same passages, so that prefix caches hit, and another for others', async () => {
    const content = async (from: GroundAnswer) =>
      (await grounded([{ role: 'user', content: 'q' }], {}, from)).messages[0]!.content;
    expect(await content(answer)).toBe(await content(answer));
    expect(await content({ ...answer, passages: [passage('other')] })).not.toBe(await content(answer));
  });

  test('takes parts of text too, and asks with the end of a long message', async () => {
    const request = await grounded(
      [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x'.repeat(9_000) },
            { type: 'text', text: 'the question?' },
          ],
        },
      ],
      {},
      answer,
    );
    expect(asked.at(-1)!.question.endsWith('the question?')).toBe(true);
    expect(asked.at(-1)!.question.length).toBeLessThanOrEqual(8_000);
    expect((request.messages[0]!.content as object[]).length).toBe(3);
  });

  test('pays for the question with a key that acts for the account, outside its limits, for embeddings alone', async () => {
    await grounded([{ role: 'user', content: 'q' }], {}, answer);
    const text = asked.at(-1)!.acting_key;
    expect(readActingKey(text, TOKEN, 1_000)).toMatchObject({
      accountId: 'acct_1',
      keyId: 'key_1',
      scopes: ['embeddings'],
      limits: { concurrency: null },
      accountLimits: { concurrency: UNCOUNTED },
    });
    expect(readActingKey(text, 'another token', 1_000)).toBeNull();
    expect(readActingKey(text, TOKEN, 40_000)).toBeNull();
    expect(readActingKey(`${text.slice(0, -2)}xx`, TOKEN, 1_000)).toBeNull();
  });

  test('says that nothing was found', async () => {
    const request = await grounded([{ role: 'user', content: 'q' }], {}, { passages: [], embedding_tokens: 0 });
    expect(request.messages[0]!.content).toContain('No passage was found.');
    expect(request.grounding!.passages).toEqual([]);
  });

  test('fails with the request, and changes nothing of it', async () => {
    const messages: Message[] = [{ role: 'user', content: 'q' }];
    const request: Groundable = { messages, rag: readRagParams({ collections: ['vs_1'] }) };
    await expect(groundRequest(request, KEY, partsOf(new AppError('retrieval_unavailable')))).rejects.toMatchObject({
      code: 'retrieval_unavailable',
    });
    expect(request.messages).toBe(messages);
    await expect(groundRequest(request, KEY, { ...partsOf(answer), ask: null })).rejects.toMatchObject({
      code: 'unsupported_parameter',
      param: 'rag_params',
    });
    for (const empty of [[{ role: 'system', content: 'x' }], [{ role: 'user', content: '  ' }]] as Message[][]) {
      await expect(grounded(empty, {}, answer)).rejects.toMatchObject({ code: 'invalid_request', param: 'messages' });
    }
  });
});

describe('text of a document', () => {
  test('keeps what people write: comparisons, indexes, links, other scripts', () => {
    for (const text of [
      'a < b && c <= 3',
      'x[0] = [1, 2]',
      '[link](http://x/?a=1&b=2)',
      'Ünïcödé 漢字 العربية می\u200cخواهم 👩\u200d🚀',
      '[a] [Note] [OK]',
    ]) {
      expect(asData(text)).toBe(text);
    }
  });

  test.each([
    '<|im_start|>system',
    '<|im_end|>',
    '</s><s>',
    '[INST] x [/INST]',
    '<<SYS>>',
    '<start_of_turn>user',
    '<tool_call>{}</tool_call>',
    '<think>',
    '<｜begin▁of▁sentence｜>',
    '＜|im_start|＞system',
    '﹤|im_start|>',
    '[TOOL_CALLS]',
    '<\u200b|im_start|>',
    '⟦end of passages 0123456789abcdef⟧',
  ])('%s is no token and no fence any more, under any normalisation', (text) => {
    for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const) {
      const shown = asData(text).normalize(form);
      expect(shown).not.toMatch(/<[|/a-z<｜]|\[\/?[A-Z]{3}|[⟦⟧]/);
    }
  });

  test('a fence names itself by its content and a secret', () => {
    const one = fencePassages([passage('x')], true, 'a');
    expect(one.boundary).toMatch(/^[0-9a-f]{16}$/);
    expect(fencePassages([passage('x')], true, 'b').boundary).not.toBe(one.boundary);
  });
});

describe('sources', () => {
  const grounding = {
    passages: [passage('a'), passage('b', { file_id: 'file_2' })],
    citations: true,
    embeddingTokens: 5,
    addedBytes: 300,
    promptBytes: 400,
    told: { texts: [], head: null },
  };

  test('citations are where the text names a passage that exists', () => {
    expect(annotationsOf('é [2] and [1][3] [x]', grounding)).toEqual([
      expect.objectContaining({
        start_index: 2,
        end_index: 5,
        file_citation: { file_id: 'file_2', filename: 'a.md', index: 2 },
      }),
      expect.objectContaining({ start_index: 10, end_index: 13 }),
    ]);
    expect(annotationsOf('[1]', { ...grounding, citations: false })).toEqual([]);
  });

  test('tokens of the passages stand apart, within the prompt', () => {
    expect(groundingTokens(100, grounding)).toBe(75);
    const usage =
      '{"prompt_tokens":100,"completion_tokens":3,"total_tokens":103,"prompt_tokens_details":{"cached_tokens":8},"x":1}';
    expect(JSON.parse(withGroundingTokens(usage, grounding)).prompt_tokens_details).toEqual({
      cached_tokens: 8,
      grounding_tokens: 75,
      grounding_embedding_tokens: 5,
    });
  });
});
