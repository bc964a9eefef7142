/** Cursors, on PostgreSQL where it is installed: PGlite has one session and shows no race. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { UsageStore } from '@tollgate/shared/db/usage-store';
import { counts, testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { sql } from 'kysely';
import { type Answer, type Harness, startHarness } from '../testing/harness.ts';

let console_: Harness;
beforeAll(async () => {
  console_ = await startHarness({ database: 'postgres' });
});
afterAll(() => console_?.stop());

/** No statement about time: a hundred runs on a crowded machine. */
const LIMIT_MS = counts(300_000, 3_600_000);

interface Case {
  /** Rows that are there before the first page is read; several share one millisecond. */
  before: number;
  limit: number;
  /** Rows inserted while each page is read. */
  during: number[];
}
const cases: fc.Arbitrary<Case> = fc.record({
  before: fc.integer({ min: 0, max: 40 }),
  limit: fc.integer({ min: 1, max: 12 }),
  during: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 8 }),
});

/** Reads every page while rows are added; gives the ids in the order shown. */
async function readAll(
  path: string,
  idOf: (row: never) => string,
  { limit, during }: Case,
  add: (count: number) => Promise<unknown>,
) {
  const shown: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const query: string = `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`;
    const [answer]: [Answer, unknown] = await Promise.all([console_.get(query), add(during[pages] ?? 0)]);
    expect(answer.status).toBe(200);
    expect(answer.body.data.length).toBeLessThanOrEqual(limit);
    shown.push(...answer.body.data.map(idOf));
    cursor = answer.body.next;
    pages++;
  } while (cursor && pages < 200);
  return shown;
}

let serial = 0;
async function addAccounts(count: number, prefix: string, at = new Date()) {
  for (let i = 0; i < count; i++) {
    const id = `acct_${prefix}${String(serial++).padStart(8, '0')}`;
    await sql`INSERT INTO accounts (id, name, created_at) VALUES (${id}, ${prefix}, ${at})`.execute(console_.db);
  }
}

async function account(): Promise<string> {
  return (await console_.post('/api/accounts', { name: 'paged' })).body.accountId;
}

