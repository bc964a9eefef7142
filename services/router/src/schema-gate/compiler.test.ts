/** With the real compile thread and the real XGrammar. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { GrammarCompilerPool } from './compiler.ts';
import { VLLM } from './dialect.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import type { SchemaAsk } from './prepare-schema.ts';
import { loadCheck } from './validate.ts';

jest.setTimeout(60_000);

let pool: GrammarCompilerPool;
afterEach(() => pool.close());

describe('the compile thread', () => {
  test.each([
    ['schema', '{"type":"object"}', true],
    ['schema', '{"type":"banana"}', false],
    ['schema', 'not json', false],
    ['regex', '[a-c]{3}-[0-9]{2}', true],
    ['regex', '[a-', false],
    ['ebnf', 'root ::= "a" | "b"', true],
    ['ebnf', 'root ::= nothing', false],
    ['ebnf', 'start: "x" NUMBER\nNUMBER: /[0-9]{2}/\n', false],
  ] as const)('%s %s', async (kind, text, ok) => {
    pool = new GrammarCompilerPool({ grammarMs: 10_000, schemaMs: 10_000, startMs: 60_000 });
    expect(await pool.check(kind, text)).toEqual(ok ? { ok } : { ok, reason: 'rejected' });
  });

  test('goes on with the others after one that aborts XGrammar, in a fresh thread', async () => {
    pool = new GrammarCompilerPool({ grammarMs: 10_000, schemaMs: 10_000, startMs: 60_000 });
    const verdicts = await Promise.all([
      pool.check('schema', '{"type":"banana"}'),
      pool.check('schema', '{"type":"null"}'),
      pool.check('schema', '{"type":"null"}'),
    ]);
    expect(verdicts.map(({ ok }) => ok)).toEqual([false, true, true]);
    expect(pool.started).toBe(2);
    await pool.check('schema', '{"type":"banana"}');
    expect(pool.started).toBe(2);
  });

  test('is ended when a job takes too long', async () => {
    pool = new GrammarCompilerPool({ grammarMs: 0, startMs: 0 });
    expect(await pool.check('regex', 'a')).toEqual({ ok: false, reason: 'too_slow' });
  });

  test('says so when too many wait', async () => {
    pool = new GrammarCompilerPool({ maxWaiting: 1, startMs: 60_000 });
    const running = [pool.check('regex', 'a'), pool.check('regex', 'b')];
    expect(await pool.check('regex', 'c')).toEqual({ ok: false, reason: 'busy' });
    expect((await Promise.all(running)).map(({ ok }) => ok)).toEqual([true, true]);
  });
});

describe('a schema prepared in the thread', () => {
  const ask = (schema: unknown, change: Partial<SchemaAsk> = {}): SchemaAsk => ({
    text: JSON.stringify(schema),
    limits: DEFAULT_LIMITS,
    dialect: VLLM,
    strictSubset: false,
    refuseDropped: false,
    refuseSlips: false,
    unchecked: false,
    ...change,
  });
  const patient = () => new GrammarCompilerPool({ grammarMs: 10_000, schemaMs: 10_000, startMs: 60_000 });

  test('comes back with the schema for the engine, what it is not told, and a check that works here', async () => {
    pool = patient();
    const schema = {
      type: 'object',
      properties: {
        a: { type: 'string', pattern: '^x+$' },
        b: { type: 'string', format: 'date-time' },
        c: { type: 'array', uniqueItems: true },
        d: { $ref: '#' },
        e: { enum: [{ f: 1 }, [2]] },
      },
      required: ['a'],
    };
    const verdict = await pool.prepare(ask(schema));
    if (!verdict.ok) throw new Error(verdict.reason);
    const { prepared } = verdict;
    expect(prepared.schema).toMatchObject({ type: 'object' });
    expect(prepared.findings.map(({ keyword }) => keyword)).toContain('uniqueItems');
    const check = loadCheck(prepared.check!);
    expect(check('{"a":"xx","b":"2026-11-21T09:00:00Z","c":[1,2],"d":{"a":"x"},"e":{"f":1}}')).toBeUndefined();
    for (const [text, keyword, pointer] of [
      ['{"a":"y"}', 'pattern', '/a'],
      ['{"a":"x","b":"yesterday"}', 'format', '/b'],
      ['{"a":"x","c":[{"g":1},{"g":1}]}', 'uniqueItems', '/c'],
      ['{"a":"x","d":{}}', 'required', '/d'],
      ['{"a":"x","e":[3]}', 'enum', '/e'],
      ['{"a":"x","a":"x"}', 'duplicate key', '/a'],
    ] as const) {
      expect([text, check(text)]).toEqual([text, expect.objectContaining({ keyword, pointer })]);
    }
  });

  test('is refused by pointer and keyword, and the refusal is kept', async () => {
    pool = patient();
    const bad = ask({ type: 'object', properties: { a: { type: 'banana' } } });
    const problem = { pointer: '/properties/a/type', keyword: 'type', message: expect.any(String) };
    expect(await pool.prepare(bad)).toEqual({ ok: false, reason: 'problem', problem });
    expect(await pool.prepare(bad)).toEqual({ ok: false, reason: 'problem', problem });
    expect(pool.started).toBe(1);
  });

  test('may not take longer than its time; the thread is replaced', async () => {
    pool = new GrammarCompilerPool({ schemaMs: 0, startMs: 0 });
    expect(await pool.prepare(ask({ type: 'object' }))).toEqual({ ok: false, reason: 'too_slow' });
    expect(await pool.prepare(ask({ type: 'null' }))).toEqual({ ok: false, reason: 'too_slow' });
    expect(pool.started).toBe(2);
  });

  test('a warm thread has started before the first schema', async () => {
    pool = patient();
    await pool.warmUp();
    expect(pool.started).toBe(1);
    expect((await pool.prepare(ask({ type: 'null' }))).ok).toBe(true);
    expect(pool.started).toBe(1);
  });
});
