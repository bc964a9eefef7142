/** What Helm makes of the chart, with each Helm that is here, over the matrix of values. Run by `npm run test:helm`. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { stringify } from 'yaml';
import { consoleShape } from '../../services/console/src/config.ts';
import { devworkerShape } from '../../services/devworker/src/config.ts';
import { meteringShape } from '../../services/metering/src/config.ts';
import { retrievalShape } from '../../services/retrieval/src/config.ts';
import { routerShape, stopWithinMs } from '../../services/router/src/config.ts';
import { onPath } from '../../services/shared/src/runtime/binaries.mjs';
import { chartFolder, sampleValues } from './chart-files.ts';
import { tool, toolEnvironment } from './config.ts';
import { environmentOf, find, helm, type KubeObject, podOf, render, Schemas } from './rendered.ts';

const home = mkdtempSync(join(tmpdir(), 'tollgate-helm-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const programs = ['helm', 'helm3'].flatMap((name) => {
  const path = tool(name);
  return path === null ? [] : [[name, path] as const];
});
const matrix: [string, string[]][] = [
  ['defaults', []],
  ...sampleValues().map((path) => [path, ['-f', chartFolder + path]] as [string, string[]]),
];
const DEMO = ['-f', `${chartFolder}ci/demo-values.yaml`];
const PRODUCTION = ['-f', `${chartFolder}ci/production-values.yaml`];
const schemas = new Schemas();
const promtool = onPath('promtool', '/usr/bin:/usr/local/bin');

/** Values for what comes from Secrets and from the pod itself. */
const SECRETS: Record<string, string> = {
  REDIS_URL: 'redis://127.0.0.1',
  DATABASE_URL: 'postgres://127.0.0.1/tollgate',
  TOLLGATE_KEY_PEPPER: 'x'.repeat(64),
  TOLLGATE_ADMIN_TOKEN: 'x'.repeat(64),
  TOLLGATE_SERVICE_TOKEN: 'x'.repeat(64),
  TOLLGATE_ROUTER_ID: 'shop-router-0',
};

test('there is a Helm to check with', () => expect(programs.map(([name]) => name)).toContain('helm'));

