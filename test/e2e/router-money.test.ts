/** Credit, caps and limits as a client meets them. The test plays the keeper: it grants, and it gives verdicts. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { encodeVerdict } from '@tollgate/shared/contracts/money';
import type { AccountId } from '@tollgate/shared/domain/ids';
import { NO_LIMITS } from '@tollgate/shared/domain/limits';
import { channels, globalKeys } from '@tollgate/shared/redis/keys';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, eventuallyQuiet, hello, MODEL, type Surroundings, startSurroundings } from './router-kit.ts';

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 20 });
  router = await around.router([worker.url], { TOLLGATE_CREDIT_WAIT_MS: '400' });
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

/** The keeper's word: everything that the account has is in its lease, plus `availableNusd` outside. */
async function verdict(accountId: AccountId, availableNusd: bigint, quarantinedNusd = 0n): Promise<void> {
  const lease = await around.lease(accountId);
  const text = encodeVerdict({
    version: 1n,
    leaseId: lease?.leaseId ?? null,
    grantedNusd: lease?.grantedNusd ?? 0n,
    returnedNusd: 0n,
    availableNusd,
    quarantinedNusd,
    // As if the keeper looked anew for each request: refusals other than 402 want a word younger than the request.
    atMs: Date.now() + 3_600_000,
  });
  await around.money.setVerdict({ accountId, version: 1n, text, ttlMs: 60_000 });
  await around.redis.client.publish(channels.answer, accountId);
}

describe('credit', () => {
  test("an account that is empty by the keeper's word gets 402 with what it needs and has", async () => {
    const key = await around.key();
    await around.credit(key.record.accountId, 500n);
    await verdict(key.record.accountId, 100n);
    const answer = await chat(router, key.text, hello());
    expect(answer.status).toBe(402);
    expect(answer.json.error).toMatchObject({
      code: 'insufficient_credits',
      type: 'insufficient_credits',
      metadata: { limit_source: 'account_credit', required: expect.stringMatching(/^\d+$/), available: '600' },
    });
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect((await around.lease(key.record.accountId))?.heldNusd).toBe(0n);
  });

  test('with no word of the keeper it is 503 after the wait, never 402', async () => {
    const key = await around.key();
    const answer = await chat(router, key.text, hello());
    expect(answer.status).toBe(503);
    expect(answer.json.error.code).toBe('credit_unavailable');
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  test('a lease that the keeper makes while the request waits lets it through', async () => {
    const key = await around.key();
    const waiting = chat(router, key.text, hello());
    await eventually('the keeper was asked', async () => {
      for (let bucket = 0; bucket < around.money.bucketCount; bucket++) {
        if ((await around.money.takeNeeds(bucket)).has(key.record.accountId)) return true;
      }
      return false;
    });
    await around.credit(key.record.accountId, 1_000_000_000n);
    await around.redis.client.publish(channels.answer, key.record.accountId);
    expect((await waiting).status).toBe(200);
  });

  test('credit that is short but not gone lowers the output limit and says so', async () => {
    const key = await around.key();
    // Enough for the prompt's bound (about 100 tokens x 100) and some 500 tokens x 400.
    await around.credit(key.record.accountId, 210_000n);
    await verdict(key.record.accountId, 0n);
    const answer = await chat(router, key.text, hello({ max_tokens: 20_000 }));
    expect(answer.status).toBe(200);
    const told = Number(answer.headers.get('x-tollgate-max-tokens'));
    expect(told).toBeGreaterThanOrEqual(256);
    expect(told).toBeLessThan(520);
    expect(answer.json.usage.completion_tokens).toBeLessThanOrEqual(told);
  });

  test('a schema is never cut for lack of credit: 402 instead', async () => {
    const key = await around.key();
    await around.credit(key.record.accountId, 210_000n);
    await verdict(key.record.accountId, 0n);
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } };
    const answer = await chat(router, key.text, hello({ max_tokens: 20_000, response_format }));
    expect(answer.json.error.code).toBe('insufficient_credits');
  });

  test('credit that only its own running requests hold is 429 with a wait', async () => {
    const key = await around.key();
    await around.credit(key.record.accountId, 1_000_000n);
    const first = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
      body: JSON.stringify(hello({ stream: true, max_tokens: 2_400, ignore_eos: true })),
    });
    await verdict(key.record.accountId, 0n);
    const second = await chat(router, key.text, hello({ max_tokens: 400 }));
    expect(second.status).toBe(429);
    expect(second.json.error.code).toBe('credit_in_use');
    expect(Number(second.headers.get('retry-after-ms'))).toBeGreaterThan(0);
    await first.body?.cancel();
  });

  test('credit in quarantine is 503, not 402', async () => {
    const key = await around.key();
    await around.credit(key.record.accountId, 100n);
    await verdict(key.record.accountId, 0n, 10_000_000n);
    const answer = await chat(router, key.text, hello());
    expect(answer.status).toBe(503);
    expect(answer.json.error.code).toBe('credit_unavailable');
  });
});

