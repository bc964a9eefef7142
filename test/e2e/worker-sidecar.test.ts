/** `tollgate worker-sidecar` and `devworker --register` as processes, over a real Redis: who is announced, and until when. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { root } from './compose-file.ts';

const PATIENCE_MS = 90_000;
let redis: TestRedis;
/** As the user whose rights `infra/docker/worker-compose.yml` names. */
let workerUrl: string;
let store: FleetStore;
let children: ChildProcess[] = [];
let workers: Devworker[] = [];

beforeAll(async () => {
  redis = await startRedis();
  const rules = /^# The Redis user needs no more than: (.*)$/m.exec(
    readFileSync(join(root, 'infra/docker/worker-compose.yml'), 'utf8'),
  )![1]!;
  await redis.client.call('ACL', 'SETUSER', 'worker', ...rules.split(' '));
  workerUrl = `redis://worker:PASSWORD@127.0.0.1:${redis.port}`;
  store = new FleetStore(redis.client);
}, PATIENCE_MS);

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const worker of workers) await worker.close().catch(() => {});
  children = [];
  workers = [];
});

afterAll(() => redis.stop());

function start(entry: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=tollgate-source', join(root, entry), ...args], {
    env: childEnvironment({ REDIS_URL: workerUrl, LOG_LEVEL: 'warn' }),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

const announced = async (url: string) => (await store.registrations()).find((each) => each.url === url);
const gone = (url: string) => eventually(`${url} is gone`, async () => (await announced(url)) === undefined);

test(
  'the sidecar announces its engine while it is well, and no longer',
  async () => {
    const port = await freePort();
    const advertised = 'http://10.0.0.7:8000';
    const args = ['--engine-url', `http://127.0.0.1:${port}`, '--advertise', advertised, '--models', 'a,b'];
    start('services/cli/src/main.ts', 'worker-sidecar', ...args, '--probe', '0.2', '--ttl', '3');
    const first = await startDevworker({ port, dialect: 'sglang' });
    workers.push(first);
    const registration = await eventually('it is announced', () => announced(advertised));
    expect(registration).toMatchObject({ engine: 'sglang', models: ['a', 'b'], ttlMs: 3_000 });
    await eventually('its stamp moves on', async () => (await announced(advertised))!.atMs > registration.atMs);
    await first.close();
    await gone(advertised);
    workers.push(await startDevworker({ port }));
    await eventually('it is announced again', () => announced(advertised));
  },
  PATIENCE_MS,
);

test(
  'told to stop, it says that the worker leaves, waits for what runs there, then takes the announcement away',
  async () => {
    const engine = await startDevworker({ speed: 0.05 });
    workers.push(engine);
    const child = start('services/cli/src/main.ts', 'worker-sidecar', '--engine-url', engine.url, '--probe', '0.2');
    await eventually('it is announced', () => announced(engine.url));
    const leave = new AbortController();
    const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], stream: true, max_tokens: 500 });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${engine.url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body,
      signal: leave.signal,
    });
    expect(answer.status).toBe(200);
    child.kill('SIGTERM');
    await eventually('it is leaving', async () => (await announced(engine.url))?.leaving === true);
    expect(child.exitCode).toBeNull();
    const exited = once(child, 'exit');
    leave.abort();
    await gone(engine.url);
    expect((await exited)[0]).toBe(0);
  },
  PATIENCE_MS,
);

test(
  'a look-alike announces itself, and takes it back when it stops',
  async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const child = start('services/devworker/src/main.ts', '--port', String(port), '--register', redis.url);
    await eventually('it is announced', () => announced(url));
    child.kill('SIGTERM');
    await gone(url);
  },
  PATIENCE_MS,
);

test(
  'wrong options are said, not guessed',
  async () => {
    const run = async (...args: string[]) => {
      const child = start('services/cli/src/main.ts', 'worker-sidecar', ...args);
      return (await once(child, 'exit'))[0];
    };
    expect(
      await Promise.all([run('--engine-url', 'nowhere'), run(), run('--engine-url', 'http://a', '--ttl', '0')]),
    ).toEqual([2, 2, 2]);
  },
  PATIENCE_MS,
);
