import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { LANGUAGES, pythonValue, shellQuote, snippet } from './snippets.ts';

const request = {
  baseUrl: 'http://127.0.0.1:8080/v1',
  body: { model: 'org/m', stream: true, messages: [{ role: 'user', content: `it's "so"\n$HOME` }], stop: null },
};

describe('snippets', () => {
  test('a shell reads back exactly what was quoted', () => {
    const text = `it's $HOME \`x\` "y" \\ \n end`;
    expect(execFileSync('/bin/sh', ['-c', `printf %s ${shellQuote(text)}`]).toString()).toBe(text);
  });

  test('Python has its own words for nothing, true and false', () => {
    expect(pythonValue({ a: [true, false, null], b: {}, c: [] })).toBe(
      '{\n    "a": [\n        True,\n        False,\n        None,\n    ],\n    "b": {},\n    "c": [],\n}',
    );
  });

  test('no language holds a key', () => {
    for (const language of LANGUAGES) {
      const text = snippet(language, request);
      expect(text).toContain('TOLLGATE_KEY');
      expect(text).toContain(request.baseUrl);
      expect(text).not.toContain('tg_');
    }
  });

  test('the curl command holds the body as JSON', () => {
    const text = snippet('curl', request);
    const body = execFileSync('/bin/sh', ['-c', `printf %s ${text.slice(text.indexOf('-d ') + 3)}`]).toString();
    expect(JSON.parse(body)).toEqual(request.body);
  });
});

test('our own fields reach Python in extra_body, which the SDK passes on', () => {
  const body = { model: 'm', messages: [], rag_params: { vector_store_ids: ['vs_1'] } };
  const code = snippet('python', { baseUrl: 'http://h/v1', body });
  expect(code).toContain('    extra_body={\n        "rag_params": {');
  expect(code).not.toMatch(/^ {4}rag_params=/m);
  expect(snippet('curl', { baseUrl: 'http://h/v1', body })).toContain('"rag_params": {');
});
