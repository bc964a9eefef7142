/** Each check is shown to find what it forbids, and to leave alone what looks like it. */
import { describe, expect, test } from '@jest/globals';
import { checkArrows, checkExpress, importsOf, type Violation } from './arrows.ts';
import type { SourceFile } from './files.ts';
import * as rules from './rules.ts';

const file = (path: string, text: string): SourceFile => ({ path, text });
const messages = (violations: Violation[]) => violations.map(({ line, message }) => `${line} ${message}`);

test('imports are found in every form', () => {
  const text = `import a from 'a';
import {
  type B,
  c,
} from './b.ts';
export * from './c.ts';
import './d.ts';
const e = await import('./e.ts');
import type { F } from "@tollgate/shared/domain/f";`;
  expect(importsOf(text)).toEqual([
    { specifier: 'a', line: 1 },
    { specifier: './b.ts', line: 5 },
    { specifier: './c.ts', line: 6 },
    { specifier: './d.ts', line: 7 },
    { specifier: './e.ts', line: 8 },
    { specifier: '@tollgate/shared/domain/f', line: 9 },
  ]);
});

describe('arrows', () => {
  const forbidden: [string, string, string][] = [
    ['services/shared/src/domain/a.ts', '../redis/keys.ts', 'shared/domain imports shared/redis'],
    ['services/shared/src/domain/a.ts', 'node:crypto', 'shared/domain imports package node:crypto'],
    ['services/shared/src/contracts/a.ts', '../runtime/clock.ts', 'shared/contracts imports shared/runtime'],
    ['services/shared/src/contracts/a.ts', 'node:fs', 'shared/contracts imports package node:fs'],
    ['services/shared/src/redis/a.ts', '../db/tx.ts', 'shared/redis imports shared/db'],
    ['services/shared/src/runtime/a.ts', '../redis/keys.ts', 'shared/runtime imports shared/redis'],
    ['services/router/src/app.ts', '@tollgate/metering/app', 'router imports metering'],
    ['services/router/src/app.ts', '../../console/src/app.ts', 'router imports console'],
    ['services/router/src/app.ts', '@tollgate/shared/testkit/redis', 'router imports shared/testkit'],
    ['services/cli/src/main.ts', '@tollgate/shared/testkit/redis', 'cli imports shared/testkit'],
    ['services/dashboard/src/main.tsx', '@tollgate/shared/domain/money', 'dashboard imports shared/domain'],
    [
      'services/shared/src/db/a.ts',
      '../../../cli/bootstrap/x.mjs',
      'shared/db reaches into services/cli/bootstrap/x.mjs',
    ],
  ];
  test.each(forbidden)('%s may not import %s', (path, specifier, message) => {
    expect(messages(checkArrows([file(path, `import type { X } from '${specifier}';`)]))).toEqual([`1 ${message}`]);
  });

  const allowed: [string, string][] = [
    ['services/shared/src/domain/a.ts', './ids.ts'],
    ['services/shared/src/contracts/a.ts', '../domain/ids.ts'],
    ['services/shared/src/redis/a.ts', '../runtime/clock.ts'],
    ['services/router/src/app.ts', '@tollgate/shared/redis/client'],
    ['services/router/src/http/app.ts', '../pipeline.ts'],
    ['services/cli/src/main.ts', '@tollgate/router/main'],
    ['services/cli/src/dev/a.ts', '../../bootstrap/x.mjs'],
    ['services/router/src/app.test.ts', '@tollgate/shared/testkit/redis'],
    ['services/router/src/testing/harness.ts', '@tollgate/shared/testkit/redis'],
    ['services/devworker/src/grammar/a.ts', '@tollgate/shared/xgrammar/loader'],
    ['services/dashboard/src/main.tsx', '@tollgate/shared/contracts/console'],
  ];
  test.each(allowed)('%s may import %s', (path, specifier) => {
    expect(checkArrows([file(path, `import { x } from '${specifier}';`)])).toEqual([]);
  });

  test('express outside http/ is found, inside it is not', () => {
    const text = "import type { Request } from 'express';";
    expect(checkExpress([file('services/router/src/pipeline.ts', text)])).toHaveLength(1);
    expect(checkExpress([file('services/router/src/http/app.ts', text)])).toEqual([]);
  });
});

