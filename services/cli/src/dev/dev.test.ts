import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Child, type ChildPlan, startChild } from './child.ts';
import { loadState, openHome, saveDevFile, saveState, wipeHome } from './home.ts';
import { takeLock } from './lock.ts';
import { claimPort, preferPort } from './ports.ts';
import { endProcess, isAlive, markOf } from './processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-dev-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const logger = createLogger({ service: 'test', level: 'silent' });

/** A process that sleeps until it is told to stop. */
function sleeper() {
  return spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
}

describe('home', () => {
  test('secrets are made once, kept, and readable by the owner only', () => {
    const home = openHome(join(folder, 'home'));
    const state = loadState(home);
    expect(state.pepper).toMatch(/^[0-9a-f]{64}$/);
    expect(loadState(home)).toEqual(state);
    saveState(home, { ...state, apiKey: 'k' });
    expect(loadState(home).apiKey).toBe('k');
    saveDevFile(home, {
      routerUrl: '',
      consoleUrl: '',
      metricsUrl: '',
      apiKey: '',
      adminToken: '',
      adminEmail: '',
      adminPassword: '',
    });
    for (const path of [home.state, home.dev]) expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('a reset wipes data and secrets, not unpacked programs', () => {
    const home = openHome(join(folder, 'reset'));
    const before = loadState(home);
    openHome(join(home.folder, 'debian'));
    writeFileSync(join(home.redis, 'a.aof'), 'x');
    wipeHome(home);
    expect(existsSync(join(home.redis, 'a.aof'))).toBe(false);
    expect(existsSync(join(home.folder, 'debian'))).toBe(true);
    expect(loadState(home).pepper).not.toBe(before.pepper);
  });
});

describe('lock', () => {
  const path = join(folder, 'a.lock');
  test('is refused while its owner lives, naming it', () => {
    const first = takeLock(path);
    expect(first.taken).toBe(true);
    expect(takeLock(path)).toMatchObject({ taken: false, owner: { pid: process.pid } });
    if (first.taken) first.release();
    const again = takeLock(path);
    expect(again.taken).toBe(true);
    if (again.taken) again.release();
  });

  test('of a process that was killed is taken over; a recycled process id does not hold it', async () => {
    const owner = sleeper();
    await once(owner, 'spawn');
    const mark = markOf(owner.pid!)!;
    writeFileSync(path, JSON.stringify(mark));
    expect(takeLock(path).taken).toBe(false);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const taken = takeLock(path);
    expect(taken.taken).toBe(true);
    if (taken.taken) taken.release();
    writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'another time' }));
    expect(takeLock(path).taken).toBe(true);
    rmSync(path);
    writeFileSync(path, 'half a fi');
    expect(takeLock(path).taken).toBe(true);
    rmSync(path);
  });
});

test('a leftover process is ended', async () => {
  const left = sleeper();
  await once(left, 'spawn');
  const mark = markOf(left.pid!)!;
  const gone = once(left, 'exit');
  await endProcess(mark, 5_000);
  await gone;
  expect(isAlive(mark)).toBe(false);
});

test('a taken port is named with its purpose; an inner one moves aside', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await expect(claimPort('router', { host: '127.0.0.1', port }, '--router-port')).rejects.toThrow(
    `port ${port} on 127.0.0.1 (router) is taken`,
  );
  expect((await preferPort(port)).port).not.toBe(port);
  server.close();
});

describe('supervised child', () => {
  let child: Child | undefined;
  afterEach(() => child?.stop());
  const plan = (name: string, script: string, ready: () => Promise<boolean>): ChildPlan => ({
    name,
    command: process.execPath,
    args: ['-e', script],
    env: {},
    logFile: join(folder, `${name}.log`),
    ipc: true,
    graceMs: 5_000,
    ready,
  });
  const quiet = { started: () => {}, crashed: () => {} };

  test('is started again after a crash, and not after a stop', async () => {
    const pids: number[] = [];
    child = startChild(
      plan('crashes', 'setInterval(() => {}, 1000)', async () => true),
      logger,
      {
        ...quiet,
        started: (_, mark) => void pids.push(mark!.pid),
      },
    );
    await child.untilReady(10_000);
    process.kill(pids[0]!, 'SIGKILL');
    await eventually('a second process', () => pids.length === 2);
    await child.stop();
    expect(markOf(pids[1]!)).toBeNull();
    expect(pids).toHaveLength(2);
  });

  test('that never becomes ready fails with its name; a refused configuration at once', async () => {
    child = startChild(
      plan('broken', 'process.exit(1)', async () => false),
      logger,
      quiet,
    );
    await expect(child.untilReady(20_000)).rejects.toThrow('broken ended 3 times before it was ready');
    const starts: string[] = [];
    child = startChild(
      plan('refuses', 'process.exit(78)', async () => false),
      logger,
      {
        ...quiet,
        started: (name) => void starts.push(name),
      },
    );
    await expect(child.untilReady(20_000)).rejects.toThrow('refuses refuses its configuration');
    expect(starts).toHaveLength(1);
  });

  test('that ignores SIGTERM is killed after its grace, and its output is in its log', async () => {
    const stubborn = {
      ...plan(
        'stubborn',
        "process.on('SIGTERM', () => {}); console.log('started'); setInterval(() => {}, 1000)",
        async () => true,
      ),
      graceMs: 100,
    };
    child = startChild(stubborn, logger, quiet);
    await eventually('its first line', () => readFileSync(stubborn.logFile, 'utf8').includes('started'));
    await child.stop();
  });
});
