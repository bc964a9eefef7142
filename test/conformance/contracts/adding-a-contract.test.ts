/** docs/adding-a-contract.md adds a contract: its file beside the product's own, its command against a started router. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CONTRACTS_FOLDER } from '@tollgate/router/contract/load-profiles';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { ask, lastOf, startWorld, type World } from './kit.ts';

const PAGE = readFileSync(new URL('../../../docs/adding-a-contract.md', import.meta.url), 'utf8');
const block = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(PAGE)![1]!;

const folder = mkdtempSync(join(tmpdir(), 'tollgate-contracts-'));
let world: World;
beforeAll(async () => {
  cpSync(CONTRACTS_FOLDER, folder, { recursive: true });
  writeFileSync(join(folder, 'acme.yaml'), block('yaml'));
  world = await startWorld({ TOLLGATE_CONTRACTS_DIR: folder, TOLLGATE_CONTRACT_HOSTS: 'api.example.com=acme' });
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const post = (body: unknown) =>
  fetch(`${world.router.url}/acme/v2/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${world.key.text}` },
    body: JSON.stringify(body),
  });

test("the page's command gets the page's answer", async () => {
  const script = block('sh').replaceAll('http://127.0.0.1:8080', world.router.url);
  expect(script).toContain(world.router.url);
  const env = childEnvironment({ TOLLGATE_KEY: world.key.text });
  const { stdout } = await promisify(execFile)('sh', ['-c', `${script.trimEnd()} -w '\\n%{http_code}'`], { env });
  const [body, status] = stdout.trimEnd().split('\n');
  expect([status, JSON.parse(body!).error.param]).toEqual(['422', 'temperature']);
});

test('its parameters reach the worker, the log, or nobody, as the file says', async () => {
  const answer = await post(ask({ top_k: 'anything', trace: 'trace-7', top_p: 0.5 }));
  expect(answer.status).toBe(200);
  expect(lastOf(world.sent)).toMatchObject({ temperature: 0.5, top_p: 0.5 });
  for (const name of ['top_k', 'trace']) expect(lastOf(world.sent)).not.toHaveProperty(name);
  const id = answer.headers.get('x-request-id');
  const record = await eventually('the record', async () =>
    (await world.around.records()).find(({ requestId }) => requestId === id),
  );
  expect(record.chatId).toBe('trace-7');
  expect((await post(ask({ seed: 1 }))).status).toBe(400);
});

test('the other contracts are as they were', async () => {
  expect((await world.call('openai', ask({ seed: 1, temperature: 1.5 }))).status).toBe(200);
});