describe('words', () => {
  test('a clock, randomness or I/O in pure code is found; in a comment it is not', () => {
    const impure = [
      'randomUUID()',
      'Date.now()',
      'new Date()',
      'Math.random()',
      'setTimeout(f, 1)',
      'process.hrtime()',
      "fetch('x')",
    ];
    for (const text of impure) {
      expect(rules.checkPurity([file('services/shared/src/domain/a.ts', `const a = ${text};`)])).toHaveLength(1);
      expect(rules.checkPurity([file('services/router/src/routing/a.ts', `const a = ${text};`)])).toHaveLength(1);
      expect(rules.checkPurity([file('services/router/src/app.ts', `const a = ${text};`)])).toEqual([]);
    }
    expect(rules.checkPurity([file('services/router/src/routing/a.ts', "import fs from 'node:fs';")])).toHaveLength(1);
    expect(rules.checkPurity([file('services/router/src/routing/a.ts', "import { crc32 } from 'node:zlib';")])).toEqual(
      [],
    );
    expect(
      rules.checkPurity([file('services/shared/src/domain/a.ts', '/** not Date.now() */\n// nor Math.random()\n')]),
    ).toEqual([]);
    expect(rules.checkPurity([file('services/shared/src/domain/a.ts', 'const d = new Date(ms);')])).toEqual([]);
  });

  test('process.env outside config.ts is found in every spelling', () => {
    for (const text of ['process.env.A', 'process?.env', "process['env']", "import { env } from 'node:process';"]) {
      expect(rules.checkEnvironment([file('services/router/src/app.ts', text)])).toHaveLength(1);
      expect(rules.checkEnvironment([file('test/e2e/a.test.ts', text)])).toHaveLength(1);
      expect(rules.checkEnvironment([file('services/router/src/config.ts', text)])).toEqual([]);
      expect(rules.checkEnvironment([file('services/cli/bootstrap/start.mjs', text)])).toEqual([]);
    }
  });

  test('a Lua string in TypeScript is found', () => {
    const text = "const script = `return redis.call('GET', KEYS[1])`;";
    expect(rules.checkLuaPlace([file('services/shared/src/redis/a.ts', text)], [])).toHaveLength(1);
    expect(rules.checkLuaPlace([file('services/shared/src/redis/scripts/a.lua', text)], [])).toEqual([]);
    expect(rules.checkLuaPlace([file('test/a.test.ts', text)], [{ path: 'test/', reason: 'quotes a script' }])).toEqual(
      [],
    );
  });

  test('a number that Lua would turn into text is found; strings and comments are not', () => {
    for (const text of ['local a = b .. c', 'tostring(n)', 'string.format("%d", n)', 'cjson.encode({n})']) {
      expect(rules.checkLuaNumbers([file('a.lua', text)], [])).toHaveLength(1);
      expect(rules.checkLuaNumbers([file('a.lua', text)], [{ path: 'a.lua', reason: 'only ever text' }])).toEqual([]);
    }
    expect(rules.checkLuaNumbers([file('a.lua', "-- a .. b\nlocal t = 'x..y tostring'\nreturn f(...)")], [])).toEqual(
      [],
    );
  });

  test('a Redis key name outside its folder is found', () => {
    expect(rules.checkKeyNames([file('services/router/src/a.ts', "redis.get('tg:catalog')")])).toHaveLength(1);
    expect(rules.checkKeyNames([file('services/shared/src/redis/keys.ts', "'tg:catalog'")])).toEqual([]);
  });

  test('SQL or its libraries outside their folder are found', () => {
    for (const text of [
      'db.query(`SELECT 1`)',
      "q('insert into t values (1)')",
      'sql`now()`',
      "import pg from 'pg';",
      "import { sql } from 'kysely';",
    ]) {
      expect(rules.checkSql([file('services/console/src/a.ts', text)])).toHaveLength(1);
      expect(rules.checkSql([file('services/shared/src/db/a.ts', text)])).toEqual([]);
    }
    expect(rules.checkSql([file('services/cli/src/a.ts', "say('select a model with --model')")])).toEqual([]);
    expect(rules.checkSql([file('services/cli/src/a.ts', "say('Update the key')")])).toEqual([]);
  });

  test('a long file is found unless it has a reason', () => {
    const long = file('services/a/src/a.ts', 'x\n'.repeat(11));
    expect(rules.checkLength([long], 10, [])).toHaveLength(1);
    expect(rules.checkLength([long], 11, [])).toEqual([]);
    expect(rules.checkLength([long], 10, [{ path: long.path, reason: 'one table' }])).toEqual([]);
  });

  test('a registry or a path of one machine is found', () => {
    const hosts = ['https://registry.packages.org/a', 'cd /work/x', '"/root/.npmrc"', 'see /home/ann/tollgate'];
    for (const text of hosts) expect(rules.checkPlaces([file('docs/a.md', text)], [])).toHaveLength(1);
    for (const text of ['services/work/main', 'https://example.com/home/a/', 'network/root/x']) {
      expect(rules.checkPlaces([file('docs/a.md', text)], [])).toEqual([]);
    }
    const lock = '{"packages":{"a":{"resolved":"https://host/a.tgz"}}}';
    expect(rules.checkLockFile([file('package-lock.json', lock)])).toHaveLength(1);
    expect(rules.checkLockFile([file('package-lock.json', '{"resolved":"services/shared","link":true}')])).toEqual([]);
  });

  test('work put off is found', () => {
    expect(rules.checkLeftovers([file('a.ts', `// ${'TO'}${'DO'}: later`)], [])).toHaveLength(1);
    expect(rules.checkLeftovers([file('a.ts', `// ${'FIX'}${'ME'}`)], [])).toHaveLength(1);
  });

  test('a further top-level folder is found', () => {
    expect(
      messages(rules.checkTopFolders([file('tools/a.ts', ''), file('docs/a.md', ''), file('README.md', '')])),
    ).toEqual(['1 not one of the fixed top-level folders']);
  });

  test('an exception without a file, or without a reason, is found', () => {
    const files = [file('a/b.ts', '')];
    expect(rules.checkExceptions(files, [{ path: 'a/b.ts', reason: 'it is one table' }])).toEqual([]);
    expect(rules.checkExceptions(files, [{ path: 'a/', reason: 'recorded answers' }])).toEqual([]);
    expect(rules.checkExceptions(files, [{ path: 'a/c.ts', reason: 'it is one table' }])).toHaveLength(1);
    expect(rules.checkExceptions(files, [{ path: 'a/b.ts', reason: '' }])).toHaveLength(1);
  });
});
