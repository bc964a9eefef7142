/**
 * A kubelet without containers: for every pod of a namespace with the label `kubelab/real` it runs the service's own process
 * on the pod's address, with the variables of the pod's container, probes it, and tells the API server what a kubelet
 * would: ready or not, completed with which status, gone after SIGTERM. Names of Services do not resolve in the lab, so that
 * addresses inside variables are replaced by a pod's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import type { KubeApi } from './api.ts';
import type { KubeObject } from './rendered.ts';

const ENTRIES: Record<string, [entry: string, ...args: string[]]> = {
  router: ['services/router/src/main.ts'],
  console: ['services/console/src/main.ts'],
  metering: ['services/metering/src/main.ts'],
  retrieval: ['services/retrieval/src/main.ts'],
  devworker: ['services/devworker/src/main.ts'],
  migrate: ['services/cli/src/main.ts'],
  test: ['services/cli/src/main.ts'],
};
/** Ports that processes listen on behind a Service's own. */
const PORTS: Record<string, number> = { router: 8080, console: 8081, metering: 8082, retrieval: 8083 };
const COMPONENT = 'app.kubernetes.io/component';
const TICK_MS = 500;

interface Running {
  child: ChildProcess;
  ready: boolean;
  exitCode: number | null;
  stopping: boolean;
}

export interface KubeletOptions {
  api: KubeApi;
  namespace: string;
  root: string;
  /** Logs, kubeconfigs and the routers' volumes. */
  folder: string;
}

export class Kubelet {
  private readonly options: KubeletOptions;
  private readonly running = new Map<string, Running>();
  private timer: NodeJS.Timeout | null = null;
  private busy: Promise<void> = Promise.resolve();
  /** Errors of its own; a test looks that there are none. */
  readonly errors: string[] = [];

