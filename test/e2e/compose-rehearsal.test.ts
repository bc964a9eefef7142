import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { childEnvironment, testConfig } from '@tollgate/shared/testkit/config';
import { type Copy, DockerfileParser } from 'dockerfile-ast';
import { loadCompose, root, sampleEnv } from './compose-file.ts';

/**
 * Dockerfiles without an engine: each stage gets a folder in the place of its root, COPY and the npm steps of RUN are
 * done there for real, and the result must start from what was copied alone. Takes minutes and the npm registry, so
 * only `npm run test:full` does it.
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

(testConfig().full ? describe : describe.skip)('images, rehearsed without an engine', () => {
  test.each(files)(
    '%s builds, and what it holds is enough to start',
    (name) => {
      const service = name.replace('.Dockerfile', '');
      const { folder, command } = rehearse(`infra/docker/${name}`);
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
      if (service !== 'cli')
        expect(Object.keys(JSON.parse(run.stdout))).toEqual(expect.arrayContaining(Object.keys(environment)));
      // No tool of the build, no test, no source is left.
      for (const tool of ['typescript', 'jest', '@biomejs', 'openai']) {
        expect([tool, existsSync(join(folder, 'node_modules', tool))]).toEqual([tool, false]);
      }
      expect(existsSync(join(folder, `services/${service}/src/main.ts`))).toBe(false);
    },
    600_000,
  );
});
