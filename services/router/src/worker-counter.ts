import { Counter, type Registry } from '@tollgate/shared/runtime/metrics';

/** A counter by worker and one label more: children are looked up once, and go when the worker is forgotten. */
export class WorkerCounter<L extends string> {
  private readonly counter: Counter<'worker' | L>;
  private readonly label: L;
  private readonly children = new Map<string, Map<string, Counter.Internal>>();

  constructor(registry: Registry, name: string, help: string, label: L) {
    this.counter = new Counter({ name, help, labelNames: ['worker', label], registers: [registry] });
    this.label = label;
  }

  inc(worker: string, value: string): void {
    let ofWorker = this.children.get(worker);
    if (ofWorker === undefined) {
      ofWorker = new Map();
      this.children.set(worker, ofWorker);
    }
    let child = ofWorker.get(value);
    if (child === undefined) {
      child = this.counter.labels(this.labels(worker, value));
      ofWorker.set(value, child);
    }
    child.inc();
  }

  forget(worker: string): void {
    for (const value of this.children.get(worker)?.keys() ?? []) this.counter.remove(this.labels(worker, value));
    this.children.delete(worker);
  }

  private labels(worker: string, value: string): Record<'worker' | L, string> {
    return { worker, [this.label]: value } as Record<'worker' | L, string>;
  }
}
