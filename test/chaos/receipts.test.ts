/**
 * Receipts of real requests: every bill has one, signed, chained without a gap although two processes issue them, and their
 * sum is the ledger's invoice. Whatever is changed afterwards shows.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verifyReceipts } from '@tollgate/cli/receipts/verify';
import { ReceiptService } from '@tollgate/console/receipts/service';
import { type ReceiptPayload, receiptPayload } from '@tollgate/shared/contracts/receipt';
import { ReceiptStore } from '@tollgate/shared/db/receipt-store';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { TestAccount } from './metering-harness.ts';
import { ask, MODEL, type RouterWorld, startRouterWorld } from './router-world.ts';

const CREDIT = 1_000_000_000_000n;
const REQUESTS = 24;
let world: RouterWorld;
let folder: string;
let who: TestAccount;
let key: string;
let routerUrl: string;
let receipts: ReceiptService;
let chain: string[];
let keys: unknown;
const month = new Date().toISOString().slice(0, 7);

beforeAll(async () => {
  world = await startRouterWorld(50);
  folder = mkdtempSync(join(tmpdir(), 'tollgate-receipts-'));
  // Two processes' worth of metering: both issue.
  await world.metering();
  await world.metering((options) => ({ ...options, lease: { ...options.lease } }));
  routerUrl = (await world.startRouter(folder, { TOLLGATE_CREDIT_WAIT_MS: '20000' })).url;
  receipts = new ReceiptService(world.db);
  who = await world.account(CREDIT);
  key = await world.key(who);
  const asked = await Promise.all(
    Array.from({ length: REQUESTS }, (_, i) => ask(routerUrl, key, 1 + (i % 7), i % 2 === 0)),
  );
  for (const { status } of asked) expect(status).toBe(200);
  await eventually('every bill has a receipt', async () => {
    const { data } = await receipts.chain(who.account, 0n, 1_000);
    return new Set(data.map(({ requestId }) => requestId)).size === REQUESTS;
  });
  chain = (await receipts.chain(who.account, 0n, 1_000)).data.map(({ jws }) => jws);
  keys = await receipts.keySet();
}, 120_000);
afterAll(async () => {
  await world?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, 60_000);

const payloads = (): ReceiptPayload[] =>
  chain.map((jws) => receiptPayload.parse(JSON.parse(Buffer.from(jws.split('.')[1]!, 'base64url').toString())));
const problemsOf = async (lines: readonly string[], bill?: unknown) =>
  (await verifyReceipts(lines, keys, bill ?? (await receipts.invoice(who.account, month)))).problems.map(
    ({ problem }) => problem,
  );

test('the chain holds, and adds up to what the ledger billed in the month', async () => {
  const bill = await receipts.invoice(who.account, month);
  expect(await verifyReceipts(chain, keys, bill)).toMatchObject({
    receipts: REQUESTS,
    from: '1',
    to: String(REQUESTS),
    monthNusd: bill.totalNusd,
    problems: [],
  });
  expect(bill.requests).toBe(String(REQUESTS));
  const { postedNusd } = { postedNusd: (await world.balance(who)).posted };
  expect(bill.totalNusd).toBe(String(postedNusd));
});

test('a receipt tells the request, the worker, tokens, prices and ledger entries, and no text', async () => {
  const response = await fetch(`${routerUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'a canary in a mine' }], max_tokens: 3 }),
  });
  const answer = (await response.json()) as { usage: { prompt_tokens: number; completion_tokens: number } };
  const id = response.headers.get('x-request-id')!;
  const stored = await eventually('its receipt is there', () => new ReceiptStore(world.db).latest(id));
  const payload = JSON.parse(Buffer.from(stored.jws.split('.')[1]!, 'base64url').toString()) as ReceiptPayload;
  const body = JSON.stringify({
    model: MODEL,
    messages: [{ role: 'user', content: 'a canary in a mine' }],
    max_tokens: 3,
  });
  expect(payload).toMatchObject({
    request: id,
    account: who.account,
    key: who.key,
    requestDigest: createHash('sha256').update(body).digest('base64url'),
    endpoint: '/chat/completions',
    engine: expect.stringMatching(/^vllm \d+\.\d+$/),
    tokens: { prompt: answer.usage.prompt_tokens, completion: answer.usage.completion_tokens },
    price: { percent: 100 },
  });
  expect(payload.ledger.length).toBeGreaterThan(0);
  expect(JSON.stringify(payload)).not.toContain('canary');
  chain = (await receipts.chain(who.account, 0n, 1_000)).data.map(({ jws }) => jws);
});

test('a receipt cannot be changed or deleted where it lies', async () => {
  const { sql } = await import('kysely');
  await expect(sql`DELETE FROM receipts WHERE seq = 2`.execute(world.db)).rejects.toThrow('append-only');
  await expect(sql`UPDATE receipts SET jws = 'x' WHERE seq = 2`.execute(world.db)).rejects.toThrow('append-only');
});

describe('what was tampered with shows', () => {
  test('a changed amount', async () => {
    const [head, payload, signature] = chain[3]!.split('.') as [string, string, string];
    const changed = JSON.parse(Buffer.from(payload, 'base64url').toString()) as ReceiptPayload;
    changed.amountNusd = '1';
    const forged = [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.');
    expect(await problemsOf(chain.with(3, forged))).toContain('the signature does not verify');
  });

  test('a receipt left out, moved, or of another chain', async () => {
    expect(await problemsOf(chain.toSpliced(5, 1))).toContain('receipt 6 is missing or out of place');
    expect(await problemsOf(chain.with(5, chain[6]!).with(6, chain[5]!))).not.toEqual([]);
    expect(await problemsOf(chain.slice(0, -1))).not.toEqual([]);
    expect(payloads()[0]).toMatchObject({ seq: '1', prev: null });
  });

  test('an invoice that says something else', async () => {
    const bill = await receipts.invoice(who.account, month);
    const higher = { ...bill, totalNusd: String(BigInt(bill.totalNusd) + 1n) };
    expect(await problemsOf(chain, higher)).toHaveLength(2);
    expect(await problemsOf(chain, { ...bill, account: 'acct_other' })).toEqual([
      'the invoice is of account acct_other',
    ]);
  });

  test('a key set without the key', async () => {
    const { problems } = await verifyReceipts(chain.slice(0, 2), { keys: [] }, null);
    expect(problems).toHaveLength(2);
  });
});
