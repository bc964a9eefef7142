/**
 * The chart on a real API server, with real processes on the pods' addresses. Run by `npm run test:kube`, inside namespaces
 * of its own. The tests are one story, in order.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { eventually as poll } from '@tollgate/shared/testkit/eventually';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { root } from '../e2e/compose-file.ts';
import { KubeApi } from './api.ts';
import { chartFolder, sampleValues } from './chart-files.ts';
import { Client } from './client.ts';
import { tool, toolEnvironment, toolFolder } from './config.ts';
import { Kubelet, tokenOf } from './kubelet.ts';
import { type HelmAnswer, helm, type KubeObject } from './rendered.ts';

// One story: a repeated test would begin in its middle.
jest.retryTimes(0);

const NAMESPACE = 'lab';
/** Each look costs the API server something, and it shares the machine with everything else here. */
const eventually = <T>(what: string, probe: () => T | Promise<T>) =>
  poll(what, probe, { deadlineMs: 200_000, everyMs: 500 });
const PATIENCE_MS = 600_000;
const ADMIN_TOKEN = 'admin-token-of-the-cluster-test-0123456789';
const home = mkdtempSync(join(tmpdir(), 'tollgate-cluster-'));
const state = join(home, 'state');
const lab = join(root, 'test/kube/lab');
const program = tool('helm')!;

let api: KubeApi;
let kubelet: Kubelet;
let database: TestDatabase;
let redis: TestRedis;
let client: Client;

