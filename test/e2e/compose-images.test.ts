import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type Copy, DockerfileParser, type From, type Instruction, type JSONInstruction } from 'dockerfile-ast';
import { rawCompose, root } from './compose-file.ts';

const folder = join(root, 'infra/docker');
const files = readdirSync(folder).filter((name) => name.endsWith('.Dockerfile'));
const workspaces = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).workspaces as string[];

interface Stage {
  from: string;
  name: string | null;
  instructions: Instruction[];
}

function stagesOf(file: string): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(readFileSync(join(folder, file), 'utf8')).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = instruction as From;
      stages.push({ from: from.getImage() ?? '', name: from.getBuildStage(), instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

const of = (stage: Stage, keyword: string) => stage.instructions.filter((each) => each.getKeyword() === keyword);
const words = (instruction: Instruction) => instruction.getArguments().map((argument) => argument.getValue());

/** Sources of a COPY that come from the build context, with its target. */
function copies(stage: Stage): { from: string | null; sources: string[]; target: string }[] {
  return of(stage, 'COPY').map((instruction) => {
    const from = (instruction as Copy).getFromFlag()?.getValue() ?? null;
    const all = words(instruction).filter((word) => !word.startsWith('--'));
    return { from, sources: all.slice(0, -1), target: all.at(-1)! };
  });
}

test('there is one Dockerfile per image that compose builds, and no other', () => {
  const used = Object.values(rawCompose().services).flatMap((service) => service.build?.dockerfile ?? []);
  expect([...new Set(used)].sort()).toEqual(files.map((name) => `infra/docker/${name}`).sort());
});

describe.each(files)('%s', (file) => {
  const stages = stagesOf(file);
  const last = stages.at(-1)!;

  test('parses without an unknown instruction, builds in one stage and runs in another', () => {
    const known = new Set(['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'EXPOSE', 'CMD', 'ENTRYPOINT']);
    const keywords = stages.flatMap((stage) => stage.instructions.map((each) => each.getKeyword()));
    expect(keywords.filter((keyword) => !known.has(keyword))).toEqual([]);
    expect(stages.map((stage) => stage.name)).toEqual(['build', null]);
  });

  test('base images are pinned by version, Node at or above its security floor', () => {
    for (const { from } of stages) {
      const [, major, minor, patch] = /^node:(\d+)\.(\d+)\.(\d+)-bookworm-slim$/.exec(from)!.map(Number);
      expect(major! * 1e6 + minor! * 1e3 + patch!).toBeGreaterThanOrEqual(26_012_001);
    }
  });

  test('it runs as a user without rights, in exec form, and holds no package manager', () => {
    expect(of(last, 'USER').map(words)).toEqual([['node']]);
    const start = [...of(last, 'CMD'), ...of(last, 'ENTRYPOINT')] as JSONInstruction[];
    expect(start).toHaveLength(1);
    expect(start[0]!.getOpeningBracket()).not.toBeNull();
    // Everything after USER runs without rights, so nothing is left that would need them.
    const order = last.instructions.map((each) => each.getKeyword());
    expect(order.slice(order.indexOf('USER') + 1).filter((keyword) => keyword === 'RUN' || keyword === 'COPY')).toEqual(
      [],
    );
    expect(
      of(last, 'RUN')
        .map((each) => each.getRawArgumentsContent())
        .join(),
    ).toContain('/usr/local/lib/node_modules');
  });

  test('every source of a COPY exists, and the build context lets it in', () => {
    const ignore = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');
    for (const { from, sources } of stages.flatMap(copies)) {
      for (const source of sources) {
        if (from !== null) {
          expect([from, source.startsWith('/src/')]).toEqual(['build', true]);
          continue;
        }
        expect([source, existsSync(join(root, source))]).toEqual([source, true]);
        expect(ignore).toContain(`!${source.split('/')[0]}`);
      }
    }
  });

  test('what it runs was built in the first stage and copied to the second, with every workspace that it needs', () => {
    const service = file.replace('.Dockerfile', '');
    const start = words([...of(last, 'CMD'), ...of(last, 'ENTRYPOINT')][0]!).join(' ');
    expect(start).toContain(`services/${service}/dist/main.js`);
    const needed = workspaceClosure(service);
    // The console imports nothing of the dashboard; it serves its build.
    if (service === 'console') needed.add('dashboard');
    const fromContext = copies(stages[0]!).flatMap(({ sources }) => sources);
    const fromBuild = copies(last).flatMap(({ sources }) => sources);
    for (const name of needed) {
      expect(fromContext).toContain(`services/${name}`);
      expect(fromBuild).toContain(`/src/services/${name}`);
    }
    expect(fromContext.filter((each) => /^services\/[a-z]+$/.test(each)).sort()).toEqual(
      [...needed].map((name) => `services/${name}`).sort(),
    );
  });

  test('npm ci sees the manifest of every workspace that the lock file names', () => {
    const fromContext = copies(stages[0]!).flatMap(({ sources }) => sources);
    for (const workspace of workspaces) expect(fromContext).toContain(`${workspace}/package.json`);
    const installs = of(stages[0]!, 'RUN')
      .map((each) => each.getRawArgumentsContent() ?? '')
      .filter((text) => text.includes('npm'));
    for (const text of installs) expect(text).toContain('npm ci --ignore-scripts');
  });

  test('no secret is asked for or set while it is built', () => {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text).not.toMatch(/\b(ARG|PASSWORD|TOKEN|SECRET|PEPPER|_authToken)\b/);
  });
});

/** A service's own workspace and those it depends on, by name of the folder. */
function workspaceClosure(service: string): Set<string> {
  const seen = new Set<string>();
  const todo = [service];
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'services', name, 'package.json'), 'utf8'));
    for (const dependency of Object.keys(dependencies)) {
      if (dependency.startsWith('@tollgate/')) todo.push(dependency.slice('@tollgate/'.length));
    }
  }
  return seen;
}
