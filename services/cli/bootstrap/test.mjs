// @ts-check
/**
 * `npm test [-- jest arguments]`: sets up a bare machine, then lint, types, and every test. With jest arguments only
 * those tests run, without lint and types. `--full` runs the counts that issues name and writes docs/proofs.md; with
 * `--again` only the files that failed in the full run before, whose results it is added to.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ensureDashboard } from './dashboard.mjs';
import {
  CHROMIUM_HELP,
  ensureChromium,
  ensureNginx,
  ensurePostgres,
  ensureRedis,
  NGINX_HELP,
  REDIS_HELP,
} from './debian.mjs';
import {
  checkNodeVersion,
  ensureInstalled,
  projectRoot,
  run,
  serviceNode,
  tscArguments,
  withNode,
  workFolder,
} from './project.mjs';
import { failedFiles, filesOf, renderProofs } from './proofs.mjs';
import { runStage, Stop, say } from './say.mjs';

const NO_POSTGRES =
  "PostgreSQL's own server is not here and could not be fetched: its concurrency tests are skipped (Debian: sudo apt-get install postgresql)";
/** A single test may take this long unless it says otherwise: on a busy machine a process takes seconds to start. */
const TEST_LIMIT_MS = 60_000;
const CI_SEED = 20_261_121;
const FULL_TEST_LIMIT_MS = 3_600_000;

async function main() {
  const full = process.argv.includes('--full');
  const again = full && process.argv.includes('--again');
  const extra = process.argv.slice(2).filter((argument) => argument !== '--full' && argument !== '--again');
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  if (!ensureRedis()) throw new Stop(REDIS_HELP.replace(' or set REDIS_URL', ''));
  if (!ensurePostgres()) {
    if (full) throw new Stop(NO_POSTGRES.replace('its concurrency tests are skipped', 'the full run needs it'));
    say(NO_POSTGRES);
  }
  if (!ensureChromium()) {
    if (full) throw new Stop(CHROMIUM_HELP.replace('tests in a browser are skipped', 'the full run needs it'));
    say(CHROMIUM_HELP);
  }
  if (!ensureNginx()) {
    if (full)
      throw new Stop(NGINX_HELP.replace('the test of an installation behind it is skipped', 'the full run needs it'));
    say(NGINX_HELP);
  }
  await ensureDashboard(node);
  const env = withNode(node);

  if (extra.length === 0) {
    say('lint (biome)');
    const biome = join(projectRoot, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
    if ((await run(node, [biome, 'check', '--error-on-warnings', '.'], env)) !== 0) throw new Stop('lint failed');
    say('types (tsc -b)');
    if ((await run(node, tscArguments(['-b']), env)) !== 0) throw new Stop('the types do not check');
  }

  const proofsFile = join(workFolder(), 'proofs.jsonl');
  const reportFile = join(workFolder(), 'full-run.json');
  const runsFile = join(workFolder(), 'full-runs.json');
  /** @type {import('./proofs.mjs').FullRun[]} */
  const runs = again && existsSync(runsFile) ? JSON.parse(readFileSync(runsFile, 'utf8')) : [];
  if (again) extra.push(...failedFiles(runs));
  if (again && extra.length === 0) throw new Stop('nothing failed in a full run that is known here');
  // Every run explores other seeds, but for CI: a landing must not hang on luck.
  const freshSeed = process.env.CI ? CI_SEED : Math.floor(Math.random() * 2 ** 32);
  const seed = Number(process.env.TOLLGATE_TEST_SEED ?? freshSeed);
  env.TOLLGATE_TEST_SEED = String(seed);
  if (full) {
    if (!again) rmSync(proofsFile, { force: true });
    rmSync(reportFile, { force: true });
    env.TOLLGATE_TEST_FULL = '1';
    env.TOLLGATE_PROOFS_FILE = proofsFile;
  } else {
    // A variable left over from somebody's shell must not turn the small run into the large one.
    delete env.TOLLGATE_TEST_FULL;
    delete env.TOLLGATE_PROOFS_FILE;
  }
  say(`tests (jest${full ? ', full counts' : ''}, seed ${seed}: repeat with TOLLGATE_TEST_SEED=${seed})`);
  const nodeFlags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const jest = join(projectRoot, 'node_modules', 'jest', 'bin', 'jest.js');
  // Tests start servers of their own: more workers than this only make them wait for each other.
  const workers = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));
  // The long suites of a full run mostly wait for what they killed, so that two go well together.
  const flags = [`--maxWorkers=${full ? 2 : workers}`, `--testTimeout=${full ? FULL_TEST_LIMIT_MS : TEST_LIMIT_MS}`];
  const isWhole = full && (again || extra.length === 0);
  if (isWhole) flags.push('--json', `--outputFile=${reportFile}`);
  if (again) flags.push('--runTestsByPath');
  const startedMs = Date.now();
  const code = await run(node, [...nodeFlags, jest, ...flags, ...extra], env);
  if (isWhole && existsSync(reportFile)) {
    const git = (/** @type {string[]} */ args) =>
      String(spawnSync('git', args, { cwd: projectRoot, encoding: 'utf8' }).stdout).trim();
    const changed = git(['status', '--porcelain', '--', ':!docs/proofs.md']) !== '';
    runs.push({
      commit: git(['rev-parse', 'HEAD']) + (changed ? ' with local changes' : ''),
      seed,
      date: new Date().toISOString(),
      minutes: Math.round((Date.now() - startedMs) / 60_000),
      files: filesOf(JSON.parse(readFileSync(reportFile, 'utf8')), projectRoot),
    });
    writeFileSync(runsFile, JSON.stringify(runs));
    const lines = existsSync(proofsFile) ? readFileSync(proofsFile, 'utf8') : '';
    writeFileSync(join(projectRoot, 'docs', 'proofs.md'), renderProofs(lines, runs));
  }
  return code;
}

await runStage(main);