describe.each(programs)('%s', (_name, program) => {
  describe.each(matrix)('with %s', (_values, args) => {
    test('lint finds nothing', () => {
      const answer = helm(program, home, ['lint', chartFolder, '--strict', ...args]);
      expect([answer.code, answer.stdout.match(/\[(ERROR|WARNING)\].*/g)]).toEqual([0, null]);
    });

    const objects = render(program, home, args);

    test('every object keeps the schema of its kind', () => {
      expect(objects.length).toBeGreaterThan(10);
      expect(objects.flatMap((object) => schemas.problems(object))).toEqual([]);
    });

    test('no two objects have the same name, and every name is a DNS label', () => {
      const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      expect(new Set(names).size).toBe(names.length);
      for (const { metadata } of objects) expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
    });

    test('every pod obeys the restricted standard; only routers carry a token, and only to find engines', () => {
      for (const object of objects) {
        const pod = podOf(object);
        if (pod === null) continue;
        const what = `${object.kind}/${object.metadata.name}`;
        const asksApi = environmentOf(pod).TOLLGATE_DISCOVERY?.includes('kubernetes') === true;
        expect([what, pod.automountServiceAccountToken, pod.hostNetwork, pod.hostIPC, pod.hostPID]).toEqual([
          what,
          asksApi,
          undefined,
          undefined,
          undefined,
        ]);
        expect([what, pod.securityContext]).toEqual([
          what,
          expect.objectContaining({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }),
        ]);
        for (const container of pod.containers) {
          expect([what, container.securityContext]).toEqual([
            what,
            { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          ]);
          expect([what, container.image]).toEqual([what, expect.stringMatching(/:[^:]*\d+\.\d+/)]);
          expect([what, Object.keys(container.resources)]).toEqual([
            what,
            expect.arrayContaining(['requests', 'limits']),
          ]);
        }
        for (const volume of pod.volumes ?? []) expect(Object.keys(volume)).not.toContain('hostPath');
      }
    });

    test('credentials come from Secrets alone', () => {
      const containers = objects.flatMap((object) => podOf(object)?.containers ?? []);
      for (const { name, value } of containers.flatMap((container: KubeObject) => container.env)) {
        if (!/PASSWORD|TOKEN|PEPPER|_URL$|AUTH$/.test(name)) continue;
        // Empty: a service that this installation does not have.
        if (value) expect([name, value]).toEqual([name, expect.stringMatching(/^https?:|\$\(/)]);
      }
      expect(objects.map(({ kind }) => kind)).not.toContain('Secret');
    });

    test('each service starts with what it gets', () => {
      const services = {
        router: routerShape,
        console: consoleShape,
        metering: meteringShape,
        retrieval: retrievalShape,
        devworker: devworkerShape,
      };
      for (const [name, shape] of Object.entries(services)) {
        const found = objects.filter((object) => podOf(object)?.containers[0].name === name);
        if (name !== 'devworker' && name !== 'retrieval') expect([name, found.length]).toEqual([name, 1]);
        for (const object of found) {
          const plain = environmentOf(podOf(object));
          const secrets = Object.fromEntries(Object.entries(SECRETS).filter(([each]) => each in shape));
          expect(() => parseConfig(shape, { ...plain, ...secrets })).not.toThrow();
        }
      }
    });

    test('a router may finish its longest answer before it is killed', () => {
      const pod = podOf(find(objects, 'StatefulSet', '-router'));
      const config = parseConfig(routerShape, { ...environmentOf(pod), ...SECRETS });
      expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(stopWithinMs(config) + 10_000);
      // The router gives running requests 0.6 of its grace.
      expect(config.TOLLGATE_STOP_GRACE_MS * 0.6).toBeGreaterThanOrEqual(config.TOLLGATE_TOTAL_TIMEOUT_MS);
    });

    test('selectors choose the pods that they mean, and no others', () => {
      const pods = objects.filter((object) => podOf(object) !== null);
      const labelsOf = (object: KubeObject) => (object.spec.template ?? object).metadata.labels;
      const chosen = (selector: Record<string, string>) =>
        pods.filter((pod) => Object.entries(selector).every(([name, value]) => labelsOf(pod)[name] === value));
      const seen = objects.flatMap(({ kind, metadata, spec }) => {
        const selector =
          kind === 'Service'
            ? spec.selector
            : kind === 'NetworkPolicy'
              ? spec.podSelector.matchLabels
              : spec?.selector?.matchLabels;
        return selector ? [[`${kind}/${metadata.name}`, chosen(selector).length]] : [];
      });
      expect(seen.length).toBeGreaterThan(6);
      expect(seen.filter(([, count]) => count !== 1)).toEqual([]);
    });
  });

  test('routers without discovery are told of every worker by its own name', () => {
    const objects = render(program, home, [...PRODUCTION, '--set', 'discovery.kubernetes.enabled=false']);
    expect(objects.map(({ kind }) => kind)).not.toContain('Role');
    const urls = parseConfig(routerShape, {
      ...environmentOf(podOf(find(objects, 'StatefulSet', '-router'))),
      ...SECRETS,
    }).TOLLGATE_WORKERS;
    const name = 'shop-tollgate-engine-qwen3';
    expect(urls.map(({ url, engine }) => `${engine} ${url}`)).toEqual([
      'vllm http://10.20.0.7:8000',
      'sglang https://gpu.example.com',
      `vllm http://${name}-0.${name}.lab.svc:8000`,
      `vllm http://${name}-1.${name}.lab.svc:8000`,
      `sglang http://${name}-sgl-0.${name}-sgl.lab.svc:8000`,
    ]);
    expect(find(objects, 'StatefulSet', '-engine-qwen3').spec.replicas).toBe(2);
    expect(find(objects, 'Service', '-engine-qwen3').spec.clusterIP).toBe('None');
  });

  test('with discovery routers may list and watch EndpointSlices, and nothing else; engines carry the label', () => {
    const objects = render(program, home, PRODUCTION);
    const router = podOf(find(objects, 'StatefulSet', '-router'));
    expect(environmentOf(router)).toMatchObject({
      TOLLGATE_DISCOVERY: 'redis,kubernetes',
      TOLLGATE_WORKERS: 'http://10.20.0.7:8000,sglang=https://gpu.example.com',
    });
    expect(find(objects, 'Role', '-router').rules).toEqual([
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ]);
    expect(find(objects, 'RoleBinding', '-router').subjects).toEqual([
      { kind: 'ServiceAccount', name: router.serviceAccountName, namespace: 'lab' },
    ]);
    const others = objects.flatMap((object) => podOf(object) ?? []).filter((pod: KubeObject) => pod !== router);
    for (const pod of others) expect(pod.serviceAccountName).not.toBe(router.serviceAccountName);
    const engines = ['-engine-qwen3', '-engine-qwen3-sgl'].map((name) => find(objects, 'Service', name));
    expect(engines.map(({ metadata }) => metadata.labels['tollgate.io/engine'])).toEqual(['vllm', 'sglang']);
    for (const { spec } of engines) expect(spec.publishNotReadyAddresses).toBe(false);
  });

  test('engines that sleep are woken by what waits in routers, and their requests may wait that long', () => {
    const objects = render(program, home, ['-f', `${chartFolder}ci/scale-values.yaml`]);
    const rules = JSON.parse(environmentOf(podOf(find(objects, 'StatefulSet', '-router'))).TOLLGATE_MODEL_RULES!);
    expect(rules).toEqual({ 'Qwen/Qwen3-30B-A3B-FP8': { scaleFromZero: true, maxQueueMs: 1_200_000 } });
    const engine = find(objects, 'StatefulSet', '-engine-qwen3');
    expect(engine.spec.replicas).toBeUndefined();
    const { spec } = find(objects, 'ScaledObject', '-engine-qwen3');
    expect([spec.minReplicaCount, spec.maxReplicaCount, spec.scaleTargetRef.name]).toEqual([
      0,
      3,
      engine.metadata.name,
    ]);
    expect(find(objects, 'ScaledObject', '-engine-always').spec.minReplicaCount).toBe(1);
  });

  (promtool ? test : test.skip)(
    'Prometheus answers the question that wakes an engine with a number, whatever is there',
    () => {
      const objects = render(program, home, ['-f', `${chartFolder}ci/scale-values.yaml`]);
      const { query } = find(objects, 'ScaledObject', '-engine-qwen3').spec.triggers[0].metadata;
      const labels = '{namespace="lab",model="Qwen/Qwen3-30B-A3B-FP8",pod="r-0"}';
      const elsewhere = '{namespace="other",model="Qwen/Qwen3-30B-A3B-FP8",pod="r-0"}';
      const cases: [Record<string, string>, number][] = [
        // Routers that have just started and never saw a worker: the first request waits.
        [{ [`tollgate_queue_depth${labels}`]: '1x5' }, 1],
        [{ [`tollgate_queue_depth${labels}`]: '3x5', [`tollgate_model_running_requests${labels}`]: '40x5' }, 43],
        [{ [`tollgate_model_running_requests${labels}`]: '2x5' }, 2],
        [{ [`tollgate_queue_depth${elsewhere}`]: '9x5' }, 0],
        [{}, 0],
      ];
      const tests = cases.map(([series, value]) => ({
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [{ expr: query, eval_time: '3m', exp_samples: [{ labels: '{}', value }] }],
      }));
      const path = join(home, 'query.test.yml');
      writeFileSync(path, stringify({ rule_files: [], evaluation_interval: '1m', tests }));
      const { status, stdout, stderr } = spawnSync(promtool!, ['test', 'rules', path], { encoding: 'utf8' });
      expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
    },
  );

  test('only routers reach an engine, on its one port', () => {
    const { spec } = find(render(program, home, PRODUCTION), 'NetworkPolicy', '-engine-qwen3');
    expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
    expect(spec.ingress).toHaveLength(1);
    expect(spec.ingress[0].ports).toEqual([{ port: 'http', protocol: 'TCP' }]);
    expect(
      spec.ingress[0].from.map((from: KubeObject) => from.podSelector.matchLabels['app.kubernetes.io/component']),
    ).toEqual(['router']);
  });

  test('the migration runs before the pods; with the demo’s own Postgres it is a plain Job on install, a hook on upgrade', () => {
    const hook = (args: string[]) =>
      find(
        render(program, home, args).map((object) => ({
          ...object,
          metadata: { ...object.metadata, name: object.metadata.name.replace(/-\d+$/, '') },
        })),
        'Job',
        '-migrate',
      ).metadata.annotations['helm.sh/hook'];
    expect(hook(PRODUCTION)).toBe('pre-install,pre-upgrade');
    expect(hook(DEMO)).toBeUndefined();
    expect(hook([...DEMO, '--is-upgrade'])).toBe('pre-install,pre-upgrade');
  });

  test('metering keeps its leases when one of several stops', () => {
    const reclaim = (replicas: number) =>
      environmentOf(
        podOf(find(render(program, home, ['--set', `metering.replicaCount=${replicas}`]), 'Deployment', '-metering')),
      ).TOLLGATE_METERING_RECLAIM_ON_STOP;
    expect([reclaim(1), reclaim(2)]).toEqual(['true', 'false']);
  });

  test.each<[string, string[], string]>([
    ['two autoscalers', ['router.autoscaling.enabled=true', 'router.keda.enabled=true'], 'exclude each other'],
    ['KEDA without Prometheus', ['router.keda.enabled=true'], 'router.keda.serverAddress'],
    ['an Ingress without a host', ['router.ingress.enabled=true'], 'router.ingress.hosts'],
    ['a route without a Gateway', ['console.httpRoute.enabled=true'], 'console.httpRoute.parentRefs'],
    [
      'sleeping engines without discovery',
      [
        'discovery.kubernetes.enabled=false',
        'engines[0].name=a',
        'engines[0].modelURL=m',
        'engines[0].keda.enabled=true',
        'engines[0].keda.serverAddress=http://p',
      ],
      'keda needs discovery',
    ],
    ['an unknown value', ['router.replicas=3'], 'replicas'],
  ])('%s is refused in words', (_what, sets, words) => {
    const answer = helm(program, home, ['template', 'shop', chartFolder, ...sets.flatMap((set) => ['--set', set])]);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain(words);
  });

  test('long release names stay within the limits', () => {
    const objects = render(program, home, [...DEMO, '--set', `fullnameOverride=${'a'.repeat(60)}`]);
    for (const { metadata } of objects) expect(metadata.name.length).toBeLessThanOrEqual(63);
  });
});

test('the schemas find what is wrong', () => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: 80 }] } };
  expect(schemas.problems(service)).toEqual([]);
  expect(schemas.problems({ ...service, spec: { ports: [{ port: 'eighty' }] } })).not.toEqual([]);
  expect(schemas.problems({ ...service, spec: { portz: [] } })).not.toEqual([]);
  expect(schemas.problems({ ...service, kind: 'Servise' })).toEqual(['no schema servise-v1.json']);
});

const unittest = tool('helm-unittest');
if (unittest === null) process.stderr.write('helm-unittest is not here: helm/tollgate/tests is not run\n');
(unittest ? test : test.skip)('helm-unittest passes the suites of the chart', () => {
  const { status, stdout } = spawnSync(unittest!, [chartFolder], {
    encoding: 'utf8',
    env: toolEnvironment(home),
  });
  expect([status, status === 0 ? '' : stdout]).toEqual([0, '']);
});