describe('limits', () => {
  test('concurrency: one more than allowed is 429 and not charged', async () => {
    const key = await around.key({ limits: { ...NO_LIMITS, concurrency: 1 } });
    await around.credit(key.record.accountId, 10_000_000_000n);
    const first = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
      body: JSON.stringify(hello({ stream: true, max_tokens: 8_000, ignore_eos: true })),
    });
    const second = await chat(router, key.text, hello());
    expect(second.status).toBe(429);
    expect(second.json.error).toMatchObject({ code: 'concurrency_limit_exceeded', metadata: { scope: 'key' } });
    await first.body?.cancel();
    await eventually('the place is free again', async () => (await chat(router, key.text, hello())).status === 200);
  });

  test('tokens per minute: headers on good answers, 429 when used up', async () => {
    const key = await around.key({ accountLimits: { ...NO_LIMITS, tokensPerMinute: 400 } });
    await around.credit(key.record.accountId, 10_000_000_000n);
    const good = await chat(router, key.text, hello({ max_tokens: 300 }));
    expect(good.headers.get('x-ratelimit-limit-tokens')).toBe('400');
    expect(Number(good.headers.get('x-ratelimit-remaining-tokens'))).toBeLessThan(400);
    expect(good.headers.get('x-ratelimit-reset-tokens')).toMatch(/^[\d.]+m?s$|^\d+m\d+s$/);
    const answers = await Promise.all([1, 2, 3].map(() => chat(router, key.text, hello({ max_tokens: 390 }))));
    const limited = answers.filter((answer) => answer.status === 429);
    expect(limited.length).toBeGreaterThan(0);
    expect(limited[0]!.json.error).toMatchObject({
      code: 'rate_limit_exceeded',
      metadata: { limit: 'tokens', scope: 'account' },
    });
  });

  test('a spend cap of the key is 402 with its own code', async () => {
    const key = await around.key({ capDayNusd: '1000' });
    await around.credit(key.record.accountId, 10_000_000_000n);
    const answer = await chat(router, key.text, hello());
    expect(answer.status).toBe(402);
    expect(answer.json.error).toMatchObject({
      code: 'key_limit_reached',
      metadata: { limit_source: 'key_cap_day', available: '1000' },
    });
  });
});

describe('keys', () => {
  test('a revoked key is refused at once, a new one works at once, through the push', async () => {
    const key = await around.key();
    await around.credit(key.record.accountId, 10_000_000_000n);
    expect((await chat(router, key.text, hello({ max_tokens: 2 }))).status).toBe(200);
    await around.republish(key, null);
    await eventually('it is refused', async () => (await chat(router, key.text, hello())).status === 401, {
      deadlineMs: 2_000,
    });
    await around.republish(key, key.record);
    await eventually(
      'it works again',
      async () => (await chat(router, key.text, hello({ max_tokens: 2 }))).status === 200,
    );
  });

  test('expired 401, frozen account 403, model not allowed 403, scope not allowed 403', async () => {
    const tried: [Parameters<Surroundings['key']>[0], number, string][] = [
      [{ expiresAtMs: Date.now() - 1 }, 401, 'key_expired'],
      [{ revokedAtMs: Date.now() - 1 }, 401, 'invalid_api_key'],
      [{ accountFrozen: true }, 403, 'account_frozen'],
      [{ models: ['other/model'] }, 403, 'model_not_allowed'],
      [{ scopes: ['embeddings'] }, 403, 'endpoint_not_allowed'],
    ];
    for (const [change, status, code] of tried) {
      const answer = await chat(router, (await around.key(change)).text, hello());
      expect([answer.status, answer.json.error.code]).toEqual([status, code]);
    }
    const other = await around.key({ models: ['other/model'] });
    const list = await fetch(`${router.url}/v1/models`, { headers: { authorization: `Bearer ${other.text}` } });
    expect(await list.json()).toEqual({ object: 'list', data: [] });
    const one = await fetch(`${router.url}/v1/models/${MODEL}`, { headers: { authorization: `Bearer ${other.text}` } });
    expect(one.status).toBe(404);
  });

  test('while keys are not published, an unknown key is 503, not 401', async () => {
    const stranger = await around.key();
    await around.republish(stranger, null);
    await around.redis.client.del(globalKeys.keysReady);
    const answer = await chat(router, stranger.text, hello());
    expect([answer.status, answer.json.error.code]).toEqual([503, 'store_unavailable']);
    await around.redis.client.set(globalKeys.keysReady, '1');
    expect((await chat(router, stranger.text, hello())).status).toBe(401);
  });
});

test('with Redis gone: known keys are 503, running streams end whole and are billed when it is back', async () => {
  const own = await startSurroundings();
  const slow = await startDevworker({ speed: 2 });
  try {
    const here = await own.router([slow.url], { TOLLGATE_REDIS_DEADLINE_MS: '300' });
    const key = await own.key();
    await own.credit(key.record.accountId, 10_000_000_000n);
    const response = await fetch(`${here.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
      body: JSON.stringify(hello({ stream: true, max_tokens: 200, ignore_eos: true })),
    });
    const reader = response.body!.getReader();
    await reader.read();
    await own.redis.kill9();
    const refused = await chat(here, key.text, hello());
    expect([refused.status, refused.json.error.code]).toEqual([503, 'credit_unavailable']);
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read())
      text += Buffer.from(part.value).toString();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(here.counters().unconfirmed).toBe(1);
    await own.redis.start();
    const record = await eventually('the record, after Redis came back empty', async () => (await own.records())[0]);
    expect(record).toMatchObject({ outcome: 'served', requestId: response.headers.get('x-request-id') });
    await eventually('it is confirmed', async () => {
      await own.drain();
      return here.counters().unconfirmed === 0;
    });
    await eventuallyQuiet(here);
  } finally {
    await own.stop();
    await slow.close();
  }
});
