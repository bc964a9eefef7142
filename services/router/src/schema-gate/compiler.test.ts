/** With the real compile thread and the real XGrammar. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { GrammarCompilerPool } from './compiler.ts';

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
