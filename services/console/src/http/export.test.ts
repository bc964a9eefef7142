/** Exports: every row once in either format, whatever the size of a batch; what people typed stays a cell of text. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StatsStore } from '@tollgate/shared/db/stats-store';
import { sql } from 'kysely';
import { type Answer, type Harness, startHarness } from '../testing/harness.ts';

const ROWS = 23;
/** As long as a model's id may be. */
const LONG_MODEL = `org/${'m'.repeat(196)}`;
const NASTY = ['=HYPERLINK("x")', 'a,b', 'say "hi"', 'two\nlines', '-1+1', '@SUM(A1)', 'plain', '-5', 'żółw', ''];

let h: Harness;
let accountId = '';
let at = '';
beforeAll(async () => {
  h = await startHarness();
  const made = (await h.post('/api/keys', { name: '=cmd|x', creditUsd: 5 })).body;
  accountId = made.accountId;
  at = `/api/accounts/${accountId}`;
  const startMs = Date.now() - 5 * 3_600_000;
  for (let i = 0; i < ROWS; i++) {
    // Several rows share one millisecond; five hours, two models.
    const when = new Date(startMs + Math.floor(i / 4) * 3_000_000);
    await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, model, endpoint, stream, final, outcome,
        status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source, amount_nusd, held_nusd,
        price_id, clipped, router_id, finished_at, duration_ms, end_user)
      VALUES (${`req_${String(i).padStart(4, '0')}`}, ${when}, ${accountId}, ${made.keyId}, ${i % 2 ? LONG_MODEL : 'm'},
        '/chat/completions', true, true, ${i % 5 ? 'served' : 'client_gone'}, 200, 3, 1, 2, 0, 'engine',
        ${BigInt(i) * 1_000_000_007n}, 10, 'price_1', false, 'r1', ${when}, 5, ${NASTY[i % NASTY.length]})`.execute(
      h.db,
    );
  }
  await new StatsStore(h.db).recompute(0);
  for (let i = 0; i < 6; i++) await h.post(`${at}/credits`, { usd: i % 2 ? -1 : 2, reason: `reason ${i}, "odd"` });
});
afterAll(() => h?.stop());

type Line = Record<string, unknown>;

/** All batches of an export, in order. */
async function all(path: string, format: 'csv' | 'ndjson', limit: number): Promise<Line[]> {
  const lines: Line[] = [];
  let cursor: string | null = null;
  do {
    const query: string = `${path.includes('?') ? '&' : '?'}format=${format}&limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`;
    const answer: Answer = await h.get(`${at}${path}${query}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="\w+\.(csv|ndjson)"$/);
    const batch = format === 'csv' ? fromCsv(answer.text) : fromNdjson(answer.text);
    expect(batch.length).toBeLessThanOrEqual(limit);
    lines.push(...batch);
    cursor = answer.headers.get('x-next-cursor');
    if (cursor !== null) expect(batch).toHaveLength(limit);
  } while (cursor !== null);
  return lines;
}

const fromNdjson = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);

/** RFC 4180, strictly: anything that is not of it throws. */
function fromCsv(text: string): Line[] {
  const rows: string[][] = [[]];
  let rest = text;
  while (rest !== '') {
    const cell = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest);
    if (!cell) throw new Error(`no CSV: ${rest.slice(0, 40)}`);
    rows.at(-1)!.push(cell[1]?.replaceAll('""', '"') ?? cell[2]!);
    if (cell[3] === '\r\n') rows.push([]);
    rest = rest.slice(cell[0].length);
  }
  rows.pop();
  const [heads = [], ...lines] = rows;
  for (const line of lines) expect(line).toHaveLength(heads.length);
  return lines.map((line) => Object.fromEntries(heads.map((head, i) => [head, line[i]])));
}

const LIMITS = [1, 4, 7, ROWS, 1_000];

