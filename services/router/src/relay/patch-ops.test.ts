/** Property: applying the operations in order gives exactly the document, however its text is cut. */
import { describe, expect, test } from '@jest/globals';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { MAX_PATCH_DEPTH, PatchOps } from './patch-ops.ts';

interface Op {
  op: string;
  path: string;
  value: unknown;
}

/** RFC 6902 `add`, by the letter: an array index at most its length, an object's member made or replaced. */
function apply(ops: readonly string[]): unknown {
  let root: unknown;
  for (const { op, path, value } of ops.map((text) => JSON.parse(text) as Op)) {
    expect(op).toBe('add');
    if (path === '') {
      root = value;
      continue;
    }
    const keys = path
      .slice(1)
      .split('/')
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop()!;
    let at = root as Record<string, unknown>;
    for (const key of keys) at = at[key] as Record<string, unknown>;
    if (Array.isArray(at)) {
      expect(Number(last)).toBe(at.length);
      at.push(value);
    } else Object.defineProperty(at, last, { value, enumerable: true, configurable: true, writable: true });
  }
  return root;
}

function opsOf(text: string, cuts: readonly number[]): { ops: string[]; whole: boolean; broken: boolean } {
  const reader = new PatchOps();
  const ops: string[] = [];
  let from = 0;
  for (const cut of [...cuts, text.length]) {
    reader.push(text.slice(from, cut));
    ops.push(...reader.take());
    from = cut;
  }
  const whole = reader.end();
  ops.push(...reader.take());
  return { ops, whole, broken: reader.broken };
}

const spaced = (value: unknown, space: string) => JSON.stringify(value, null, space);

test('the operations build exactly the document, cut anywhere', () => {
  const runs = counts(300, 10_000);
  const cases = fc.record({
    value: fc.jsonValue({ maxDepth: 6 }),
    space: fc.constantFrom('', ' ', '\t', '\n \r'),
    cuts: fc.array(fc.nat(1_000), { maxLength: 30 }),
  });
  fc.assert(
    fc.property(cases, ({ value, space, cuts }) => {
      const text = spaced(value, space);
      const places = cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b);
      const { ops, whole } = opsOf(text, places);
      expect(whole).toBe(true);
      expect(apply(ops)).toEqual(JSON.parse(text));
    }),
    { numRuns: runs, seed: testSeed() },
  );
  recordProof({ name: 'stream: "patch" builds the document', count: runs, seed: testSeed(), result: '0 differences' });
});

describe('one document', () => {
  const TEXT = '{"a":{"b":[1,"x\\"y",null,{}],"c/d~e":true},"é😀":-1.5e3,"s":""}';
  const EXPECTED = [
    ['', {}],
    ['/a', {}],
    ['/a/b', []],
    ['/a/b/0', 1],
    ['/a/b/1', 'x"y'],
    ['/a/b/2', null],
    ['/a/b/3', {}],
    ['/a/c~1d~0e', true],
    ['/é😀', -1500],
    ['/s', ''],
  ];

  test('containers come before their members, in the order of the text, at every cut', () => {
    for (let at = 0; at <= TEXT.length; at++) {
      const { ops, whole } = opsOf(TEXT, [at]);
      expect(whole).toBe(true);
      expect(ops.map((op) => JSON.parse(op)).map(({ path, value }) => [path, value])).toEqual(EXPECTED);
    }
  });

  test('one character at a time, a member is told as soon as it is whole', () => {
    const reader = new PatchOps();
    for (const char of '{"a":"x"') reader.push(char);
    expect(reader.take()).toEqual(['{"op":"add","path":"","value":{}}', '{"op":"add","path":"/a","value":"x"}']);
    expect(reader.end()).toBe(false);
  });

  test('a value that is no container is one operation; a number ends with the text', () => {
    expect(opsOf('"x"', []).ops).toEqual(['{"op":"add","path":"","value":"x"}']);
    expect(opsOf(' 12', [2])).toMatchObject({ ops: ['{"op":"add","path":"","value":12}'], whole: true });
  });
});

describe('what is no document', () => {
  test.each(['{"a" 1}', '{,}', '[1,]', '{"a":1,}', '[1 2]', '{}{}', '[}', '01', '{"a":tru}', '"\u0001"', '{a:1}', ']'])(
    '%s is broken, wherever it is cut',
    (text) => {
      for (let at = 0; at <= text.length; at++) {
        const { whole } = opsOf(text, [at]);
        expect(whole).toBe(false);
      }
    },
  );

  test('a cut document is not whole', () => {
    const text = '{"a":[1,{"b":"c"}]}';
    for (let length = 0; length < text.length; length++) expect(opsOf(text.slice(0, length), []).whole).toBe(false);
  });

  test('what is too deep is broken, so that paths stay short', () => {
    expect(opsOf('['.repeat(MAX_PATCH_DEPTH), []).broken).toBe(false);
    expect(opsOf('['.repeat(MAX_PATCH_DEPTH + 1), []).broken).toBe(true);
  });
});
