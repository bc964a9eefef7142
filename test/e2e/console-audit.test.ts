/** `tollgate audit verify` against a real console: a whole chain, and every way in which it can be broken. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { AuditStore } from '@tollgate/shared/db/audit-store';
import type { Environment } from '@tollgate/shared/runtime/config';
import { freePort } from '@tollgate/shared/testkit/ports';
import { sql } from 'kysely';
import { verifyAudit } from '../../services/cli/src/audit/verify.ts';
import { createConsoleClient } from '../../services/cli/src/console-client.ts';
import { runCommandLine } from '../../services/cli/src/program.ts';
import { type Harness, startHarness, TOKEN } from '../../services/console/src/testing/harness.ts';

jest.setTimeout(300_000);

const LINES = 12;
const cwd = mkdtempSync(join(tmpdir(), 'tollgate-audit-'));
const file = join(cwd, 'checkpoint.json');
let h: Harness;

beforeAll(async () => {
  h = await startHarness();
  const entry = { actor: 'user_1', accountId: null, target: null, ip: null, requestId: null };
  const entries = Array.from({ length: LINES }, (_, i) => ({
    ...{ ...entry, atMs: 1_000 * i, action: 'keys.create' },
    detail: { 1: 'ä\0\ud800', name: `k${i}` },
  }));
  await AuditStore.append(h.db, entries);
});
afterAll(async () => {
  await h?.stop();
  rmSync(cwd, { recursive: true, force: true });
});

async function tollgate(args: string[], env?: Environment) {
  const seen = { stdout: '', stderr: '' };
  const access = { TOLLGATE_CONSOLE_URL: h.url, TOLLGATE_ADMIN_TOKEN: TOKEN };
  const code = await runCommandLine(['audit', 'verify', ...args], env ?? access, {
    cwd,
    interactive: false,
    stdout: (text) => {
      seen.stdout += text;
    },
    stderr: (text) => {
      seen.stderr += text;
    },
  });
  return { code, ...seen };
}
const verify = async (...args: string[]) => {
  const { code, stdout } = await tollgate([...args, '--json']);
  return { code, ...JSON.parse(stdout) };
};

/** What somebody with the database in hand could do; undone afterwards. */
async function tampered(statement: string, check: () => Promise<void>): Promise<void> {
  const run = (text: string) => sql.raw(text).execute(h.db);
  await run('CREATE TABLE kept AS SELECT * FROM audit_log');
  await run('ALTER TABLE audit_log DISABLE TRIGGER USER');
  try {
    await run(statement);
    await check();
  } finally {
    await run('DELETE FROM audit_log');
    await run('INSERT INTO audit_log SELECT * FROM kept');
    await run('DROP TABLE kept');
    await run('ALTER TABLE audit_log ENABLE TRIGGER USER');
  }
}

describe('a chain that holds', () => {
  test('is exit 0; its end is told, and kept as a checkpoint that the next run is held against', async () => {
    const first = await verify('--checkpoint', file);
    expect(first).toMatchObject({ code: 0, ok: true, lines: LINES, brokenAt: null, checkpoint: null, problems: [] });
    expect(first.lastHash).toMatch(/^[0-9a-f]{64}$/);
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    expect(kept).toEqual({ lines: LINES, lastHash: first.lastHash, at: expect.any(String) });
    expect(await verify('--checkpoint', file)).toMatchObject({ code: 0, ok: true, checkpoint: kept });
    expect((await tollgate([])).stdout).toBe(`${LINES} lines hold; the last is ${first.lastHash}\n`);
  });

  test('is the same in stretches of any length', async () => {
    const { verifyAudit: ask } = createConsoleClient({ consoleUrl: h.url, adminToken: TOKEN });
    const whole = await verifyAudit(ask, null);
    const checkpoint = JSON.parse(readFileSync(file, 'utf8'));
    for (const stretch of [1, 5, LINES, LINES + 1]) {
      expect(await verifyAudit(ask, null, stretch)).toEqual(whole);
      expect(await verifyAudit(ask, checkpoint, stretch)).toEqual({ ...whole, checkpoint });
    }
  });
});