describe('requests', () => {
  test('each once, in the order of the list, in any batches and both formats', async () => {
    const list = (await h.get(`${at}/requests?limit=1000`)).body.data as Line[];
    expect(list).toHaveLength(ROWS);
    for (const limit of LIMITS) {
      expect(await all('/requests/export', 'ndjson', limit)).toEqual(list);
      const csv = await all('/requests/export', 'csv', limit);
      expect(csv.map((line) => line.requestId)).toEqual(list.map((line) => line.requestId));
    }
  });

  test('filters narrow it as they narrow the list', async () => {
    const { data } = (await h.get(`${at}/requests?limit=1000&outcome=client_gone&model=m`)).body;
    expect(data.length).toBeGreaterThan(1);
    expect(await all('/requests/export?outcome=client_gone&model=m', 'ndjson', 2)).toEqual(data);
  });

  test('no cell is a formula, and none is cut by a comma, a quote or a line end', async () => {
    const csv = await all('/requests/export', 'csv', 1_000);
    const formula = (text: string) => /^[=+@\t\r]|^-(?!\d+(\.\d+)?$)/.test(text);
    for (const line of csv) for (const value of Object.values(line)) expect(formula(String(value))).toBe(false);
    const shown = new Set(csv.map(({ endUser }) => endUser));
    expect(shown).toEqual(new Set(NASTY.map((text) => (formula(text) ? `'${text}` : text))));
    expect(csv[0]!.keyName).toBe("'=cmd|x");
  });
});

describe('usage', () => {
  test.each(['hour', 'day'])('by %s: each roll-up once, also with the longest name of a model', async (by) => {
    const whole = await all(`/usage/export?by=${by}`, 'ndjson', 1_000);
    const total = (name: string) => whole.reduce((sum, line) => sum + BigInt(line[name] as string | number), 0n);
    expect([total('requests'), total('promptTokens')]).toEqual([BigInt(ROWS), BigInt(3 * ROWS)]);
    expect(total('amountNusd')).toBe(1_000_000_007n * BigInt((ROWS * (ROWS - 1)) / 2));
    for (const limit of [1, 2, 5]) {
      expect(await all(`/usage/export?by=${by}`, 'ndjson', limit)).toEqual(whole);
      const csv = await all(`/usage/export?by=${by}`, 'csv', limit);
      expect(csv.map(({ amountNusd }) => amountNusd)).toEqual(whole.map(({ amountNusd }) => amountNusd));
    }
  });
});

describe('the ledger', () => {
  test('each transaction once; it balances, and its columns add up to the balance', async () => {
    const whole = await all('/ledger/export', 'ndjson', 1_000);
    expect(whole).toHaveLength(7);
    for (const { entries } of whole as { entries: { amountNusd: string }[] }[]) {
      expect(entries.reduce((sum, { amountNusd }) => sum + BigInt(amountNusd), 0n)).toBe(0n);
    }
    for (const limit of [1, 3, 7]) expect(await all('/ledger/export', 'ndjson', limit)).toEqual(whole);
    const csv = await all('/ledger/export', 'csv', 2);
    const available = csv.reduce((sum, line) => sum + BigInt(line.available as string), 0n);
    expect(String(available)).toBe((await h.get(`${at}/credits`)).body.availableNusd);
    expect(csv.map(({ reason }) => reason)).toEqual(whole.map(({ reason }) => reason));
  });
});

test('what is no cursor is 400, whatever hides in it', async () => {
  const texts = ['x', '1', '1|', '|x', `1|\0`, `1|a\0b`, '1|\ud800', `9999999999999999|x`, `5|${'x'.repeat(301)}`];
  for (const path of ['requests/export', 'usage/export', 'ledger/export', 'requests', 'ledger', 'usage']) {
    for (const text of texts) {
      const cursor = Buffer.from(text).toString('base64url');
      const { status } = await h.get(`${at}/${path}?cursor=${cursor}`);
      expect([path, text, status === 400 || (text === '1|\ud800' && status === 200)]).toEqual([path, text, true]);
    }
  }
});
