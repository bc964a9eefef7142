import { describe, expect, test } from '@jest/globals';
import { CliError, facts, type Output, printFailure, printResult, table } from './output.ts';

function captured(json: boolean) {
  const seen = { stdout: '', stderr: '' };
  const output: Output = {
    json,
    interactive: false,
    stdout: (text) => {
      seen.stdout += text;
    },
    stderr: (text) => {
      seen.stderr += text;
    },
  };
  return { output, seen };
}

test('results are one line of JSON, or words for people, on standard output', () => {
  const forScripts = captured(true);
  printResult(forScripts.output, { a: 1 }, () => 'words');
  expect(forScripts.seen).toEqual({ stdout: '{"a":1}\n', stderr: '' });
  const forPeople = captured(false);
  printResult(forPeople.output, { a: 1 }, () => 'words');
  expect(forPeople.seen).toEqual({ stdout: 'words\n', stderr: '' });
});

test('failures print nothing on standard output and never a key', () => {
  const { output, seen } = captured(true);
  printFailure(output, 'refused', 'tg_live_k7f_s3cr3t was refused');
  expect(seen.stdout).toBe('');
  expect(JSON.parse(seen.stderr)).toEqual({
    error: { code: 'refused', message: 'tg_live_k7f_[redacted] was refused' },
  });
  expect(new CliError('a', 'b').exitCode).toBe(1);
});

describe('tables', () => {
  test('fit into 80 columns by cutting the widest cells', () => {
    const text = table(
      ['id', 'name', '>n'],
      [
        ['a'.repeat(70), 'b'.repeat(60), '7'],
        ['x', 'y', '12'],
      ],
    );
    for (const line of text.trimEnd().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toContain('…');
    expect(text.split('\n')[1]).toMatch(/ 7$/);
  });
  test('never cut what people copy', () => {
    const id = 'acct_edc1NCoeUhQZNHDJCipu'.repeat(2);
    expect(table(['!id', 'name'], [[id, 'n'.repeat(60)]])).toContain(id);
  });
  test('of nothing say so', () => expect(table(['a'], [])).toBe('(none)\n'));
  test('of facts align their values', () =>
    expect(
      facts([
        ['a', '1'],
        ['long', '2'],
      ]),
    ).toBe('a     1\nlong  2\n'));
});
