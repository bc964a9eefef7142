import { describe, expect, test } from '@jest/globals';
import { lintSchema } from '../../lib/json/schema-lint.ts';
import { bodyOf, draftFromHash, draftOfBody, draftToHash, EMPTY_DRAFT, PRESETS } from './draft.ts';

describe('playground draft', () => {
  test('a shared address gives the same draft, whatever the alphabet', () => {
    const draft = { ...EMPTY_DRAFT, model: 'org/m', system: 'Grüß Gott 👋', structured: true, collections: ['vs_1'] };
    expect(draftFromHash(`#${draftToHash(draft)}`)).toEqual(draft);
    expect(draftToHash(draft)).toMatch(/^[\w-]+$/);
  });

  test('an address that is no draft is none, and a strange one is made harmless', () => {
    expect(draftFromHash('#not base64 at all!')).toBeNull();
    expect(draftFromHash('')).toBeNull();
    const odd = btoa(JSON.stringify({ model: 5, messages: [{ role: 'system', content: 'x' }, 7], structured: 'yes' }));
    expect(draftFromHash(odd)).toMatchObject({ model: '', messages: EMPTY_DRAFT.messages, structured: false });
  });

  test('the request holds what was filled in and nothing else', () => {
    expect(bodyOf({ ...EMPTY_DRAFT, model: 'm', maxTokens: '', messages: [{ role: 'user', content: 'hi' }] })).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    const body = bodyOf({ ...EMPTY_DRAFT, model: 'm', system: 's', temperature: '0.2', structured: true });
    expect(body).toMatchObject({ temperature: 0.2, max_tokens: 400, response_format: { type: 'json_schema' } });
    const grounded = bodyOf({ ...EMPTY_DRAFT, model: 'm', collections: ['vs_1'], mode: 'text', topK: '' });
    expect(grounded.rag_params).toEqual({ vector_store_ids: ['vs_1'], mode: 'text' });
    expect(() => bodyOf({ ...EMPTY_DRAFT, structured: true, schema: '{' })).toThrow(SyntaxError);
  });

  test('a request that was sent becomes a draft that sends the same again; what has no place there becomes none', () => {
    const draft = {
      ...{ ...EMPTY_DRAFT, model: 'm', system: 's', temperature: '0.2', structured: true, collections: ['vs_1'] },
      messages: [{ role: 'user' as const, content: 'hi' }],
    };
    const sent = bodyOf(draft);
    expect(bodyOf(draftOfBody(sent)!)).toEqual(sent);
    for (const messages of [
      [],
      [null],
      [{ role: 'user', content: [{ type: 'text' }] }],
      [{ role: 'tool', content: 'x' }],
    ]) {
      expect(draftOfBody({ model: 'm', messages })).toBeNull();
    }
    expect(draftOfBody({ model: 'm', input: 'x' })).toBeNull();
  });

  test('the schemas of the presets have no findings', () => {
    for (const { draft } of PRESETS) {
      if (draft.schema) expect(lintSchema(draft.schema, { strict: true })).toEqual([]);
    }
  });
});
