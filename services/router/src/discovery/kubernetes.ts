/**
 * Workers behind Services of Kubernetes: lists EndpointSlices, then watches them, and begins anew where a watch cannot go
 * on (410 Gone: what happened since is forgotten by the server). While the API server is away, what was known stays.
 * The client library is loaded only by those who use it.
 */
import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type EndpointSlice, EndpointSlices } from './endpoint-slices.ts';
import type { FoundWorker, WorkerSource } from './source.ts';

export interface KubernetesOptions {
  /** A kubeconfig file; null: the pod's own service account. */
  kubeconfig: string | null;
  /** null: the pod's own (or the kubeconfig's). */
  namespace: string | null;
  /** Label selector of the slices, which carry the labels of their Service. */
  selector: string;
  portName: string;
}

export interface KubernetesTimes {
  /** The server ends a watch after so long; a new one goes on where it ended. */
  watchS: number;
  firstPauseMs: number;
  maxPauseMs: number;
}

export const KUBERNETES_TIMES: KubernetesTimes = { watchS: 300, firstPauseMs: 250, maxPauseMs: 30_000 };

/** How a watch ended: the next one goes on there, or everything is listed first. */
type End = 'again' | 'relist';

export class KubernetesSource implements WorkerSource {
  readonly name = 'kubernetes';
  private readonly slices: EndpointSlices;
  private readonly options: KubernetesOptions;
  private readonly times: KubernetesTimes;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** Uniform in [0, 1). */
  private readonly random: () => number;
  private readonly stopping = new AbortController();
  private found: readonly FoundWorker[] = [];
  private changed: () => void = () => {};

  constructor(
    options: KubernetesOptions,
    clock: Clock,
    logger: Logger,
    random: () => number,
    times: KubernetesTimes = KUBERNETES_TIMES,
  ) {
    this.options = options;
    this.times = times;
    this.clock = clock;
    this.logger = logger;
    this.random = random;
    this.slices = new EndpointSlices(options.portName);
  }

  get workers(): readonly FoundWorker[] {
    return this.found;
  }

  /** Resolves after the first list, good or bad: a router starts without the API server too. */
  async start(changed: () => void): Promise<void> {
    this.changed = changed;
    await new Promise<void>((resolve) => void this.run(resolve));
  }

  stop(): void {
    this.stopping.abort();
  }

  private async run(listedOnce: () => void): Promise<void> {
    let pauseMs = this.times.firstPauseMs;
    let version: string | null = null;
    let client: Client | null = null;
    while (!this.stopping.signal.aborted) {
      let end: End = 'relist';
      try {
        client ??= await connect(this.options);
        if (version === null) {
          const { items, resourceVersion } = await client.list();
          this.slices.replace(items);
          version = resourceVersion;
          this.tell();
        }
        listedOnce();
        ({ end, version } = await this.watch(client, version));
      } catch (error) {
        if (this.stopping.signal.aborted) break;
        this.logger.warn({ err: error }, 'Kubernetes cannot be asked for workers');
      }
      listedOnce();
      if (end === 'again') pauseMs = this.times.firstPauseMs;
      else version = null;
      // A server that ends each watch at once must not be asked in a loop.
      const jittered = pauseMs * (0.5 + this.random());
      if (end === 'relist') pauseMs = Math.min(pauseMs * 2, this.times.maxPauseMs);
      await this.clock.sleep(jittered, this.stopping.signal).catch(() => {});
    }
    listedOnce();
  }

  /** Watches until it ends; `version` is where the next one goes on. */
  private watch(client: Client, from: string): Promise<{ end: End; version: string }> {
    let version = from;
    let refused = false;
    return new Promise((resolve) => {
      const finish = (error: unknown) => {
        this.stopping.signal.removeEventListener('abort', abort);
        // The library gives a silent watch up after half a minute; nothing was lost by that.
        const isPlain = error == null || (error instanceof Error && /Timeout|Abort/.test(error.name));
        resolve({ end: isPlain && !refused ? 'again' : 'relist', version });
      };
      let controller: AbortController | null = null;
      const abort = () => controller?.abort();
      this.stopping.signal.addEventListener('abort', abort, { once: true });
      const onEvent = (type: string, object: EndpointSlice) => {
        if (type === 'ERROR') {
          refused = true;
          controller?.abort();
          return;
        }
        version = object.metadata?.resourceVersion ?? version;
        if (type === 'BOOKMARK') return;
        this.slices.apply(type, object);
        this.tell();
      };
      client.watch(version, this.times, onEvent, finish).then((started) => {
        controller = started;
        if (this.stopping.signal.aborted || refused) started.abort();
      }, finish);
    });
  }

  private tell(): void {
    const now = this.slices.workers();
    if (JSON.stringify(now) === JSON.stringify(this.found)) return;
    this.found = now;
    this.logger.info({ workers: now.length, slices: this.slices.size }, 'workers of Kubernetes changed');
    this.changed();
  }
}

interface Client {
  list(): Promise<{ items: EndpointSlice[]; resourceVersion: string }>;
  watch(
    version: string,
    times: KubernetesTimes,
    onEvent: (type: string, object: EndpointSlice) => void,
    done: (error: unknown) => void,
  ): Promise<AbortController>;
}

async function connect({ kubeconfig, namespace: wanted, selector }: KubernetesOptions): Promise<Client> {
  const { DiscoveryV1Api, KubeConfig, Watch } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === null) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  const namespace = wanted ?? namespaceOf(config);
  const api = config.makeApiClient(DiscoveryV1Api);
  const path = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices`;
  return {
    async list() {
      const { items, metadata } = await api.listNamespacedEndpointSlice({ namespace, labelSelector: selector });
      return { items: items as EndpointSlice[], resourceVersion: metadata?.resourceVersion ?? '' };
    },
    watch(version, { watchS }, onEvent, done) {
      const watch = new Watch(config);
      const query = {
        labelSelector: selector,
        resourceVersion: version,
        allowWatchBookmarks: true,
        timeoutSeconds: watchS,
      };
      return watch.watch(path, query, onEvent, done);
    },
  };
}

function namespaceOf(config: KubeConfig): string {
  return config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
}
