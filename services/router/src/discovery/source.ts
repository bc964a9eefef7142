/** Where workers come from: a list, Redis, Kubernetes. A source tells what is there now; the fleet does the rest. */
import type { Engine } from '@tollgate/shared/domain/worker';

export interface FoundWorker {
  /** Base URL without a trailing slash. */
  url: string;
  /** As the source says; the worker's own word counts once it has been asked. */
  engine: Engine;
  /** Only these of its models get traffic; null: all that it serves. */
  models: readonly string[] | null;
  /** On its way out: it finishes what it has and gets nothing new. */
  leaving: boolean;
}

export interface WorkerSource {
  /** `redis`, `kubernetes`: a metric's label. */
  readonly name: string;
  /** All that it knows at present. */
  readonly workers: readonly FoundWorker[];
  /** Begins to look; `changed` after each change. Never rejects: a source that cannot be asked goes on trying. */
  start(changed: () => void): Promise<void>;
  stop(): void;
}

/**
 * One entry per URL, from several sources at once. The first source that knows it says engine and models; it leaves only
 * when every source says so: an operator who also lists it by hand wants it kept.
 */
export function mergeFound(sources: readonly (readonly FoundWorker[])[]): FoundWorker[] {
  const merged = new Map<string, FoundWorker>();
  for (const found of sources.flat()) {
    const known = merged.get(found.url);
    if (known === undefined) merged.set(found.url, found);
    else if (known.leaving && !found.leaving) merged.set(found.url, { ...known, leaving: false });
  }
  return [...merged.values()];
}

/** Whether a worker may serve a model under the list of its source. A label cannot hold a slash: it may hold a dash. */
export function isListed(model: string, listed: readonly string[] | null): boolean {
  return listed === null || listed.includes(model) || listed.includes(labelValue(model));
}

/** A model id as a Kubernetes label value: `Qwen/Qwen3-30B-A3B-FP8` -> `Qwen-Qwen3-30B-A3B-FP8`. */
export function labelValue(model: string): string {
  return model
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}
