/** Collections from upload to grounded answer, over HTTP through the router, as a customer sees them. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '@tollgate/shared/testkit/eventually';
import OpenAI, { toFile } from 'openai';
import { events, MODEL, type TestKey } from '../e2e/router-kit.ts';
import { chatBody, EMBEDDER, startRetrievalWorld, type World } from './world.ts';

jest.setTimeout(120_000);

const FACTS = {
  'boiling.md':
    '# Physics\nWater boils at 100 degrees Celsius at sea level.\n\n# Cooking\nPasta is cooked in salted water for ten minutes.\n',
  'capitals.csv': 'country,capital\nFrance,Paris\nJapan,Tokyo\nPeru,Lima\n',
  'zebra.txt': 'Zebras have black and white stripes. No two zebras share a pattern.\n',
};

const QUICK = { pollIntervalMs: 200 };

let world: World;
let key: TestKey;
let facts: { store: string; ids: Record<string, string> };
beforeAll(async () => {
  world = await startRetrievalWorld();
  key = await world.key();
  facts = await world.filled(key, FACTS);
});
afterAll(() => world.stop());

const lastSent = () => world.sent.at(-1);

describe('OpenAI SDK', () => {
  test('uploads, waits, searches, updates, lists, deletes', async () => {
    const client = new OpenAI({ baseURL: `${world.router.url}/v1`, apiKey: key.text, maxRetries: 0 });
    const file = await client.files.create({
      purpose: 'assistants',
      file: await toFile(Buffer.from('The moon orbits the earth.'), 'moon.txt'),
    });
    const store = await client.vectorStores.create({ name: 'sky', description: 'All above', metadata: { team: 'a' } });
    expect(store).toMatchObject({ name: 'sky', description: 'All above', expires_after: null, expires_at: null });
    const added = await client.vectorStores.files.createAndPoll(
      store.id,
      {
        file_id: file.id,
        attributes: { kind: 'fact', year: 2024 },
      },
      QUICK,
    );
    expect(added).toMatchObject({ status: 'completed', last_error: null, attributes: { kind: 'fact', year: 2024 } });
    const text = await client.vectorStores.files.content(file.id, { vector_store_id: store.id });
    expect(text.data).toEqual([{ type: 'text', text: 'The moon orbits the earth.' }]);
    const found = await client.vectorStores.search(store.id, {
      query: 'what orbits the earth?',
      filters: {
        type: 'and',
        filters: [
          { type: 'eq', key: 'kind', value: 'fact' },
          { type: 'gte', key: 'year', value: 2024 },
        ],
      },
    });
    expect(found.data[0]).toMatchObject({
      file_id: file.id,
      filename: 'moon.txt',
      content: [{ type: 'text', text: 'The moon orbits the earth.' }],
    });
    const none = await client.vectorStores.search(store.id, {
      query: 'earth',
      filters: { type: 'eq', key: 'kind', value: 'x' },
    });
    expect(none.data).toEqual([]);
    expect(await client.vectorStores.update(store.id, { name: 'heaven' })).toMatchObject({
      name: 'heaven',
      description: 'All above',
      metadata: { team: 'a' },
    });
    const described = { description: null, metadata: { a: '1'.repeat(512) } };
    expect((await world.call(key, 'POST', `/v1/vector_stores/${store.id}`, described)).json).toMatchObject(described);
    for (const wrong of [
      { description: 'x'.repeat(513) },
      { metadata: { a: '1'.repeat(513) } },
      { expires_after: {} },
    ]) {
      expect((await world.call(key, 'POST', `/v1/vector_stores/${store.id}`, wrong)).status).toBe(400);
    }
    const ids: string[] = [];
    for await (const each of client.vectorStores.list({ limit: 1 })) ids.push(each.id);
    expect(ids).toEqual(expect.arrayContaining([store.id, facts.store]));
    const back = await client.vectorStores.list({ limit: 1, before: facts.store });
    expect(back.data.map(({ id }) => id)).toEqual([ids[ids.indexOf(facts.store) - 1]]);
    const batch = await client.vectorStores.fileBatches.createAndPoll(
      store.id,
      {
        file_ids: [facts.ids['zebra.txt']!],
      },
      QUICK,
    );
    expect(batch).toMatchObject({ status: 'completed', file_counts: { completed: 1, total: 1 } });
    expect((await client.vectorStores.files.list(store.id)).data).toHaveLength(2);
    expect(await client.files.delete(file.id)).toMatchObject({ deleted: true });
    // Nothing of a deleted file is found any more.
    expect(
      (await client.vectorStores.search(store.id, { query: 'moon earth' })).data.map(({ filename }) => filename),
    ).not.toContain('moon.txt');
    expect(await client.vectorStores.delete(store.id)).toMatchObject({ deleted: true });
    await expect(client.vectorStores.retrieve(store.id)).rejects.toMatchObject({ status: 404 });
  });
});

describe('a grounded chat completion', () => {
  test('has the passages in its prompt, tells its sources, and counts their tokens apart', async () => {
    const reply = await world.call(
      key,
      'POST',
      '/v1/chat/completions',
      chatBody(facts.store, 'At how many degrees does water boil?'),
    );
    expect(reply.status).toBe(200);
    const content: string = lastSent().messages.at(-1).content;
    expect(content).toContain('Water boils at 100 degrees');
    expect(content.endsWith('At how many degrees does water boil?')).toBe(true);
    expect(lastSent()).not.toHaveProperty('rag_params');
    const { sources, annotations } = reply.json.choices[0].message;
    expect(sources.map((source: { filename: string }) => source.filename)).toContain('boiling.md');
    expect(Array.isArray(annotations)).toBe(true);
    const { usage } = reply.json;
    expect(usage.prompt_tokens_details.grounding_tokens).toBeGreaterThan(20);
    expect(usage.prompt_tokens_details.grounding_tokens).toBeLessThan(usage.prompt_tokens);
    expect(usage.prompt_tokens_details.grounding_embedding_tokens).toBeGreaterThan(0);
  });

  test('as a stream, tells its sources in the last chunk before usage', async () => {
    const body = chatBody(
      facts.store,
      'What is the capital of Peru?',
      {},
      { stream: true, stream_options: { include_usage: true }, n: 2 },
    );
    const { text } = await world.call(key, 'POST', '/v1/chat/completions', body);
    const chunks = events(text)
      .slice(0, -1)
      .map((data) => JSON.parse(data));
    expect(events(text).at(-1)).toBe('[DONE]');
    const [sources, usage] = chunks.slice(-2);
    expect(usage.choices).toEqual([]);
    expect(usage.usage.prompt_tokens_details.grounding_tokens).toBeGreaterThan(0);
    expect(sources.choices).toHaveLength(2);
    expect(JSON.stringify(sources.choices[0].delta.sources)).toContain('Lima');
    expect(new Set(chunks.map((chunk) => `${chunk.id} ${chunk.model} ${chunk.object}`)).size).toBe(1);
    const plain = await world.call(key, 'POST', '/v1/chat/completions', { ...body, stream_options: undefined, n: 1 });
    expect(JSON.parse(events(plain.text).at(-2)!).choices[0].delta).toHaveProperty('sources');
  });

  test('leaves structured output and tools as they are', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'integer' } },
      required: ['a'],
      additionalProperties: false,
    };
    const structured = await world.call(
      key,
      'POST',
      '/v1/chat/completions',
      chatBody(
        facts.store,
        'zebra?',
        {},
        {
          max_tokens: 100,
          response_format: { type: 'json_schema', json_schema: { name: 's', schema } },
        },
      ),
    );
    expect(JSON.parse(structured.json.choices[0].message.content)).toEqual({ a: expect.any(Number) });
    expect(structured.json.choices[0].message.sources.length).toBeGreaterThan(0);
    const tool = { type: 'function', function: { name: 'f', parameters: schema } };
    for (const stream of [false, true]) {
      const { text } = await world.call(
        key,
        'POST',
        '/v1/chat/completions',
        chatBody(
          facts.store,
          'zebra?',
          {},
          {
            max_tokens: 100,
            tools: [tool],
            tool_choice: 'required',
            stream,
          },
        ),
      );
      expect(text).toContain('"tool_calls"');
      expect(text).toContain('"sources"');
    }
  });

  test('finds by both parts or by one of them, within its bounds', async () => {
    for (const mode of ['hybrid', 'vector', 'text']) {
      const { json } = await world.call(
        key,
        'POST',
        '/v1/chat/completions',
        chatBody(facts.store, 'stripes of zebras', { mode, top_k: 1 }),
      );
      expect(json.choices[0].message.sources).toMatchObject([{ filename: 'zebra.txt', index: 1 }]);
      const details = json.usage.prompt_tokens_details;
      expect(details.grounding_embedding_tokens > 0).toBe(mode !== 'text');
    }
    const none = await world.call(
      key,
      'POST',
      '/v1/chat/completions',
      chatBody(facts.store, 'zebra', { max_context_tokens: 1 }),
    );
    expect(none.json.choices[0].message.sources).toEqual([]);
    expect(lastSent().messages.at(-1).content).toContain('No passage was found.');
  });

  test('is refused before any charge where the collection is unknown or another account’s', async () => {
    const stranger = await world.key();
    const before = (await world.around.records()).length;
    for (const [who, store] of [
      [stranger, facts.store],
      [key, 'vs_nothing'],
    ] as const) {
      const reply = await world.call(who, 'POST', '/v1/chat/completions', chatBody(store, 'zebra'));
      expect([reply.status, reply.json.error]).toEqual([
        404,
        expect.objectContaining({ code: 'not_found', param: 'rag_params.vector_store_ids' }),
      ]);
    }
    expect((await world.around.records()).length).toBe(before);
    expect((await world.around.lease(stranger.record.accountId))!.heldNusd).toBe(0n);
  });

  test('is refused by the name of the field, from the filter down', async () => {
    const { status, json } = await world.call(
      key,
      'POST',
      '/v1/chat/completions',
      chatBody(facts.store, 'x', {
        filters: { type: 'and', filters: [{ type: 'like', key: 'a', value: 'b' }] },
      }),
    );
    expect([status, json.error.param]).toEqual([400, 'rag_params.filters.filters[0].type']);
  });

  test('is never above its quote, passages counted in', async () => {
    const body = chatBody(facts.store, 'At how many degrees does water boil?');
    const quoted = await world.call(key, 'POST', '/v1/quote', body);
    expect([quoted.status, quoted.json.grounding_bytes_bound > 8_000]).toEqual([200, true]);
    const { json } = await world.call(key, 'POST', '/v1/chat/completions', body);
    expect(json.usage.prompt_tokens).toBeLessThanOrEqual(quoted.json.prompt_tokens_bound);
    const { rag_params: _off, ...plain } = body;
    const without = await world.call(key, 'POST', '/v1/quote', plain);
    expect(without.json.prompt_tokens_bound).toBeLessThan(quoted.json.prompt_tokens_bound);
  });

  test('bills embeddings and answer to the account, and both are all it pays', async () => {
    const payer = await world.key();
    const { store } = await world.filled(payer, { 'a.txt': 'Cats purr.' });
    await world.call(payer, 'POST', '/v1/chat/completions', chatBody(store, 'Do cats purr?'));
    const mine = await eventually('the bills', async () => {
      const records = (await world.around.records()).filter(({ accountId }) => accountId === payer.record.accountId);
      return records.length === 3 ? records : null;
    });
    expect(mine.map(({ endpoint, model, keyId }) => [endpoint, model, keyId])).toEqual(
      expect.arrayContaining([
        ['/embeddings', EMBEDDER, payer.record.keyId],
        ['/chat/completions', MODEL, payer.record.keyId],
      ]),
    );
    const lease = (await world.around.lease(payer.record.accountId))!;
    expect(lease.spentNusd).toBe(mine.reduce((sum, { amountNusd }) => sum + amountNusd, 0n));
    expect(lease.heldNusd).toBe(0n);
  });

  test('does not wait for itself: one request at a time is enough', async () => {
    const single = await world.key({
      limits: { requestsPerMinute: null, tokensPerMinute: null, concurrency: 1 },
      accountLimits: { requestsPerMinute: 1_000, tokensPerMinute: null, concurrency: 1 },
    });
    const { store } = await world.filled(single, { 'a.txt': 'Dogs bark.' });
    for (let i = 0; i < 3; i++) {
      expect((await world.call(single, 'POST', '/v1/chat/completions', chatBody(store, 'Do dogs bark?'))).status).toBe(
        200,
      );
    }
  });

  test('while retrieval is down is a 503 with Retry-After, holds nothing, and comes back', async () => {
    await world.stopRetrieval();
    try {
      const reply = await world.call(key, 'POST', '/v1/chat/completions', chatBody(facts.store, 'zebra'));
      expect([reply.status, reply.json.error.code]).toEqual([503, 'retrieval_unavailable']);
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await world.around.lease(key.record.accountId))!.heldNusd).toBe(0n);
      // Without rag_params nothing is missing.
      const { rag_params: _off, ...plain } = chatBody(facts.store, 'zebra');
      expect((await world.call(key, 'POST', '/v1/chat/completions', plain)).status).toBe(200);
      expect((await world.call(key, 'GET', '/v1/vector_stores')).status).toBe(503);
    } finally {
      await world.startRetrieval();
    }
    expect((await world.call(key, 'POST', '/v1/chat/completions', chatBody(facts.store, 'zebra'))).status).toBe(200);
  });
});

describe('files that cannot be read', () => {
  test('fail by themselves, each with its reason, and the rest goes on', async () => {
    const bad: [string, string | Uint8Array, string][] = [
      ['a.zip', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0]), 'unsupported_file'],
      ['b.json', '{"a":', 'invalid_file'],
      ['c.csv', `${Array(10_000).fill('c').join(',')}\n`, 'file_too_large'],
      ['d.txt', '', 'invalid_file'],
      ['e.exe', 'MZ', 'unsupported_file'],
    ];
    const ids: string[] = [];
    for (const [name, content] of bad) ids.push((await world.upload(key, name, content)).json.id);
    const good = (await world.upload(key, 'good.txt', 'All is well with the giraffe.')).json.id;
    const { json: store } = await world.call(key, 'POST', '/v1/vector_stores', { file_ids: [...ids, good] });
    await world.settled(key, store.id);
    for (const [i, [, , code]] of bad.entries()) {
      const { json } = await world.call(key, 'GET', `/v1/vector_stores/${store.id}/files/${ids[i]}`);
      expect(json).toMatchObject({
        status: 'failed',
        last_error: { code, message: expect.stringMatching(/\w{4}/) },
        progress: { chunks: 0 },
      });
    }
    const { json } = await world.call(key, 'POST', `/v1/vector_stores/${store.id}/search`, { query: 'giraffe' });
    expect(json.data.map((hit: { filename: string }) => hit.filename)).toEqual(['good.txt']);
  });

  test('larger than a file may be are refused with 413', async () => {
    const reply = await world.upload(key, 'big.txt', 'x'.repeat(20_000_001));
    expect([reply.status, reply.json.error.code]).toEqual([413, 'body_too_large']);
  });

  test('a file whose owner has no credit fails with that reason', async () => {
    const poor = await world.key();
    const file = (await world.upload(poor, 'a.txt', 'Some words.')).json.id;
    // The router learns that the account is frozen; so does the database.
    await world.around.republish(poor, { ...poor.record, capDayNusd: '0' });
    await world.db.updateTable('api_keys').set({ cap_day_nusd: 0n }).where('id', '=', poor.record.keyId).execute();
    const { json: store } = await world.call(poor, 'POST', '/v1/vector_stores', { file_ids: [file] });
    await world.settled(poor, store.id);
    const { json } = await world.call(poor, 'GET', `/v1/vector_stores/${store.id}/files/${file}`);
    expect(json).toMatchObject({ status: 'failed', last_error: { code: 'key_limit_reached' } });
  });
});
