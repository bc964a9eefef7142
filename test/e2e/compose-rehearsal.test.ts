import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { childEnvironment, testConfig } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { startPglite } from '@tollgate/shared/testkit/postgres';
import { startRedis } from '@tollgate/shared/testkit/redis';
import { type Copy, DockerfileParser } from 'dockerfile-ast';
import { loadCompose, root, sampleEnv } from './compose-file.ts';

/**
 * Dockerfiles without an engine: each stage gets a folder in the place of its root, COPY and the npm steps of RUN are
 * done there for real, and the result must start from what was copied alone; at last all of them serve a request together.
 * Takes minutes and the npm registry, so only `npm run test:full` does it.
 */
const work = mkdtempSync(join(tmpdir(), 'tollgate-images-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const PATH = `${dirname(process.execPath)}:${childEnvironment().PATH}`;
/** What .dockerignore keeps out of the context; the test beside checks that file's allow list. */
const IGNORED = /(^|\/)(node_modules|dist|\.tollgate)$|\.(tsbuildinfo|test\.ts)$/;

function copyFromContext(source: string, target: string): void {
  cpSync(join(root, source), target, { recursive: true, filter: (from) => !IGNORED.test(from.slice(root.length)) });
}

/** Does what the file says; answers the last stage's folder and the command that it would run. */
function rehearse(file: string): { folder: string; command: string[] } {
  const roots = new Map<string, string>();
  let stage = '';
  let cwd = '/';
  let command: string[] = [];
  const at = (path: string) => join(roots.get(stage)!, path.startsWith('/') ? path : join(cwd, path));
  for (const instruction of DockerfileParser.parse(readFileSync(join(root, file), 'utf8')).getInstructions()) {
    const words = instruction.getArguments().map((argument) => argument.getValue());
    switch (instruction.getKeyword()) {
      case 'FROM':
        stage = words.at(-2) === 'AS' ? words.at(-1)! : 'last';
        roots.set(stage, join(work, basename(file), stage));
        mkdirSync(roots.get(stage)!, { recursive: true });
        break;
      case 'WORKDIR':
        cwd = words[0]!;
        mkdirSync(at('.'), { recursive: true });
        break;
      case 'COPY': {
        const from = (instruction as Copy).getFromFlag()?.getValue();
        const paths = words.filter((word) => !word.startsWith('--'));
        const target = paths.pop()!;
        for (const path of paths) {
          const into = target.endsWith('/') || paths.length > 1 ? join(at(target), basename(path)) : at(target);
          mkdirSync(dirname(into), { recursive: true });
          if (from === undefined || from === null) copyFromContext(path, into);
          // Links stay links: node_modules/@tollgate/* point into services.
          else cpSync(join(roots.get(from)!, path), into, { recursive: true, verbatimSymlinks: true });
        }
        break;
      }
      case 'RUN':
        // The last stage only cleans the base image, which is not here.
        if (stage !== 'last') {
          // Comment lines inside a continued command are dropped by the builder.
          const script = instruction.getRawArgumentsContent()!.replace(/^\s*#.*\n/gm, '');
          const env = childEnvironment({ PATH, NODE_OPTIONS: undefined });
          const { status, stdout, stderr } = spawnSync('sh', ['-ec', script], { cwd: at('.'), env, encoding: 'utf8' });
          if (status !== 0) throw new Error(`${script}\n${stdout.slice(-3000)}\n${stderr.slice(-1000)}`);
        }
        break;
      case 'CMD':
      case 'ENTRYPOINT':
        command = JSON.parse(instruction.getRawArgumentsContent()!) as string[];
        break;
    }
  }
  return { folder: join(roots.get('last')!, '/app'), command };
}

const files = readdirSync(join(root, 'infra/docker')).filter((name) => name.endsWith('.Dockerfile'));
const built = new Map<string, { folder: string; command: string[] }>();

(testConfig().full ? describe : describe.skip)('images, rehearsed without an engine', () => {
  test.each(files)(
    '%s builds, and what it holds is enough to start',
    (name) => {
      const service = name.replace('.Dockerfile', '');
      const { folder, command } = rehearse(`infra/docker/${name}`);
      built.set(service, { folder, command });
      const { services } = loadCompose(sampleEnv);
      const environment = (services[service] ?? services[`${service}-1`])!.environment ?? {};
      const [, ...args] = command;
      const check = service === 'cli' ? '--help' : '--check-config';
      const run = spawnSync(process.execPath, [...args, check], {
        cwd: folder,
        env: { PATH, ...environment },
        encoding: 'utf8',
      });
      expect([run.status, run.stderr]).toEqual([0, '']);
      // Empty counts as absent: a service that this installation does not have.
      const given = Object.keys(environment).filter((name) => environment[name] !== '');
      if (service !== 'cli') expect(Object.keys(JSON.parse(run.stdout))).toEqual(expect.arrayContaining(given));
      // No tool of the build, no test, no source is left.
      for (const tool of ['typescript', 'jest', '@biomejs', 'openai']) {
        expect([tool, existsSync(join(folder, 'node_modules', tool))]).toEqual([tool, false]);
      }
      expect(existsSync(join(folder, `services/${service}/src/main.ts`))).toBe(false);
    },
    600_000,
  );

  test('they serve together, each by its own command and with the variables of the compose file', async () => {
    const [redis, database] = await Promise.all([startRedis(), startPglite()]);
    const children: ChildProcess[] = [];
    const at: Record<string, string> = {};
    for (const name of ['router', 'console', 'metering', 'devworker']) at[name] = `127.0.0.1:${await freePort()}`;
    const { services } = loadCompose(sampleEnv);
    /** Names of the compose network become addresses of this machine. */
    const environmentOf = async (name: string) => {
      const env = { ...services[name === 'devworker' ? 'devworker-1' : name]!.environment };
      for (const [variable, value] of Object.entries(env)) {
        const own =
          /^:\d+$/.test(value) && (variable.includes('METRICS') ? `127.0.0.1:${await freePort()}` : at[name]!);
        env[variable] =
          own || value.replaceAll(/http:\/\/(\w+)(?:-\d)?:\d+/g, (_, part: string) => `http://${at[part]}`);
      }
      return {
        ...env,
        ...('REDIS_URL' in env && { REDIS_URL: redis.url }),
        ...('DATABASE_URL' in env && { DATABASE_URL: database.url }),
        ...('TOLLGATE_SPOOL_DIR' in env && { TOLLGATE_SPOOL_DIR: join(work, 'spool') }),
        ...('TOLLGATE_FILES_DIR' in env && { TOLLGATE_FILES_DIR: join(work, 'files') }),
      };
    };
    const run = async (name: string, ...more: string[]): Promise<ChildProcess> => {
      const { folder, command } = built.get(name)!;
      const env = { PATH, LOG_LEVEL: 'error', ...(await environmentOf(name === 'cli' ? 'migrate' : name)) };
      const args = [...command.slice(1), ...more];
      const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
      children.push(child);
      return child;
    };
    const call = async (url: string, token: string, body?: object) => {
      const response = await fetch(url, {
        method: body ? 'POST' : 'GET',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      });
      const answered = (await response.json()) as { key: string; usage: { completion_tokens: number } };
      return { status: response.status, body: answered };
    };
    const patient = { deadlineMs: 120_000, everyMs: 250 };
    try {
      const [migrated] = await once(await run('cli', 'migrate'), 'exit');
      expect(migrated).toBe(0);
      for (const name of ['devworker', 'console', 'metering', 'router']) await run(name);
      for (const name of ['console', 'metering', 'router']) {
        await eventually(`${name} is ready`, async () => (await fetch(`http://${at[name]}/readyz`)).ok, patient);
      }
      const admin = sampleEnv.TOLLGATE_ADMIN_TOKEN!;
      const price = { inputUsd: '0.10', cachedInputUsd: '0.02', outputUsd: '0.40' };
      const id = 'Qwen/Qwen3-30B-A3B-FP8';
      const model = await call(`http://${at.console}/api/models`, admin, { id, maxModelLen: 32_768, price });
      const key = await call(`http://${at.console}/api/keys`, admin, { creditUsd: '1' });
      expect([model.status, key.status]).toEqual([201, 201]);
      const chat = { model: id, max_tokens: 8, messages: [{ role: 'user', content: 'hello' }] };
      const ask = () => call(`http://${at.router}/v1/chat/completions`, key.body.key, chat);
      const answer = await eventually(
        'an answer',
        async () => {
          const found = await ask();
          return found.status === 200 ? found : null;
        },
        patient,
      );
      expect(answer.body.usage.completion_tokens).toBeGreaterThan(0);
      // The dashboard's pages are in the console's image.
      const page = await (await fetch(`http://${at.console}/`, { headers: { accept: 'text/html' } })).text();
      expect(page).toContain('<div id="root">');
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all([redis.stop(), database.stop()]);
    }
  }, 600_000);
});
