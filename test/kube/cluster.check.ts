/**
 * The chart on a real API server, with real processes on the pods' addresses. Run by `npm run test:kube`, inside namespaces
 * of its own. The tests are one story, in order.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { eventually as poll } from '@tollgate/shared/testkit/eventually';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { root } from '../e2e/compose-file.ts';
import { KubeApi } from './api.ts';
import { chartFolder, sampleValues } from './chart-files.ts';
import { Client, SLEEPY_MODEL } from './client.ts';
import { tool, toolEnvironment, toolFolder } from './config.ts';
import { Kubelet, tokenOf } from './kubelet.ts';
import { Prometheus, prometheusProgram } from './prometheus.ts';
import { type HelmAnswer, helm, type KubeObject, podOf, render } from './rendered.ts';

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

/** Ends all load of a test that failed in its middle: it must not spoil what the next ones count. */
const loads: { end(): Promise<string[]> }[] = [];
function loadOf(lanes: number) {
  const load = client.load(lanes);
  loads.push(load);
  return load;
}
afterEach(async () => {
  for (const load of loads.splice(0)) await load.end();
});

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
/** kubectl beside this process's own work. */
async function kubectlNow(...args: string[]): Promise<string> {
  const child = spawn(tool('kubectl')!, ['-n', NAMESPACE, ...args], { env: toolEnvironment(home, kubeEnv()) });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
  const code = await new Promise<number>((resolve) => child.once('exit', (status) => resolve(status ?? 1)));
  return code === 0 ? '' : output;
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

/** Requests that routers have sent to a second worker. */
async function retries(): Promise<number> {
  let sum = 0;
  for (const { status } of await readyPods('router')) {
    const text = await (await fetch(`http://${status.podIP}:9100/metrics`)).text();
    for (const [, value] of text.matchAll(/^tollgate_upstream_retries_total\{.*\} (\d+)$/gm)) sum += Number(value);
  }
  return sum;
}

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
  ['retrieval.enabled', 'true'],
  ['retrieval.replicaCount', '1'],
  ['retrieval.embeddingModels[0]', 'my-org/embedder=1024'],
  ['engines[0].name', 'sleeper'],
  ['engines[0].modelURL', SLEEPY_MODEL],
  ['engines[0].requestCPU', '1'],
  ['engines[0].args[0]', '--model'],
  ['engines[0].args[1]', SLEEPY_MODEL],
  ['engines[0].extraEnv[0].name', 'TOLLGATE_DEVWORKER_LISTEN'],
  ['engines[0].extraEnv[0].value', ':8000'],
  ['engines[0].keda.enabled', 'true'],
  ['engines[0].keda.targetRequests', '64'],
  ['engines[0].keda.serverAddress', 'http://prometheus:9090'],
].flatMap(([name, value]) => [/value$|real$/.test(name!) ? '--set-string' : '--set', `${name}=${value}`]);

const helm3 = tool('helm3');
const MATRIX = [[], ...sampleValues().map((path) => ['-f', chartFolder + path])];
/** A pod is admitted only where its account is. */
async function accounts(found: Iterable<string>): Promise<void> {
  for (const name of new Set(found)) {
    await api.call('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name } });
  }
}

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
  'the API server takes every object of every set of values from both Helms, strictly',
  async () => {
    for (const binary of [program, ...(helm3 ? [helm3] : [])]) {
      for (const values of MATRIX) {
        const rendered = helmWith(binary, 'template', 'dry', chartFolder, ...values);
        expect([rendered.code, rendered.stderr]).toEqual([0, '']);
        await accounts([...rendered.stdout.matchAll(/serviceAccountName: (\S+)/g)].map(([, name]) => name!));
        const { status, stderr } = spawnSync(
          tool('kubectl')!,
          ['-n', NAMESPACE, 'apply', '--dry-run=server', '--validate=strict', '-f', '-'],
          { encoding: 'utf8', env: toolEnvironment(home, kubeEnv()), input: rendered.stdout },
        );
        // What would violate Pod Security is said as a warning here.
        const words = stderr.split('\n').filter((line) => line !== '' && !line.includes('last-applied-configuration'));
        expect([binary, values, status, words]).toEqual([binary, values, 0, []]);
      }
    }
  },
  PATIENCE_MS,
);

