// @ts-check
/**
 * `npm run test:helm`: the chart in two parts. Without a cluster: lint, templates over a matrix of values, schemas of every
 * kind, helm-unittest. On a real control plane (API server, controllers, scheduler, etcd, no containers): install with hooks,
 * upgrade, rollback, tests, rights, drains, and Tollgate's processes on the pods' own addresses. `npm run test:kube` is the
 * second part alone. What is missing is built from Go modules once and kept in the user's cache; without Go one line says so
 * and the first part alone is done.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  checkNodeVersion,
  ensureInstalled,
  projectRoot,
  run,
  serviceNode,
  withNode,
} from '../../services/cli/bootstrap/project.mjs';
import { runStage, Stop, say } from '../../services/cli/bootstrap/say.mjs';

const here = join(projectRoot, 'test', 'kube');
const isolated = join(here, 'lab', 'isolated.sh');
const hasGo = () => spawnSync('go', ['version']).status === 0;

/** @typedef {{ node: string, env: NodeJS.ProcessEnv, folder: string, helm: boolean, extra: string[] }} Machine */

/**
 * Jest over some files of this folder.
 * @param {Machine} machine
 * @param {string[]} names
 * @param {number} limitMs
 * @param {string[]} [before] a command that starts it
 */
function jest({ node, env, extra }, names, limitMs, before = []) {
  const script = join(projectRoot, 'node_modules', 'jest', 'bin', 'jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const match = names.flatMap((name) => ['--testMatch', `<rootDir>/test/kube/${name}`]);
  const line = [...before, node, ...flags, script, '--runInBand', `--testTimeout=${limitMs}`, ...match, ...extra];
  return run(/** @type {string} */ (line[0]), line.slice(1), env);
}

/** @param {Machine} machine @param {string[]} args a script of this folder with its arguments */
async function build({ env }, ...args) {
  if ((await run('bash', args, env, 2)) !== 0) throw new Stop('the build failed: the lines above say why');
}

/** @param {Machine} machine */
async function withoutCluster(machine) {
  if (hasGo()) {
    say(`tools for the chart in ${machine.folder}`);
    await build(machine, join(here, 'tools', 'tools.sh'), machine.folder, 'helm3', 'helm-unittest');
  } else {
    const part = machine.helm
      ? 'Helm is here: lint, templates and schemas are checked'
      : 'only what needs no Helm is checked';
    say(`Go is missing, so no tools are built; ${part}`);
  }
  const checks = ['chart.test.ts', 'systemd.test.ts', 'sbom.test.ts'];
  if (hasGo() || machine.helm) checks.push('helm.check.ts');
  return jest(machine, checks, 120_000);
}

/** What the control plane needs and this machine lacks. @param {Machine} machine */
function missing({ folder }) {
  const isBuilt = ['kube-apiserver', 'kwok', 'helm'].every((name) => existsSync(join(folder, 'bin', name)));
  return [
    ...(hasGo() || isBuilt ? [] : ['Go 1.26 (to build the control plane)']),
    ...['openssl', 'curl', 'ip'].filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0),
    ...(spawnSync('bash', [isolated, 'true']).status === 0 ? [] : ['namespaces (unshare is refused here)']),
  ];
}

/** @param {Machine} machine */
async function onCluster(machine) {
  const lacks = missing(machine);
  if (lacks.length > 0) {
    say(`no control plane on this machine; missing: ${lacks.join(', ')}. The chart was checked without one at most`);
    return 0;
  }
  if (hasGo()) {
    say(`control plane and tools in ${machine.folder} (minutes the first time)`);
    await build(machine, join(here, 'tools', 'tools.sh'), machine.folder, 'helm3');
    await build(machine, join(here, 'lab', 'build.sh'), machine.folder);
  }
  return jest(machine, ['cluster.check.ts'], 300_000, ['bash', isolated]);
}

async function main() {
  const extra = process.argv.slice(2);
  const only = extra[0] === '--cluster' || extra[0] === '--offline' ? extra.shift() : null;
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  const env = withNode(node);
  const print = join(here, 'print-tools.ts');
  const told = spawnSync(node, ['--conditions=tollgate-source', print], { encoding: 'utf8', env });
  const machine = { node, env, extra, ...JSON.parse(told.stdout) };
  const first = only === '--cluster' ? 0 : await withoutCluster(machine);
  const second = only === '--offline' ? 0 : await onCluster(machine);
  return first || second;
}

await runStage(main);