async function addRequests(accountId: string, count: number, at: Date) {
  for (let i = 0; i < count; i++) {
    const id = `req_${String(serial++).padStart(8, '0')}`;
    await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, model, endpoint, stream, final, outcome,
        status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source, amount_nusd, held_nusd,
        price_id, clipped, router_id, finished_at, duration_ms)
      VALUES (${id}, ${at}, ${accountId}, 'key_1', 'm', '/v1/chat/completions', true, true, 'served',
        200, 1, 0, 1, 0, 'engine', ${BigInt(i)}, 10, 'price_1', false, 'r1', ${at}, 5)`.execute(console_.db);
  }
}

describe('a reader of all pages, while rows are added', () => {
  test(
    'sees each account that was there once, and none twice',
    async () => {
      await fc.assert(
        fc.asyncProperty(cases, async (each) => {
          const prefix = `p${serial}x`;
          // Two milliseconds for all of them: ties must not lose rows either.
          await addAccounts(Math.ceil(each.before / 2), prefix, new Date(Date.now() - 2));
          await addAccounts(Math.floor(each.before / 2), prefix, new Date(Date.now() - 1));
          const { rows } = await sql<{ id: string }>`SELECT id FROM accounts WHERE name = ${prefix}`.execute(
            console_.db,
          );
          const path = `/api/accounts?search=${prefix}`;
          const shown = await readAll(
            path,
            (row: { accountId: string }) => row.accountId,
            each,
            (n) => addAccounts(n, prefix),
          );
          expect(new Set(shown).size).toBe(shown.length);
          expect(rows.map(({ id }) => id).filter((id) => !shown.includes(id))).toEqual([]);
        }),
        { numRuns: counts(8, 100), seed: testSeed() },
      );
    },
    LIMIT_MS,
  );

  test(
    'sees each request of an account once',
    async () => {
      await fc.assert(
        fc.asyncProperty(cases, async (each) => {
          const id = await account();
          await addRequests(id, Math.ceil(each.before / 2), new Date(Date.now() - 2));
          await addRequests(id, Math.floor(each.before / 2), new Date(Date.now() - 1));
          const before = await new UsageStore(console_.db).page({ accountId: id, limit: 1000 });
          const path = `/api/accounts/${id}/usage`;
          const shown = await readAll(
            path,
            (row: { requestId: string }) => row.requestId,
            each,
            (n) => addRequests(id, n, new Date()),
          );
          expect(new Set(shown).size).toBe(shown.length);
          expect(before.data.filter(({ requestId }) => !shown.includes(requestId))).toEqual([]);
        }),
        { numRuns: counts(5, 100), seed: testSeed() },
      );
    },
    LIMIT_MS,
  );

  test('sees each ledger transaction once, newest first', async () => {
    const id = await account();
    const grant = (count: number) =>
      Promise.all(
        Array.from({ length: count }, () => console_.post(`/api/accounts/${id}/credits`, { usd: 1, reason: 'x' })),
      );
    await grant(9);
    const before: { transactionId: string }[] = (await console_.get(`/api/accounts/${id}/ledger?limit=1000`)).body.data;
    const each = { before: 9, limit: 2, during: [3, 0, 2, 1] };
    const shown = await readAll(
      `/api/accounts/${id}/ledger`,
      (row: { transactionId: string }) => row.transactionId,
      each,
      grant,
    );
    expect(new Set(shown).size).toBe(shown.length);
    expect(before.map(({ transactionId }) => transactionId).filter((txn) => !shown.includes(txn))).toEqual([]);
    const numbers = shown.map((txn) => Number(txn.slice(4)));
    expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
  });

  test('sees each roll-up once, by hour and by day', async () => {
    const id = await account();
    for (let hour = 0; hour < 5; hour++) {
      for (const [key, model] of [
        ['key_A', 'org/a'],
        ['key_A', 'org/b'],
        ['key_b', 'z'],
        ['key_b', 'A'],
      ]) {
        await addRollup(id, new Date(Date.UTC(2026, 0, 1 + hour, hour)), key!, model!);
      }
    }
    for (const by of ['hour', 'day']) {
      const idOf = (row: { start: string; keyId: string; model: string }) => `${row.start} ${row.keyId} ${row.model}`;
      const shown = await readAll(
        `/api/accounts/${id}/rollups?by=${by}`,
        idOf,
        { before: 20, limit: 3, during: [] },
        async () => {},
      );
      expect(shown).toHaveLength(20);
      expect(new Set(shown).size).toBe(20);
    }
    const { body } = await console_.get(
      `/api/accounts/${id}/rollups?by=hour&model=z&from=2026-01-02T00:00:00Z&to=2026-01-04T00:00:00Z`,
    );
    expect(body.data.map(({ start }: { start: string }) => start)).toEqual([
      '2026-01-03T02:00:00.000Z',
      '2026-01-02T01:00:00.000Z',
    ]);
  });
});

async function addRollup(accountId: string, hour: Date, key: string, model: string) {
  await sql`INSERT INTO usage_hourly VALUES (${accountId}, ${key}, ${model}, ${hour}, 1, 2, 0, 3, 4)`.execute(
    console_.db,
  );
  await sql`INSERT INTO usage_daily VALUES (${accountId}, ${key}, ${model}, ${hour.toISOString().slice(0, 10)}::date, 1, 2, 0, 3, 4)`.execute(
    console_.db,
  );
}

describe('filters', () => {
  test('of usage: key, model and time; the columns are those of the command line', async () => {
    const id = await account();
    await addRequests(id, 2, new Date(Date.UTC(2026, 0, 5)));
    const list = async (query: string) => (await console_.get(`/api/accounts/${id}/usage${query}`)).body.data;
    expect(await list('')).toHaveLength(2);
    expect(await list('?model=other')).toEqual([]);
    expect(await list('?keyId=key_1&model=m')).toHaveLength(2);
    expect(await list('?from=2026-01-06T00:00:00Z')).toEqual([]);
    expect(await list('?to=2026-01-05T00:00:00Z')).toEqual([]);
    const columns = ['requestId', 'model', 'outcome', 'promptTokens', 'cachedTokens', 'completionTokens', 'amountNusd'];
    expect(Object.keys((await list(''))[0])).toEqual(expect.arrayContaining(columns));
  });

  test('of accounts: a search takes its text as it is', async () => {
    await console_.post('/api/accounts', { name: '100% real_name', email: 'Some.One@example.org' });
    const found = async (search: string) =>
      (await console_.get(`/api/accounts?search=${encodeURIComponent(search)}`)).body.data.length;
    expect(await found('100% real_')).toBe(1);
    expect(await found('some.one@EXAMPLE')).toBe(1);
    expect(await found('100_ real')).toBe(0);
    expect(await found("'; DROP TABLE accounts; --")).toBe(0);
  });
});
