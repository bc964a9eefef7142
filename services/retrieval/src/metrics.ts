/** What retrieval tells Prometheus. No label names an account, a collection or a file. */
import { Counter, Histogram, type Registry } from '@tollgate/shared/runtime/metrics';

const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export class RetrievalMetrics {
  readonly #requests: Histogram<'operation' | 'status'>;
  readonly #files: Counter<'end'>;

  constructor(registry: Registry) {
    this.#requests = new Histogram({
      name: 'tollgate_retrieval_request_seconds',
      help: 'Requests to retrieval by operation and status.',
      labelNames: ['operation', 'status'],
      buckets: SECONDS,
      registers: [registry],
    });
    this.#files = new Counter({
      name: 'tollgate_retrieval_files_total',
      help: 'Files that were read, by how that ended.',
      labelNames: ['end'],
      registers: [registry],
    });
  }

  request(operation: string, status: number, ms: number): void {
    this.#requests.observe({ operation, status: String(status) }, ms / 1_000);
  }

  fileEnded(end: string): void {
    this.#files.inc({ end });
  }
}
