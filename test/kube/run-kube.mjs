// @ts-check
/**
 * `npm run test:kube`: builds a real Kubernetes control plane (API server, controllers, scheduler, etcd; minutes once, kept
 * in the user's cache), installs the chart on it with Helm, and runs Tollgate's processes on the pods' own addresses, all
 * in network namespaces of its own. Needs Linux and Go; one line says so where it cannot be had.
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

async function main() {
  const extra = process.argv.slice(2);
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  const env = withNode(node);
  const print = spawnSync(node, ['--conditions=tollgate-source', join(here, 'print-tools.ts')], {
    encoding: 'utf8',
    env,
  });
  const { folder } = JSON.parse(print.stdout);
  const isBuilt = ['kube-apiserver', 'kwok', 'helm'].every((name) => existsSync(join(folder, 'bin', name)));
  const hasGo = spawnSync('go', ['version']).status === 0;
  const isolated = join(here, 'lab', 'isolated.sh');
  const missing = [
    ...(hasGo || isBuilt ? [] : ['Go 1.26 (to build the control plane)']),
    ...['openssl', 'curl', 'ip'].filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0),
    ...(spawnSync('bash', [isolated, 'true']).status === 0 ? [] : ['namespaces (unshare is refused here)']),
  ];
  if (missing.length > 0) {
    say(
      `no cluster test on this machine; missing: ${missing.join(', ')}. npm run test:helm checks the chart without one`,
    );
    return 0;
  }
  if (hasGo) {
    say(`control plane and tools in ${folder} (minutes the first time)`);
    for (const line of [
      [join(here, 'tools', 'tools.sh'), folder, 'helm3'],
      [join(here, 'lab', 'build.sh'), folder],
    ]) {
      if ((await run('bash', line, env, 2)) !== 0) throw new Stop('the build failed: the lines above say why');
    }
  }
  const jest = join(projectRoot, 'node_modules', 'jest', 'bin', 'jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const match = ['--testMatch', '<rootDir>/test/kube/cluster.check.ts'];
  const line = [isolated, node, ...flags, jest, '--runInBand', '--testTimeout=300000', ...match, ...extra];
  return run('bash', line, env);
}

await runStage(main);