const script = (name: string, ...args: string[]) => {
  const env = toolEnvironment(home, { KUBECONFIG: join(state, 'kubeconfig') });
  const { status, stdout, stderr } = spawnSync('bash', [join(lab, name), ...args], { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${name}: ${stdout}${stderr}`);
};
const kubeEnv = () => ({ KUBECONFIG: join(state, 'kubeconfig') });
const helmWith = (binary: string, ...args: string[]): HelmAnswer =>
  helm(binary, home, [...args, '--namespace', NAMESPACE], kubeEnv());
/** Helm beside this process's own work: the kubelet must go on while it waits. */
async function helmNow(...args: string[]): Promise<HelmAnswer> {
  const child = spawn(program, [...args, '--namespace', NAMESPACE], { env: toolEnvironment(home, kubeEnv()) });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  const code = await new Promise<number>((resolve) => child.once('exit', (status) => resolve(status ?? 1)));
  say(`helm ${args[0]}: ${code} ${code === 0 ? '' : stderr}`);
  return { code, stdout, stderr };
}
const kubectl = (...args: string[]) => {
  const env = toolEnvironment(home, kubeEnv());
  const { status, stdout, stderr } = spawnSync(tool('kubectl')!, ['-n', NAMESPACE, ...args], { encoding: 'utf8', env });
  if (status !== 0) throw new Error(stderr);
  return stdout;
};
const say = (what: string) => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
const pods = (component: string) =>
  api.list(
    `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${encodeURIComponent(`app.kubernetes.io/component=${component}`)}`,
  );
const isReady = ({ status, metadata }: KubeObject) =>
  !metadata.deletionTimestamp && status.conditions?.some((c: KubeObject) => c.type === 'Ready' && c.status === 'True');
const readyPods = async (component: string) => (await pods(component)).filter(isReady);
const logOf = (pod: string) => readFileSync(join(home, 'kubelet', `${pod}.log`), 'utf8').slice(-3_000);

const VALUES = [
  ['podLabels.kubelab/real', 'true'],
  ['devworker.enabled', 'true'],
  ['devworker.replicaCount', '2'],
  ['devworker.extraEnv[0].name', 'TOLLGATE_DEVWORKER_SPEED'],
  ['devworker.extraEnv[0].value', '20'],
  ['router.replicaCount', '2'],
  ['router.drainDelaySeconds', '2'],
  ['router.longestStreamSeconds', '60'],
  ['router.resources.requests.cpu', '100m'],
  ['redis.standalone', 'true'],
  ['buckets', '4'],
].flatMap(([name, value]) => [/value$|real$/.test(name!) ? '--set-string' : '--set', `${name}=${value}`]);

beforeAll(async () => {
  script('up.sh', toolFolder, state);
  api = new KubeApi(state);
  script('install-crds.sh', toolFolder);
  [database, redis] = await Promise.all([
    startPglite(),
    startRedis({ args: ['--appendonly', 'yes', '--repl-backlog-ttl', '0'] }),
  ]);
  await api.call('POST', '/api/v1/namespaces', {
    metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });
  await api.call('POST', `/api/v1/namespaces/${NAMESPACE}/secrets`, {
    metadata: { name: 'tollgate' },
    stringData: {
      'key-pepper': 'a pepper for the cluster test, long enough',
      'admin-token': ADMIN_TOKEN,
      'service-token': 'service-token-of-the-cluster-test-0123456789',
      'redis-url': redis.url,
      'database-url': database.url,
      'wrong-url': 'postgres://nobody@127.0.0.1:1/none',
    },
  });
  kubelet = new Kubelet({ api, namespace: NAMESPACE, root, folder: join(home, 'kubelet') });
  kubelet.start();
}, PATIENCE_MS);

afterAll(async () => {
  await client?.stop();
  await kubelet?.stop();
  if (api) script('down.sh', state);
  await redis?.stop();
  await database?.stop();
  rmSync(home, { recursive: true, force: true });
}, PATIENCE_MS);

test(
  'the API server takes every object of every set of values, strictly',
  async () => {
    // The test pod is admitted only where its account is.
    for (const name of ['dry-tollgate', 'dry-gate', 'api']) {
      await api.call('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name } });
    }
    for (const values of [[], ...sampleValues().map((path) => ['-f', chartFolder + path])]) {
      const rendered = helmWith(program, 'template', 'dry', chartFolder, ...values);
      expect([rendered.code, rendered.stderr]).toEqual([0, '']);
      const { status, stderr } = spawnSync(
        tool('kubectl')!,
        ['-n', NAMESPACE, 'apply', '--dry-run=server', '--validate=strict', '-f', '-'],
        { encoding: 'utf8', env: toolEnvironment(home, kubeEnv()), input: rendered.stdout },
      );
      // Engines are refused nowhere: what would violate Pod Security is said as a warning here.
      const words = stderr.split('\n').filter((line) => line !== '' && !line.includes('last-applied-configuration'));
      expect([values, status, words]).toEqual([values, 0, []]);
    }
  },
  PATIENCE_MS,
);

test(
  'helm install --wait: the migration runs first, every process becomes ready, Pod Security restricted admits all',
  async () => {
    const answer = await helmNow('install', 'shop', chartFolder, ...VALUES, '--wait', '--timeout', '500s');
    const logs = answer.code === 0 ? '' : (await pods('router')).map(({ metadata }) => logOf(metadata.name)).join('\n');
    expect([answer.code, answer.stderr, logs]).toEqual([0, expect.anything(), '']);
    expect((await readyPods('router')).length).toBe(2);
    expect((await readyPods('metering')).length).toBe(2);
    expect((await readyPods('console')).length).toBe(1);
    say('installed');
    await eventually('both look-alikes', async () => (await readyPods('devworker')).length === 2);
    client = new Client(api, NAMESPACE, ADMIN_TOKEN);
    await client.open();
    say('first answer');
    expect(kubelet.errors).toEqual([]);
  },
  PATIENCE_MS,
);

test(
  'tokens: a router may list and watch EndpointSlices of its namespace, and nothing else; the others nothing at all',
  async () => {
    const slices = (namespace: string) => `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const router = new KubeApi(state, await tokenOf(api, NAMESPACE, 'shop-tollgate-router'));
    const other = new KubeApi(state, await tokenOf(api, NAMESPACE, 'shop-tollgate'));
    const statusOf = (as: KubeApi, method: string, path: string, body?: object) => as.status(method, path, body);
    expect(await statusOf(router, 'GET', slices(NAMESPACE))).toBe(200);
    expect(await statusOf(router, 'GET', `${slices(NAMESPACE)}?watch=true`)).toBe(200);
    expect(await statusOf(router, 'GET', slices('default'))).toBe(403);
    expect(await statusOf(router, 'POST', slices(NAMESPACE), { metadata: { name: 'x' } })).toBe(403);
    for (const path of ['secrets', 'pods', 'configmaps', 'secrets/tollgate']) {
      expect([path, await statusOf(router, 'GET', `/api/v1/namespaces/${NAMESPACE}/${path}`)]).toEqual([path, 403]);
    }
    expect(await statusOf(other, 'GET', slices(NAMESPACE))).toBe(403);
  },
  PATIENCE_MS,
);

test(
  'helm test: tollgate doctor finds nothing wrong',
  async () => {
    const answer = await helmNow('test', 'shop', '--timeout', '300s');
    expect([answer.code, answer.code === 0 ? '' : logOf('shop-tollgate-test')]).toEqual([0, '']);
  },
  PATIENCE_MS,
);

test(
  'under load, engines scale out and in, are rolled, and one is killed: no request fails',
  async () => {
    const engines = 'statefulset/shop-tollgate-devworker';
    const load = client.load(2);
    await client.answered(10);
    say('load runs');
    kubectl('scale', engines, '--replicas=3');
    await eventually('three workers serve', async () => (await client.workers()).length === 3);
    await client.answered(10);
    kubectl('scale', engines, '--replicas=2');
    await eventually('two are left', async () => (await client.workers()).length === 2);
    await client.answered(10);
    kubectl('rollout', 'restart', engines);
    const before = new Set((await pods('devworker')).map(({ metadata }) => metadata.uid));
    await eventually('all are new', async () => {
      const now = await readyPods('devworker');
      return now.length === 2 && now.every(({ metadata }) => !before.has(metadata.uid));
    });
    await client.answered(10);
    // Its address stays in the slice until the kubelet has noticed: that costs a retry, no request.
    kubelet.kill('shop-tollgate-devworker-0');
    await client.answered(20);
    say('one engine was killed');
    expect(await load.end()).toEqual([]);
  },
  PATIENCE_MS,
);

test(
  'under load, the routers are rolled one after the other: no request fails; a budget keeps one up',
  async () => {
    const load = client.load(2);
    await client.answered(5);
    const before = new Set((await pods('router')).map(({ metadata }) => metadata.uid));
    kubectl('rollout', 'restart', 'statefulset/shop-tollgate-router');
    await eventually('both are new', async () => {
      const now = await readyPods('router');
      return now.length === 2 && now.every(({ metadata }) => !before.has(metadata.uid));
    });
    await client.answered(5);
    const evict = async (pod: string) =>
      (
        await api.call('POST', `/api/v1/namespaces/${NAMESPACE}/pods/${pod}/eviction`, {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: pod, namespace: NAMESPACE },
        })
      ).status;
    await eventually('the budget has counted them', async () => {
      const path = `/apis/policy/v1/namespaces/${NAMESPACE}/poddisruptionbudgets/shop-tollgate-router`;
      return (await api.call('GET', path)).body.status.disruptionsAllowed === 1;
    });
    const [first, second] = (await readyPods('router')).map(({ metadata }) => metadata.name as string);
    expect([await evict(first!), await evict(second!)]).toEqual([201, 429]);
    await eventually('both are back', async () => (await readyPods('router')).length === 2);
    expect(await load.end()).toEqual([]);
  },
  PATIENCE_MS,
);

