import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { catalogFromText } from '@tollgate/shared/contracts/console/published';
import { channels, globalKeys } from '@tollgate/shared/redis/keys';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Harness, startHarness } from '../testing/harness.ts';

let console_: Harness;
beforeAll(async () => {
  console_ = await startHarness();
});
afterAll(() => console_?.stop());

const price = { inputUsd: '0.15', cachedInputUsd: '0.015', outputUsd: '0.60' };
const catalog = async () => catalogFromText((await console_.redis.client.get(globalKeys.catalog))!);
const published = async (id: string) => (await catalog()).models.find((model) => model.id === id);

describe('models', () => {
  test('a new model is in the published catalogue, with its price, when the call returns', async () => {
    const id = 'Qwen/Qwen3-30B-A3B-FP8';
    const answer = await console_.post('/api/models', { id, maxModelLen: 40_960, ownedBy: 'Qwen', price });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      id,
      enabled: true,
      price: { inputNusd: '150000000', cachedInputNusd: '15000000' },
    });
    expect(await published(id)).toMatchObject({
      maxModelLen: 40_960,
      ownedBy: 'Qwen',
      defaultMaxTokens: null,
      prices: { inputNusd: 150_000_000n, cachedInputNusd: 15_000_000n, outputNusd: 600_000_000n },
    });
    expect((await console_.post('/api/models', { id, maxModelLen: 1, price })).status).toBe(409);
  });

  test('its id may hold slashes, as they are or encoded', async () => {
    const id = 'org/name-1.5:free';
    await console_.post('/api/models', { id, maxModelLen: 100, price });
    for (const path of [id, encodeURIComponent(id)]) {
      expect((await console_.get(`/api/models/${path}`)).body).toMatchObject({ id });
      expect((await console_.get(`/api/models/${path}/prices`)).body.data).toHaveLength(1);
    }
    expect((await console_.get('/api/models/org')).body.error.code).toBe('model_not_found');
  });

  test('a change raises the version and tells routers', async () => {
    await console_.post('/api/models', { id: 'm1', maxModelLen: 100, price });
    const { version } = await catalog();
    const heard: string[] = [];
    const listener = console_.redis.connect();
    await listener.subscribe(channels.catalogChanged);
    listener.on('message', (_channel, payload) => heard.push(payload));
    const changed = await console_.patch('/api/models/m1', { enabled: false, defaultMaxTokens: 50 });
    expect(changed.body).toMatchObject({ enabled: false, defaultMaxTokens: 50 });
    expect(await published('m1')).toMatchObject({ enabled: false, defaultMaxTokens: 50 });
    expect((await catalog()).version).toBeGreaterThan(version);
    await eventually('the push arrives', async () => heard.includes(String((await catalog()).version)));
  });

  test('an output limit above the context is refused and changes nothing', async () => {
    await console_.post('/api/models', { id: 'm2', maxModelLen: 100, price });
    expect((await console_.patch('/api/models/m2', { defaultMaxTokens: 101 })).body.error.param).toBe(
      'defaultMaxTokens',
    );
    expect((await console_.get('/api/models/m2')).body.defaultMaxTokens).toBeNull();
    expect((await console_.patch('/api/models/none', { enabled: true })).status).toBe(404);
  });
});

describe('prices', () => {
  test('a new price is a new row; the old one stays as it was', async () => {
    await console_.post('/api/models', { id: 'p1', maxModelLen: 100, price });
    const before = (await console_.get('/api/models/p1/prices')).body.data;
    const added = await console_.post('/api/models/p1/prices', { inputUsd: '1', outputUsd: '2' });
    expect(added.status).toBe(201);
    expect(added.body).toMatchObject({
      inputNusd: '1000000000',
      cachedInputNusd: '1000000000',
      outputNusd: '2000000000',
    });
    const after = (await console_.get('/api/models/p1/prices')).body.data;
    expect(after).toEqual([added.body, ...before]);
    await eventually('it is in force', async () => (await published('p1'))?.priceId === added.body.priceId);
  });

  test('of two prices set at once the last one set is in force', async () => {
    await console_.post('/api/models', { id: 'p2', maxModelLen: 100, price });
    for (let i = 1; i <= 5; i++) {
      const { body } = await console_.post('/api/models/p2/prices', { inputUsd: i, outputUsd: i });
      await eventually('it is in force', async () => (await published('p2'))?.priceId === body.priceId);
    }
  });

  test('a price of the future comes into force by itself', async () => {
    await console_.post('/api/models', { id: 'p3', maxModelLen: 100, price });
    const first = await published('p3');
    const { version } = await catalog();
    const validFrom = new Date(Date.now() + 1_500).toISOString();
    const { body } = await console_.post('/api/models/p3/prices', { inputUsd: 9, outputUsd: 9, validFrom });
    expect((await published('p3'))?.priceId).toBe(first!.priceId);
    await eventually('it is in force', async () => (await published('p3'))?.priceId === body.priceId);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(validFrom));
    expect((await catalog()).version).toBeGreaterThan(version + 1);
  });

  test.each([
    [{ inputUsd: '1', cachedInputUsd: '1.1', outputUsd: '1' }, 'cachedInputUsd'],
    [{ inputUsd: '-1', outputUsd: '1' }, 'inputUsd'],
    [{ inputUsd: '1', outputUsd: '100001' }, 'outputUsd'],
    [{ inputUsd: '1', outputUsd: '1', validFrom: '2020-01-01T00:00:00Z' }, 'validFrom'],
    [{ inputUsd: '1' }, 'outputUsd'],
  ])('%j is refused, naming %s', async (body, param) => {
    await console_.post('/api/models', { id: 'p4', maxModelLen: 100, price });
    const answer = await console_.post('/api/models/p4/prices', body);
    expect([answer.status, answer.body.error.param]).toEqual([400, param]);
  });
});
