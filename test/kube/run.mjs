// @ts-check
/**
 * `npm run test:helm`: builds what is missing (Helm 4 and 3, helm-unittest: minutes once, kept in the user's cache), then
 * checks the chart with it. Without Go only what needs none is checked, and a line says so. No cluster is started.
 */
import { spawnSync } from 'node:child_process';
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

async function main() {
  const extra = process.argv.slice(2);
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  const env = withNode(node);
  const print = join(projectRoot, 'test', 'kube', 'print-tools.ts');
  const { folder, helm } = JSON.parse(
    spawnSync(node, ['--conditions=tollgate-source', print], { encoding: 'utf8', env }).stdout,
  );

  const hasGo = spawnSync('go', ['version']).status === 0;
  if (hasGo) {
    say(`tools for the chart in ${folder}`);
    const script = join(projectRoot, 'test', 'kube', 'tools', 'tools.sh');
    const code = await run('bash', [script, folder, 'helm3', 'helm-unittest'], env, 2);
    if (code !== 0) throw new Stop('the tools could not be built: the lines above say why');
  } else {
    const part = helm ? 'Helm is here: lint, templates and schemas are checked' : 'only what needs no Helm is checked';
    say(`Go is missing, so no tools are built; ${part}`);
  }
  const checks = ['chart.test.ts', 'systemd.test.ts'];
  if (hasGo || helm) checks.push('helm.check.ts');
  const jest = join(projectRoot, 'node_modules', 'jest', 'bin', 'jest.js');
  const match = checks.flatMap((name) => ['--testMatch', `<rootDir>/test/kube/${name}`]);
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  return run(node, [...flags, jest, '--runInBand', '--testTimeout=120000', ...match, ...extra], env);
}

await runStage(main);