test(
  'upgrade with a failing migration: it is refused, and the pods that ran go on; rollback and a good upgrade work',
  async () => {
    const uids = async () => (await pods('router')).map(({ metadata }) => metadata.uid).sort();
    const before = await uids();
    const bad = ['--set', 'postgres.urlKey=wrong-url', '--set', 'migrationJob.backoffLimit=0'];
    const refused = await helmNow('upgrade', 'shop', chartFolder, ...VALUES, ...bad, '--wait', '--timeout', '100s');
    expect([refused.code === 0, refused.stderr]).toEqual([false, expect.stringMatching(/migrate/)]);
    expect(await uids()).toEqual(before);
    expect(await client.ask()).toBe(200);
    const upgraded = await helmNow(
      ...['upgrade', 'shop', chartFolder, ...VALUES, '--set', 'router.workerConcurrency=64'],
      ...['--wait', '--timeout', '500s'],
    );
    expect([upgraded.code, upgraded.stderr]).toEqual([0, expect.anything()]);
    expect(await uids()).not.toEqual(before);
    const back = await helmNow('rollback', 'shop', '1', '--wait', '--timeout', '500s');
    expect([back.code, back.stderr]).toEqual([0, expect.anything()]);
    await eventually('it serves', async () => (await client.ask()) === 200);
  },
  PATIENCE_MS * 2,
);

test(
  'the ledger balances: every answer that a client got is billed once',
  async () => {
    const { credited, posted, held, available, billed } = await eventually('nothing is held', async () => {
      const books = await client.books();
      return books.held === 0n && books.billed === client.successes ? books : null;
    });
    expect(credited).toBe(posted + held + available);
    expect(billed).toBe(client.successes);
  },
  PATIENCE_MS,
);

test(
  'helm uninstall: only the spools, the Secret and hook objects stay',
  async () => {
    await client.stop();
    const answer = await helmNow('uninstall', 'shop', '--wait', '--timeout', '300s');
    expect([answer.code, answer.stderr]).toEqual([0, expect.anything()]);
    await eventually('no pods', async () => (await pods('router')).length + (await pods('metering')).length === 0);
    const kinds = 'statefulset,deployment,service,networkpolicy,poddisruptionbudget,role,rolebinding,serviceaccount';
    expect(kubectl('get', kinds, '-l', 'app.kubernetes.io/instance=shop', '-o', 'name')).toBe('');
    expect(kubectl('get', 'pvc', '-o', 'name').match(/spool-shop-tollgate-router/g)?.length).toBeGreaterThan(0);
    expect(kubelet.errors).toEqual([]);
  },
  PATIENCE_MS,
);

const helm3 = tool('helm3');
(helm3 ? test : test.skip)(
  'Helm 3 installs, upgrades and removes the same chart',
  () => {
    // Here without processes: pods become ready by themselves.
    const values = ['--set', 'devworker.enabled=true', '--set', 'redis.standalone=true'];
    for (const line of [
      ['install', 'three', chartFolder, ...values, '--wait', '--timeout', '60s'],
      ['upgrade', 'three', chartFolder, ...values, '--set', 'logLevel=debug', '--wait', '--timeout', '60s'],
      ['test', 'three', '--timeout', '60s'],
      ['uninstall', 'three', '--wait', '--timeout', '60s'],
    ]) {
      const answer = helmWith(helm3!, ...line);
      expect([line[0], answer.code, answer.code === 0 ? '' : answer.stderr]).toEqual([line[0], 0, '']);
    }
  },
  PATIENCE_MS,
);