test(
  'Pod Security restricted admits every pod that the chart can make, engines and stores too',
  async () => {
    const path = `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`;
    const send = async (name: string, labels: object, spec: KubeObject) =>
      (await api.call('POST', path, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec })).body;
    const seen = new Set<string>();
    for (const values of MATRIX) {
      for (const object of render(program, home, values)) {
        const pod = podOf(object);
        if (pod === null) continue;
        const claims = (object.spec.volumeClaimTemplates ?? []).map(({ metadata }: KubeObject) => ({
          name: metadata.name,
          persistentVolumeClaim: { claimName: metadata.name },
        }));
        const { labels } = (object.spec.template ?? object).metadata;
        // The release's own accounts are not there yet, and are Helm's to make.
        const spec = { ...pod, serviceAccountName: 'default', volumes: [...(pod.volumes ?? []), ...claims] };
        const answer = await send(`dry-${seen.size}`, labels, spec);
        expect([object.metadata.name, answer.kind, answer.message]).toEqual([object.metadata.name, 'Pod', undefined]);
        seen.add(labels['app.kubernetes.io/component']);
        // The same pod as root is refused: the standard is in force.
        if (seen.size === 1) {
          const root = await send('root', labels, { ...spec, securityContext: { runAsUser: 0 } });
          expect([root.code, root.message]).toEqual([403, expect.stringContaining('violates PodSecurity')]);
        }
      }
    }
    const all = ['router', 'console', 'metering', 'retrieval', 'migrate', 'test', 'devworker', 'redis', 'postgres'];
    expect([...seen]).toEqual(expect.arrayContaining([...all, 'engine-qwen3', 'engine-qwen3-sgl']));
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
    expect((await readyPods('retrieval')).length).toBe(1);
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
    // Asked again, as an operator would: each of its questions has a limit of seconds, and this machine may stall for longer.
    let answer = await helmNow('test', 'shop', '--timeout', '300s');
    for (let i = 1; i < 3 && answer.code !== 0; i++) {
      say(
        logOf('shop-tollgate-test')
          .match(/^FAIL.*$/gm)
          ?.join('\n') ?? 'it said nothing',
      );
      answer = await helmNow('test', 'shop', '--timeout', '300s');
    }
    expect([answer.code, answer.code === 0 ? '' : logOf('shop-tollgate-test')]).toEqual([0, '']);
  },
  PATIENCE_MS,
);

test(
  'under load, engines scale out and in, are rolled, and one is killed: no request fails',
  async () => {
    const engines = 'statefulset/shop-tollgate-devworker';
    const load = loadOf(2);
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
    // Its address stays in the slice until the kubelet has noticed: that costs a second try, no request.
    const triedTwice = await retries();
    await eventually('a request met the dead address and went elsewhere', async () => {
      await eventually('both serve', async () => (await client.workers()).length === 2);
      kubelet.kill('shop-tollgate-devworker-0');
      // So many at once that routers spread them over both.
      expect(await Promise.all(Array.from({ length: 16 }, () => client.ask()))).toEqual(Array(16).fill(200));
      return (await retries()) > triedTwice;
    });
    await eventually('both serve again', async () => (await client.workers()).length === 2);
    say('engines were killed');
    expect(await load.end()).toEqual([]);
  },
  PATIENCE_MS,
);

