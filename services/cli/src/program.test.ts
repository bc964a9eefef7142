/** The command line's manners: exit statuses and shapes, without any service running. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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

test('usage import posts records in batches with the service token; a refusal says to run it again', async () => {
  const seen: { authorization: string | undefined; count: number }[] = [];
  let status = 200;
  // Metering's side of this call is tested with metering; here it only matters what is sent.
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { records } = JSON.parse(body) as { records: string[] };
      seen.push({ authorization: request.headers.authorization, count: records.length });
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ accepted: records.length }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const env = { TOLLGATE_METERING_URL: `http://127.0.0.1:${port}`, TOLLGATE_SERVICE_TOKEN: 'service-token' };
  const file = join(cwd, 'router.log');
  const line = (n: number) =>
    JSON.stringify({ msg: 'unconfirmed_usage', record: JSON.stringify({ requestId: `req_${n}` }) });
  const noise = '{"msg":"request","requestId":"req_x"}\nnot JSON\n';
  writeFileSync(file, `${noise}${Array.from({ length: 450 }, (_, n) => line(n)).join('\n')}\n`);
  try {
    const { code, stdout } = await tollgate(['usage', 'import', file, '--json'], env);
    expect([code, JSON.parse(stdout)]).toEqual([0, { read: 452, records: 450, accepted: 450 }]);
    expect(seen).toEqual([200, 200, 50].map((count) => ({ authorization: 'Bearer service-token', count })));
    status = 503;
    const refused = await tollgate(['usage', 'import', file, '--json'], env);
    expect([refused.code, refused.stdout, JSON.parse(refused.stderr).error.code]).toEqual([1, '', 'import_refused']);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