describe('a chain that somebody touched is exit 1 and says where; the checkpoint stays', () => {
  const ways: [string, string, object][] = [
    ['a changed line', `UPDATE audit_log SET detail = '{}' WHERE seq = 5`, { lines: 4, brokenAt: 5 }],
    ['another actor', `UPDATE audit_log SET actor = 'user_2' WHERE seq = 1`, { lines: 0, brokenAt: 1 }],
    ['another time', `UPDATE audit_log SET at = at + interval '1 ms' WHERE seq = ${LINES}`, { brokenAt: LINES }],
    ['a line taken out', 'DELETE FROM audit_log WHERE seq = 7', { lines: 6, brokenAt: 7 }],
    ['the first line taken out', 'DELETE FROM audit_log WHERE seq = 1', { lines: 0, brokenAt: 1 }],
    [
      'a line put in',
      `INSERT INTO audit_log SELECT ${LINES + 1}, at, actor, account_id, action, target, detail, ip, request_id, hash, hash
       FROM audit_log WHERE seq = ${LINES}`,
      { lines: LINES, brokenAt: LINES + 1 },
    ],
  ];
  test.each(ways)('%s', async (_name, statement, expected) => {
    const kept = readFileSync(file, 'utf8');
    await tampered(statement, async () => {
      const found = await verify('--checkpoint', file);
      expect(found).toMatchObject({ code: 1, ok: false, ...expected });
      expect(found.problems).toEqual([expect.stringMatching(/changed, added or taken out/)]);
      expect((await tollgate([])).code).toBe(1);
    });
    expect(readFileSync(file, 'utf8')).toBe(kept);
    expect((await verify()).ok).toBe(true);
  });

  test('an end that was cut off: only the checkpoint knows', async () => {
    await tampered(`DELETE FROM audit_log WHERE seq > ${LINES - 3}`, async () => {
      expect((await verify()).ok).toBe(true);
      const found = await verify('--checkpoint', file);
      expect([found.code, found.problems]).toEqual([1, [expect.stringMatching(/its end is gone/)]]);
    });
  });

  test('a log that was written anew as a whole chain: only the checkpoint knows', async () => {
    await tampered('DELETE FROM audit_log', async () => {
      const entry = { actor: 'x', accountId: null, action: 'x', target: null, detail: {}, ip: null, requestId: null };
      await AuditStore.append(
        h.db,
        Array.from({ length: LINES + 5 }, (_, i) => ({ ...entry, atMs: i })),
      );
      expect((await verify()).ok).toBe(true);
      const found = await verify('--checkpoint', file);
      expect([found.code, found.problems]).toEqual([1, [expect.stringMatching(/written anew/)]]);
    });
  });
});

test('what is no checkpoint is exit 2, no console to ask 78, one that is away 1; nothing is printed', async () => {
  const bad = join(cwd, 'bad.json');
  for (const text of ['', '{}', '[]', '{"lines":3,"lastHash":null,"at":"x"}', '{"lines":-1,"lastHash":null,"at":""}']) {
    writeFileSync(bad, text);
    const { code, stdout, stderr } = await tollgate(['--checkpoint', bad, '--json']);
    expect([text, code, stdout, JSON.parse(stderr).error.code]).toEqual([text, 2, '', 'bad_checkpoint']);
  }
  expect(await tollgate([], {})).toMatchObject({ code: 78, stdout: '' });
  const away = { TOLLGATE_CONSOLE_URL: `http://127.0.0.1:${await freePort()}`, TOLLGATE_ADMIN_TOKEN: TOKEN };
  expect(await tollgate([], away)).toMatchObject({ code: 1, stdout: '' });
});