test(
  'under load, the routers are rolled one after the other: no request fails; a budget keeps one up',
  async () => {
    const load = loadOf(2);
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
  'under load, a node is drained: budgets let one pod of a kind go at a time, no request fails',
  async () => {
    const load = loadOf(2);
    await client.answered(5);
    const [node] = (await readyPods('router')).map(({ spec }) => spec.nodeName as string);
    const there = async () => {
      const all = await Promise.all(['router', 'metering', 'console', 'retrieval', 'devworker'].map(pods));
      return all.flat().filter(({ spec }) => spec.nodeName === node).length;
    };
    expect(await there()).toBeGreaterThan(0);
    let fewest = 2;
    let isDone = false;
    const watched = (async () => {
      while (!isDone) {
        fewest = Math.min(fewest, (await readyPods('router')).length);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    })();
    const trouble = await kubectlNow('drain', node!, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=400s');
    expect(trouble).toBe('');
    expect(await there()).toBe(0);
    await eventually('all are back elsewhere', async () => (await readyPods('router')).length === 2);
    isDone = true;
    await watched;
    expect(fewest).toBe(1);
    await kubectlNow('uncordon', node!);
    await eventually('both engines serve', async () => (await readyPods('devworker')).length === 2);
    await client.answered(5);
    expect(await load.end()).toEqual([]);
  },
  PATIENCE_MS,
);

(prometheusProgram ? test : test.skip)(
  'engines scale from zero: the first request waits with comments until what routers count has woken one',
  async () => {
    const engine = 'shop-tollgate-engine-sleeper';
    const ready = async () => (await readyPods('engine-sleeper')).length;
    kubectl('scale', `statefulset/${engine}`, '--replicas=0');
    await eventually('it sleeps', async () => (await pods('engine-sleeper')).length === 0);
    await eventually('routers know', async () => (await client.workers(SLEEPY_MODEL)).length === 0);
    const path = `/apis/keda.sh/v1alpha1/namespaces/${NAMESPACE}/scaledobjects/${engine}`;
    const { spec } = (await api.call('GET', path)).body;
    const { query, threshold, activationThreshold } = spec.triggers[0].metadata;
    expect([spec.minReplicaCount, Number(activationThreshold)]).toEqual([0, 0]);
    // A pod monitor gives the series these labels.
    const targets = (await readyPods('router')).map(({ metadata, status }) => ({
      targets: [`${status.podIP}:9100`],
      labels: { namespace: NAMESPACE, pod: metadata.name },
    }));
    const prometheus = await Prometheus.start(join(home, 'prometheus'), targets);
    try {
      await eventually('nothing waits', async () => (await prometheus.ask(query)) === 0);
      const answer = client.stream(SLEEPY_MODEL);
      const value = await eventually('Prometheus sees one wait', async () => (await prometheus.ask(query)) || null);
      expect(value).toBe(1);
      // KEDA's part, by its own rule: from zero above the activation threshold, then as many as the target asks for.
      const wanted = Math.min(spec.maxReplicaCount, Math.ceil(value / Number(threshold)));
      expect([value > Number(activationThreshold), wanted]).toEqual([true, 1]);
      kubectl('scale', `statefulset/${engine}`, `--replicas=${wanted}`);
      await eventually('it is up', async () => (await ready()) === 1);
      expect(await answer).toMatch(/^200 (: queued position=1[^\n]*\n\n)+(: [^\n]*\n\n)*data: [\s\S]*\[DONE\]/);
    } finally {
      await prometheus.stop();
    }
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
  'helm uninstall: only the spools, the weights, the Secret and hook objects stay',
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

(helm3 ? test : test.skip)(
  'Helm 3 installs, upgrades, rolls back and removes the same chart',
  () => {
    // Here without processes: pods become ready by themselves.
    const values = ['--set', 'devworker.enabled=true', '--set', 'redis.standalone=true'];
    for (const line of [
      ['install', 'three', chartFolder, ...values, '--wait', '--timeout', '60s'],
      ['upgrade', 'three', chartFolder, ...values, '--set', 'logLevel=debug', '--wait', '--timeout', '60s'],
      ['rollback', 'three', '1', '--wait', '--timeout', '60s'],
      ['test', 'three', '--timeout', '60s'],
      ['uninstall', 'three', '--wait', '--timeout', '60s'],
    ]) {
      const answer = helmWith(helm3!, ...line);
      expect([line[0], answer.code, answer.code === 0 ? '' : answer.stderr]).toEqual([line[0], 0, '']);
    }
  },
  PATIENCE_MS,
);
