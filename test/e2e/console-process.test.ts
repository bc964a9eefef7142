/** The console as a process of its own: what it does with its configuration, a signal, a taken port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(300_000);

const MAIN = fileURLToPath(new URL('../../services/console/src/main.ts', import.meta.url));
const TOKEN = 'admin-token-of-the-tests-only';
let database: TestDatabase;
let redis: TestRedis;
let good: Record<string, string>;

beforeAll(async () => {
  [database, redis] = await Promise.all([startPglite(), startRedis()]);
  const db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  await db.destroy();
  good = {
    TOLLGATE_CONSOLE_LISTEN: `127.0.0.1:${await freePort()}`,
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    TOLLGATE_KEY_PEPPER: 'pepper-of-the-tests-only-0123456789abcdef',
    TOLLGATE_ADMIN_TOKEN: TOKEN,
    TOLLGATE_BUCKETS: '16',
    TOLLGATE_CONSOLE_DB_CONNECTIONS: '1',
  };
});
afterAll(async () => {
  await redis?.stop();
  await database?.stop();
});

interface Run {
  child: ChildProcess;
  output(): string;
  ended: Promise<number | null>;
}

function run(env: Record<string, string>, ...args: string[]): Run {
  const code = `const { argv, env } = process; import(${JSON.stringify(MAIN)}).then((m) => m.main(argv.slice(1), env))`;
  const child = spawn(process.execPath, ['--conditions=tollgate-source', '-e', code, '--', ...args], {
    env: childEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream!.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = once(child, 'exit').then(([status]) => status as number | null);
  return { child, output: () => text, ended };
}

describe('the console process', () => {
  test('tells every problem of its configuration and exits 78 before a port opens', async () => {
    const { ended, output } = run({
      TOLLGATE_CONSOLE_LISTEN: 'nowhere',
      TOLLGATE_ADMIN_TOKEN: 'short',
      REDIS_URL: 'http://x',
    });
    expect(await ended).toBe(78);
    const named = [
      'TOLLGATE_CONSOLE_LISTEN',
      'TOLLGATE_ADMIN_TOKEN',
      'REDIS_URL',
      'DATABASE_URL',
      'TOLLGATE_KEY_PEPPER',
    ];
    for (const name of named) expect(output()).toContain(`${name}:`);
  });

  test('--check-config shows the effective values and no secret', async () => {
    const { ended, output } = run(good, '--check-config');
    expect(await ended).toBe(0);
    expect(JSON.parse(output())).toMatchObject({ TOLLGATE_BUCKETS: 16, TOLLGATE_ADMIN_TOKEN: '[redacted]' });
    for (const secret of [TOKEN, good.TOLLGATE_KEY_PEPPER!]) expect(output()).not.toContain(secret);
  });

  test('serves, ends with 0 on SIGTERM, and a second one says which port is taken', async () => {
    const first = run(good);
    const url = `http://${good.TOLLGATE_CONSOLE_LISTEN}`;
    await eventually('it is ready', async () => (await fetch(`${url}/readyz`)).status === 200);
    const list = await fetch(`${url}/api/keys`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(await list.json()).toEqual({ data: [], next: null });
    const second = run(good);
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain('EADDRINUSE');
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(first.output()).not.toContain(TOKEN);
  });

  test('another bucket count than the database was set up with is exit 78', async () => {
    const { ended, output } = run({ ...good, TOLLGATE_BUCKETS: '32' });
    expect(await ended).toBe(78);
    expect(output()).toContain('TOLLGATE_BUCKETS');
  });
});