  constructor(options: KubeletOptions) {
    this.options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  start(): void {
    const tick = () => {
      this.busy = this.sync()
        .catch((error: unknown) => void this.errors.push(String(error)))
        .finally(() => {
          if (this.timer !== null) this.timer = setTimeout(tick, TICK_MS);
        });
    };
    this.timer = setTimeout(tick, 0);
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    await this.busy;
    for (const { child } of this.running.values()) child.kill('SIGKILL');
  }

  /** SIGKILL to the process of a pod: nobody is told. */
  kill(pod: string): void {
    for (const [uid, each] of this.running) if (uid.endsWith(`/${pod}`)) each.child.kill('SIGKILL');
  }

  private get pods(): string {
    return `/api/v1/namespaces/${this.options.namespace}/pods`;
  }

  private async sync(): Promise<void> {
    const pods = (await this.options.api.list(this.pods)).filter(
      ({ metadata, status }) => metadata.labels?.['kubelab/real'] && status.podIP,
    );
    await Promise.all(pods.map((pod) => this.syncPod(pod, pods)));
  }

  private async syncPod(pod: KubeObject, pods: KubeObject[]): Promise<void> {
    const key = `${pod.metadata.uid}/${pod.metadata.name}`;
    let running = this.running.get(key);
    if (pod.metadata.deletionTimestamp) return this.end(pod, running);
    const isOnce = pod.spec.restartPolicy === 'Never';
    if (running === undefined || (running.exitCode !== null && !isOnce)) {
      const child = await this.spawn(pod, pods);
      running = { child, ready: false, exitCode: null, stopping: false };
      this.running.set(key, running);
      const started = running;
      child.once('exit', (code) => {
        started.exitCode = code ?? 137;
      });
    }
    if (isOnce) {
      if (running.exitCode !== null && pod.status.phase === 'Running') await this.complete(pod, running.exitCode);
      return;
    }
    const ready = await this.probe(pod);
    if (ready !== (pod.status.conditions?.find(({ type }: KubeObject) => type === 'Ready')?.status === 'True'))
      await this.setReady(pod, ready);
    running.ready = ready;
  }

  private async end(pod: KubeObject, running: Running | undefined): Promise<void> {
    if (running !== undefined && running.exitCode === null) {
      if (!running.stopping) running.child.kill('SIGTERM');
      running.stopping = true;
      // A process that refuses new work says so to its probe, until it is gone.
      if (running.ready && !(await this.probe(pod))) {
        running.ready = false;
        await this.setReady(pod, false);
      }
      return;
    }
    await this.options.api.call('DELETE', `${this.pods}/${pod.metadata.name}?gracePeriodSeconds=0`);
  }

  private async spawn(pod: KubeObject, pods: KubeObject[]): Promise<ChildProcess> {
    const { root, folder } = this.options;
    const component = pod.metadata.labels[COMPONENT] as string;
    // An engine's place is taken by the look-alike.
    const [entry, ...fixed] = ENTRIES[component.startsWith('engine-') ? 'devworker' : component]!;
    const container = pod.spec.containers[0];
    const env = await this.environment(pod, pods, container.env ?? []);
    const log = openSync(join(folder, `${pod.metadata.name}.log`), 'a');
    const args = [...fixed, ...(container.args ?? [])];
    return spawn(process.execPath, ['--conditions=tollgate-source', join(root, entry), ...args], {
      cwd: folder,
      env,
      stdio: ['ignore', log, log],
    });
  }

  private async environment(pod: KubeObject, pods: KubeObject[], list: KubeObject[]): Promise<Record<string, string>> {
    const { folder } = this.options;
    const own: Record<string, string> = {};
    for (const { name, value, valueFrom } of list) {
      let text: string = value ?? '';
      if (valueFrom?.fieldRef) text = pod.metadata.name;
      if (valueFrom?.secretKeyRef) {
        const found = await this.secret(valueFrom.secretKeyRef);
        if (found === null) continue;
        text = found;
      }
      // One machine: each process listens on its pod's address alone.
      if (/^:\d+$/.test(text)) text = pod.status.podIP + text;
      own[name] = text.replaceAll(/\$\((\w+)\)/g, (_, other: string) => own[other] ?? '');
    }
    for (const [name, text] of Object.entries(own)) if (text.startsWith('http')) own[name] = reachable(text, pods);
    if (own.TOLLGATE_SPOOL_DIR) own.TOLLGATE_SPOOL_DIR = join(folder, 'volumes', pod.metadata.name);
    if (pod.spec.automountServiceAccountToken) {
      own.TOLLGATE_KUBECONFIG = await this.kubeconfig(pod);
      own.TOLLGATE_KUBERNETES_NAMESPACE = this.options.namespace;
    }
    const inherited = Object.keys(childEnvironment()).filter((name) => name.startsWith('TOLLGATE_'));
    const cleared = Object.fromEntries(inherited.map((name) => [name, undefined]));
    // A shared test machine stalls for longer than production does.
    const patience = { TOLLGATE_REDIS_DEADLINE_MS: '2000', TOLLGATE_HOME: folder };
    return childEnvironment({ ...cleared, ...patience, ...own, NODE_OPTIONS: undefined });
  }

  /** null: it is not there and need not be. */
  private async secret(ref: { name: string; key: string; optional?: boolean }): Promise<string | null> {
    const { name, key, optional } = ref;
    const path = `/api/v1/namespaces/${this.options.namespace}/secrets/${name}`;
    const { status, body } = await this.options.api.call('GET', path);
    if (optional === true && body.data?.[key] === undefined) return null;
    if (status !== 200 || body.data[key] === undefined) throw new Error(`no key ${key} in secret ${name}`);
    return Buffer.from(body.data[key], 'base64').toString();
  }

  /** What is mounted into a pod with a token: the rights are those of its service account. */
  private async kubeconfig(pod: KubeObject): Promise<string> {
    const { api, folder, namespace } = this.options;
    const token = await tokenOf(api, namespace, pod.spec.serviceAccountName);
    const path = join(folder, `${pod.metadata.name}.kubeconfig`);
    const cluster = {
      server: api.server.origin,
      'certificate-authority-data': Buffer.from(api.certificate).toString('base64'),
    };
    const config = {
      'current-context': 'pod',
      contexts: [{ name: 'pod', context: { cluster: 'lab', user: 'pod', namespace } }],
      clusters: [{ name: 'lab', cluster }],
      users: [{ name: 'pod', user: { token } }],
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  private async probe(pod: KubeObject): Promise<boolean> {
    const container = pod.spec.containers[0];
    const { path, port } = container.readinessProbe.httpGet;
    const { containerPort } = container.ports.find(({ name }: KubeObject) => name === port);
    try {
      const answer = await fetch(`http://${pod.status.podIP}:${containerPort}${path}`, {
        signal: AbortSignal.timeout(10_000),
      });
      await answer.arrayBuffer();
      return answer.ok;
    } catch {
      return false;
    }
  }

  private async setReady(pod: KubeObject, ready: boolean): Promise<void> {
    const status = ready ? 'True' : 'False';
    const conditions = ['Ready', 'ContainersReady'].map((type) => ({ type, status, lastTransitionTime: new Date() }));
    const { name } = pod.spec.containers[0];
    const { image } = pod.spec.containers[0];
    const state = { running: { startedAt: new Date() } };
    const containerStatuses = [{ name, image, imageID: '', ready, started: true, restartCount: 0, state }];
    await this.patchStatus(pod, { conditions, containerStatuses });
  }

  private async complete(pod: KubeObject, exitCode: number): Promise<void> {
    const { name, image } = pod.spec.containers[0];
    const state = { terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' } };
    const containerStatuses = [{ name, image, imageID: '', ready: false, started: false, restartCount: 0, state }];
    await this.patchStatus(pod, { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses });
  }

  private async patchStatus(pod: KubeObject, status: object): Promise<void> {
    const path = `${this.pods}/${pod.metadata.name}/status`;
    await this.options.api.call('PATCH', path, { status }, 'application/strategic-merge-patch+json');
  }
}

/** A token of a service account, as a kubelet would mount it. */
export async function tokenOf(api: KubeApi, namespace: string, account: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  const { status, body } = await api.call('POST', path, { spec: { expirationSeconds: 3600 } });
  if (status !== 201) throw new Error(`no token for ${account}: ${status}`);
  return body.status.token;
}

/** The address with a Service's name replaced by a pod of it. */
function reachable(text: string, pods: KubeObject[]): string {
  const url = new URL(text);
  const component = Object.keys(PORTS).find((name) => url.hostname.endsWith(`-${name}`));
  const pod = pods.find(({ metadata }) => metadata.labels[COMPONENT] === component && !metadata.deletionTimestamp);
  if (component === undefined || pod === undefined) return text;
  return `http://${pod.status.podIP}:${PORTS[component]}${url.pathname === '/' ? '' : url.pathname}`;
}
