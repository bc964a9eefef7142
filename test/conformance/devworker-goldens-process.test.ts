/** The devworker as a process: flags, exit statuses, signals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, jest, test } from '@jest/globals';

// A machine with other work may be slow; nothing here measures time.
jest.setTimeout(60_000);

const MAIN = fileURLToPath(new URL('../../services/devworker/src/main.ts', import.meta.url));
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function start(...flags: string[]) {
  const child = spawn(process.execPath, ['--conditions=tollgate-source', MAIN, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin' },
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (part) => {
    stdout += String(part);
  });
  child.stderr.on('data', (part) => {
    stderr += String(part);
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const url = () =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const match = /"url":"([^"]+)"/.exec(stdout);
        if (match) resolve(match[1]!);
      };
      child.stdout.on('data', look);
      void ended.then(({ stderr: text }) => reject(new Error(`ended before it listened: ${text}`)));
    });
  return { child, ended, url };
}

const ask = (url: string, body: object, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], ...body }),
  });

test('answers on the port it says, grammars included, and ends cleanly on SIGTERM', async () => {
  const worker = start('--port', '0', '--speed', '20', '--model', 'made/up');
  const url = await worker.url();
  const format = {
    type: 'json_schema',
    json_schema: { name: 'x', schema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } },
  };
  const answer = (await (await ask(url, { model: 'made/up', response_format: format })).json()) as {
    choices: { message: { content: string } }[];
  };
  expect(JSON.parse(answer.choices[0]!.message.content)).toEqual({ n: expect.any(Number) });
  worker.child.kill('SIGTERM');
  expect(await worker.ended).toMatchObject({ code: 0, signal: null });
});

test('dies without a word when a fault says so', async () => {
  const worker = start('--port', '0', '--speed', '20');
  const response = await ask(await worker.url(), { stream: true }, { 'x-devworker-fault': 'die;after=3;how=exit' });
  await expect(response.text()).rejects.toThrow();
  expect(await worker.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
});

test('--help explains itself; bad configuration lists everything and exits 78', async () => {
  const help = await start('--help').ended;
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('--max-model-len') });
  const bad = await start('--port', 'many', '--speed', '0', '--gpu', 'toaster').ended;
  expect(bad.code).toBe(78);
  for (const name of ['LISTEN', 'SPEED', 'GPU']) expect(bad.stderr).toContain(`TOLLGATE_DEVWORKER_${name}`);
  expect(await start('--nonsense').ended).toMatchObject({ code: 78, stderr: expect.stringContaining('--nonsense') });
});
