/**
 * Server programs from the Debian archive without a right on the machine: with stand-ins for apt and dpkg that fail as the real
 * ones do, and, in `npm run test:full`, with the archive itself.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { childEnvironment, testConfig } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { findNginx, onPath } from '../../services/shared/src/runtime/binaries.mjs';

const module_ = fileURLToPath(new URL('../../services/cli/bootstrap/debian.mjs', import.meta.url));
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-debian-'));
  folders.push(folder);
  return folder;
}

/** What `ensureNginx` answers in a process of its own, on a machine that has no nginx. */
function ensure(root: string, path: string): boolean {
  const where = JSON.stringify({ path: '', root, system: join(root, 'nothing') });
  const code = `const { ensureNginx } = await import(${JSON.stringify(module_)}); process.stdout.write(String(ensureNginx(${where})));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env: childEnvironment({ PATH: path, NODE_OPTIONS: undefined }),
  });
  if (status !== 0) throw new Error(stderr);
  return stdout === 'true';
}

/** Programs named like Debian's; `$ROOT` is the folder of the test, `log` what was asked of them. */
function standIns(scripts: Record<string, string>): { path: string; calls: () => string[] } {
  const folder = newFolder();
  const log = join(folder, 'log');
  writeFileSync(log, '');
  for (const [name, body] of Object.entries(scripts)) {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> ${log}\n${body}\n`);
    chmodSync(path, 0o755);
  }
  return {
    path: `${folder}:/usr/bin:/bin`,
    calls: () => readFileSync(log, 'utf8').trim().split('\n'),
  };
}

/** A package is a file with its own name in it; unpacking gives the program, or the library. */
const DPKG = `case "$2" in
  *nginx_*) mkdir -p "$3/usr/sbin"; echo '#!/bin/sh' > "$3/usr/sbin/nginx"; chmod 755 "$3/usr/sbin/nginx";;
  *libdemo*) mkdir -p "$3/usr/lib/x86_64-linux-gnu"; touch "$3/usr/lib/x86_64-linux-gnu/libdemo.so.1";;
esac`;

test('stale package lists are refreshed beside the project, missing libraries are fetched, nothing else is left', () => {
  const root = newFolder();
  const { path, calls } = standIns({
    'apt-get': `case "$*" in
      *Dir::State::lists*update*) exit 0;;
      *Dir::State::lists*download*) for name in "$@"; do case "$name" in nginx|nginx-light|libdemo1) touch "$name"_1_amd64.deb;; esac; done;;
      *) exit 100;;
    esac`,
    'apt-cache': `echo '  Depends: libdemo1'; echo '  Depends: libc6'`,
    dpkg: DPKG,
    ldd: `[ -e ${root}/usr/lib/x86_64-linux-gnu/libdemo.so.1 ] || echo '	libdemo.so.1 => not found'`,
  });
  expect(ensure(root, path)).toBe(true);
  expect(findNginx({ path: '', root, system: join(root, 'nothing') })).toEqual({
    program: join(root, 'usr/sbin/nginx'),
    env: { LD_LIBRARY_PATH: expect.stringContaining(join(root, 'usr/lib/x86_64-linux-gnu')) },
    origin: 'unpacked',
  });
  const asked = calls().filter((line) => line.startsWith('apt-get'));
  expect(asked.map((line) => line.replace(/-o \S+ ?/g, ''))).toEqual([
    'apt-get download nginx-light nginx',
    'apt-get update',
    'apt-get download nginx-light nginx',
    'apt-get download libdemo1',
  ]);
  // Never the machine's own package database, and no install: that would start a server on port 80.
  expect(calls().filter((line) => /install|dpkg -i/.test(line))).toEqual([]);
  expect(readdirSync(root)).toEqual(['usr']);
});

test('without an archive the answer is no, and nothing is left behind', () => {
  const root = newFolder();
  expect(ensure(root, standIns({ 'apt-get': 'exit 100', dpkg: DPKG, ldd: '', 'apt-cache': '' }).path)).toBe(false);
  expect(readdirSync(root)).toEqual([]);
});

test('a machine without apt is left alone', () => {
  const root = newFolder();
  const folder = newFolder();
  mkdirSync(join(folder, 'bin'));
  expect(ensure(root, join(folder, 'bin'))).toBe(false);
  expect(readdirSync(root)).toEqual([]);
});

const isReal = testConfig().full && process.platform === 'linux' && onPath('apt-get') !== null;
(isReal ? test : test.skip)(
  'an nginx from the archive itself serves a page',
  async () => {
    const root = newFolder();
    expect(ensure(root, onPathOf('apt-get'))).toBe(true);
    expect(existsSync(join(root, 'usr/sbin/nginx'))).toBe(true);
    const found = findNginx({ path: '', root, system: join(root, 'nothing') })!;
    const folder = newFolder();
    mkdirSync(join(folder, 'temp'));
    writeFileSync(join(folder, 'index.html'), 'from the archive');
    const port = await freePort();
    const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/temp/${name};`,
    );
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off; master_process off; pid ${folder}/pid; error_log stderr crit; events {}
      http { access_log off; ${temps.join(' ')} server { listen 127.0.0.1:${port}; root ${folder}; } }`,
    );
    const child = spawn(found.program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
      env: childEnvironment(found.env),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    try {
      const text = await eventually('it answers', async () => (await fetch(`http://127.0.0.1:${port}/`)).text());
      expect(text).toBe('from the archive');
    } finally {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
  },
  300_000,
);

/** This machine's own PATH, as far as Debian's tools need it. */
function onPathOf(program: string): string {
  const found = onPath(program)!;
  return `${found.slice(0, found.lastIndexOf('/'))}:/usr/sbin:/usr/bin:/sbin:/bin`;
}
