/**
 * `tollgate doctor` against what operators put in front: nothing, an nginx that is set up right, and one that buffers and
 * gives up on silence. Seconds here; the same command runs for 90 s by hand.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { checkPublic } from '../../services/cli/src/doctor/public.ts';
import { onPath } from '../../services/shared/src/runtime/binaries.mjs';
import { CATALOG_MODEL, MODEL, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 120_000;
const SECONDS = 3;
const nginx = onPath('nginx', '/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin');
if (!nginx) process.stderr.write('nginx is not installed: doctor is not tried behind one (Debian: nginx-light)\n');

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;
let key: TestKey;
const proxies: ChildProcess[] = [];

beforeAll(async () => {
  // A model that cannot chat is on sale too, and is named first.
  around = await startSurroundings([{ ...CATALOG_MODEL, id: 'a/embedder' }, CATALOG_MODEL]);
  worker = await startDevworker();
  router = await around.router([worker.url]);
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000_000n);
}, PATIENCE_MS);

afterAll(async () => {
  for (const proxy of proxies) {
    const gone = once(proxy, 'exit');
    proxy.kill('SIGTERM');
    await gone;
  }
  await around.stop();
  await worker.close();
});

/** An nginx in front of the router with these lines in its location; its address. */
async function behind(lines: string): Promise<string> {
  const port = await freePort();
  const folder = around.folder();
  mkdirSync(join(folder, 'temp'));
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(folder, 'temp', name)};`)
    .join('\n');
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${join(folder, 'pid')}; error_log stderr crit;
    events {}
    http {
      access_log off;
      ${temp}
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass ${router.url}; ${lines} }
      }
    }`,
  );
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
  proxies.push(spawn(nginx!, args, { env: childEnvironment(), stdio: ['ignore', 'ignore', 'inherit'] }));
  const url = `http://127.0.0.1:${port}`;
  await eventually('nginx answers', async () => (await fetch(`${url}/readyz`)).status > 0);
  return `${url}/v1`;
}

/** Name -> whether it is well, and what is to be done where it is not. */
async function examined(url: string, model: string | null = null) {
  const checks = await checkPublic({ url, key: key.text, seconds: SECONDS, model });
  return Object.fromEntries(checks.map(({ name, ok, fix }) => [name.replace('public ', ''), ok || fix]));
}
const WELL = { 'stream compression': true, 'stream buffering': true, 'stream duration': true, 'idle time-out': true };

test(
  'the router itself: nothing buffers, nothing cuts; a model that cannot chat is passed over',
  async () => {
    expect(await examined(`${router.url}/v1`)).toEqual(WELL);
    expect(await examined(`${router.url}/v1`, MODEL)).toEqual(WELL);
  },
  PATIENCE_MS,
);

(nginx ? test : test.skip)(
  'nginx as it comes, with a long time-out: it heeds the router, which asks it not to buffer',
  async () => {
    expect(await examined(await behind('proxy_http_version 1.1; proxy_read_timeout 600s;'))).toEqual(WELL);
  },
  PATIENCE_MS,
);

(nginx ? test : test.skip)(
  'nginx that buffers and gives up on silence: both are found, each with its fix',
  async () => {
    // HTTP/1.0 to the router is nginx's default: then a part of a buffer waits for the rest of it.
    const lines = 'proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout 1s;';
    expect(await examined(await behind(lines))).toEqual({
      ...WELL,
      'stream buffering': expect.stringContaining('proxy_buffering off'),
      'idle time-out': expect.stringContaining('proxy_read_timeout'),
    });
  },
  PATIENCE_MS,
);

test(
  'what cannot be tried is said: a wrong key, no credit, no address',
  async () => {
    const url = `${router.url}/v1`;
    const details = async (target: Partial<Parameters<typeof checkPublic>[0]>) =>
      (await checkPublic({ url, key: key.text, seconds: SECONDS, model: MODEL, ...target })).map(
        ({ detail }) => detail,
      );
    const unknown = `${key.text.slice(0, -1)}${key.text.endsWith('a') ? 'b' : 'a'}`;
    expect(await details({ key: unknown })).toEqual([expect.stringContaining('invalid_api_key')]);
    expect(await details({ model: 'nobody/nothing' })).toEqual([expect.stringContaining('model_not_found')]);
    expect(await details({ url: `http://127.0.0.1:${await freePort()}/v1` })).toEqual([
      expect.stringContaining('cannot be reached'),
    ]);
  },
  PATIENCE_MS,
);
