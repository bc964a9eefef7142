/** The command line's manners: exit statuses and shapes, without any service running. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import type { Environment } from '@tollgate/shared/runtime/config';
import { freePort } from '@tollgate/shared/testkit/ports';
import { runCommandLine } from './program.ts';

const cwd = mkdtempSync(join(tmpdir(), 'tollgate-cli-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

async function tollgate(args: string[], env: Environment = {}) {
  const seen = { stdout: '', stderr: '' };
  const code = await runCommandLine(args, env, {
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

test('wrong usage is exit 2 with one JSON error and no output', async () => {
  const wrong = [
    ['keys'],
    ['nonsense'],
    ['keys', 'create', '--bogus'],
    ['keys', 'revoke'],
    ['keys', 'rotate', 'key_1', '--overlap', 'long'],
    ['credits', 'add', '--account', 'acct_1', '--usd', 'much', '--reason', 'x'],
    ['credits', 'show'],
    ['usage'],
    ['serve', 'nothing'],
  ];
  for (const args of wrong) {
    const { code, stdout, stderr } = await tollgate(args[0] === 'serve' ? ['--json', ...args] : [...args, '--json']);
    expect([args.join(' '), code, stdout]).toEqual([args.join(' '), 2, '']);
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'usage', message: expect.any(String) } });
  }
});

test('no local start and no variables is exit 78', async () => {
  for (const args of [['keys', 'list'], ['workers', 'list'], ['credits', 'show', '--account', 'acct_1'], ['migrate']]) {
    const { code, stdout, stderr } = await tollgate([...args, '--json']);
    expect([code, stdout]).toEqual([78, '']);
    expect(JSON.parse(stderr).error.message).toContain('npm start');
  }
});

test('a console that is not there is exit 1 and says so', async () => {
  const env = { TOLLGATE_CONSOLE_URL: `http://127.0.0.1:${await freePort()}`, TOLLGATE_ADMIN_TOKEN: 't'.repeat(24) };
  const { code, stdout, stderr } = await tollgate(['keys', 'list'], env);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^tollgate: the console at .* cannot be reached/);
});

test('help and version are exit 0 on standard output', async () => {
  for (const args of [['--help'], ['keys', 'create', '--help'], ['--version']]) {
    const { code, stdout, stderr } = await tollgate(args);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.length).toBeGreaterThan(4);
  }
});

test('doctor without anything set up names every missing part and fails', async () => {
  const { code, stdout } = await tollgate(['doctor', '--json']);
  const { checks } = JSON.parse(stdout) as {
    checks: { name: string; ok: boolean; detail: string; fix: string | null }[];
  };
  expect(code).toBe(1);
  for (const name of ['redis', 'postgres', 'router', 'console', 'workers']) {
    expect(checks.find((check) => check.name === name)).toMatchObject({ ok: false, fix: expect.any(String) });
  }
  expect(checks.find((check) => check.name === 'node')?.ok).toBe(true);
});

test('all problems of the environment of a local start are told together, exit 78', async () => {
  const env = { TOLLGATE_HOME: cwd, REDIS_URL: 'http://x', TOLLGATE_ROUTER_LISTEN: 'here' };
  const { code, stderr } = await tollgate(['dev', '--json'], env);
  expect(code).toBe(78);
  expect(JSON.parse(stderr).error.message).toMatch(/REDIS_URL[\s\S]*TOLLGATE_ROUTER_LISTEN/);
});

test('a file to import that is not there is a usage error', async () => {
  writeFileSync(join(cwd, 'state.json'), JSON.stringify({ meteringUrl: 'http://127.0.0.1:1', serviceToken: 's' }));
  const { code, stderr } = await tollgate(['usage', 'import', join(cwd, 'none.log'), '--json'], { TOLLGATE_HOME: cwd });
  expect([code, JSON.parse(stderr).error.code]).toEqual([2, 'no_such_file']);
});
