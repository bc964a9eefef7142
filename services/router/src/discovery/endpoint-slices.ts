/**
 * EndpointSlices as workers. Pure: objects in, workers out; who lists and watches is `kubernetes.ts`.
 *
 * An endpoint that terminates but still serves is leaving; one that is not ready does not exist yet; what a slice does not
 * say counts as ready (that is the API's own rule). An endpoint may stand in two slices for a moment, and then serves if
 * any of them says so.
 */
import type { Engine } from '@tollgate/shared/domain/worker';
import type { FoundWorker } from './source.ts';

/** The part of a `discovery.k8s.io/v1` EndpointSlice that matters here; nullable wherever the API is. */
export interface EndpointSlice {
  metadata?: {
    name?: string | undefined;
    namespace?: string | undefined;
    uid?: string | undefined;
    resourceVersion?: string | undefined;
    labels?: Record<string, string> | undefined;
    annotations?: Record<string, string> | undefined;
  };
  addressType?: string;
  ports?:
    | readonly { name?: string | null; port?: number | null; protocol?: string | null; appProtocol?: string | null }[]
    | null;
  endpoints?:
    | readonly {
        addresses?: readonly string[] | null;
        conditions?: { ready?: boolean | null; serving?: boolean | null; terminating?: boolean | null } | null;
      }[]
    | null;
}

/** Label of Services and slices: `vllm` or `sglang`. */
export const ENGINE_LABEL = 'tollgate.io/engine';
/** Label: the one model that its endpoints may serve, with dashes for what a label cannot hold. */
export const MODEL_LABEL = 'tollgate.io/model';
/** Annotation of slices made by hand: model ids, comma-separated. */
export const MODELS_ANNOTATION = 'tollgate.io/models';

export class EndpointSlices {
  private readonly slices = new Map<string, EndpointSlice>();
  private readonly portName: string;

  /** `portName`: which port of a slice is the engine's API; a slice with one port needs no name. */
  constructor(portName: string) {
    this.portName = portName;
  }

  /** A list replaces everything: what was deleted while nobody watched is in no event. */
  replace(slices: readonly EndpointSlice[]): void {
    this.slices.clear();
    for (const slice of slices) this.slices.set(keyOf(slice), slice);
  }

  /** One event of a watch. */
  apply(type: string, slice: EndpointSlice): void {
    if (type === 'ADDED' || type === 'MODIFIED') this.slices.set(keyOf(slice), slice);
    else if (type === 'DELETED') this.slices.delete(keyOf(slice));
  }

  get size(): number {
    return this.slices.size;
  }

  workers(): FoundWorker[] {
    const found = new Map<string, FoundWorker>();
    for (const slice of this.slices.values()) {
      for (const worker of workersOf(slice, this.portName)) {
        const known = found.get(worker.url);
        if (known === undefined || (known.leaving && !worker.leaving)) found.set(worker.url, worker);
      }
    }
    return [...found.values()].sort((a, b) => (a.url < b.url ? -1 : 1));
  }
}

const keyOf = ({ metadata }: EndpointSlice) => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;

function workersOf(slice: EndpointSlice, portName: string): FoundWorker[] {
  const port = portOf(slice, portName);
  if (port === null) return [];
  const labels = slice.metadata?.labels ?? {};
  const engine: Engine = labels[ENGINE_LABEL] === 'sglang' ? 'sglang' : 'vllm';
  const models = modelsOf(labels, slice.metadata?.annotations ?? {});
  const workers: FoundWorker[] = [];
  for (const { addresses, conditions } of slice.endpoints ?? []) {
    const address = addresses?.[0];
    const standing = standingOf(conditions ?? {});
    if (address === undefined || standing === 'absent') continue;
    const host = slice.addressType === 'IPv6' ? `[${address}]` : address;
    const url = `${port.scheme}://${host}:${port.number}`;
    if (!URL.canParse(url)) continue;
    workers.push({ url: new URL(url).origin, engine, models, leaving: standing === 'leaving' });
  }
  return workers;
}

type Conditions = NonNullable<NonNullable<NonNullable<EndpointSlice['endpoints']>[number]['conditions']>>;

function standingOf({ ready, serving, terminating }: Conditions): 'serving' | 'leaving' | 'absent' {
  // A Service that publishes unready addresses says `ready` of everything, also of what terminates.
  if (terminating === true) return serving === false ? 'absent' : 'leaving';
  return ready === false ? 'absent' : 'serving';
}

function portOf({ ports }: EndpointSlice, name: string): { number: number; scheme: string } | null {
  const usable = (ports ?? []).filter(
    ({ port, protocol }) => typeof port === 'number' && (protocol ?? 'TCP') === 'TCP',
  );
  const chosen = usable.find((port) => port.name === name) ?? (usable.length === 1 ? usable[0] : undefined);
  if (chosen === undefined) return null;
  return { number: chosen.port!, scheme: chosen.appProtocol === 'https' ? 'https' : 'http' };
}

function modelsOf(labels: Record<string, string>, annotations: Record<string, string>): string[] | null {
  const listed = (annotations[MODELS_ANNOTATION] ?? labels[MODEL_LABEL] ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  return listed.length === 0 ? null : listed;
}
