/** Connections to workers, and the small requests that are not generations. */
import type { Clock } from '@tollgate/shared/runtime/clock';
import { Pool } from 'undici';
import { type AnswerSink, Attempt } from './attempt.ts';
import { type ConnectionsOptions, type GenerationRequest, IDLE_MS, WorkerConnections } from './worker-connections.ts';

const JSON_TYPE = 'application/json';

/** What generations are dispatched through: the same of undici's own and of ours. */
interface Generations {
  dispatch(request: GenerationRequest, handler: Attempt): boolean;
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export class Pools {
  private readonly generations = new Map<string, Generations>();
  private readonly calls = new Map<string, Pool>();
  private readonly options: ConnectionsOptions;
  private readonly clock: Clock;

  constructor(options: ConnectionsOptions, clock: Clock) {
    this.options = options;
    this.clock = clock;
  }

  /**
   * Sends a generation. Time-outs are the relay's: undici's own are off. `requestId` becomes the worker's id; `traceparent`
   * tells it of the span that it works for.
   */
  send(
    worker: string,
    path: string,
    body: string,
    requestId: string,
    sink: AnswerSink,
    traceparent: string | null = null,
  ): Attempt {
    const attempt = new Attempt(sink);
    const headers = ['content-type', JSON_TYPE, 'x-request-id', requestId];
    if (traceparent !== null) headers.push('traceparent', traceparent);
    this.dispatcher(worker).dispatch({ path, method: 'POST', headers, body }, attempt);
    return attempt;
  }

  /** A short call such as a probe. Resolves with status and text; rejects on any failure or after `timeoutMs`. */
  async call(
    worker: string,
    request: { method: 'GET' | 'POST'; path: string; body?: string; headers?: Record<string, string> },
    timeoutMs: number,
  ): Promise<{ status: number; text: string }> {
    const response = await this.pool(worker).request({
      path: request.path,
      method: request.method,
      body: request.body ?? null,
      headers: request.body === undefined ? {} : { ...request.headers, 'content-type': JSON_TYPE },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.statusCode, text: await response.body.text() };
  }

  /** Lets go of a gone worker's connections; requests that still run there go on. */
  forgetIdle(worker: string): void {
    for (const kept of [this.generations, this.calls]) {
      const dispatcher = kept.get(worker);
      kept.delete(worker);
      dispatcher?.close().catch(() => {});
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.generations.values(), ...this.calls.values()].map((kept) => kept.destroy()));
    this.generations.clear();
    this.calls.clear();
  }

  private dispatcher(worker: string): Generations {
    let dispatcher = this.generations.get(worker);
    if (dispatcher === undefined) {
      const isPlain = worker.startsWith('http:');
      dispatcher = isPlain ? new WorkerConnections(worker, this.options, this.clock) : this.newPool(worker);
      this.generations.set(worker, dispatcher);
    }
    return dispatcher;
  }

  private pool(worker: string): Pool {
    let pool = this.calls.get(worker);
    if (pool === undefined) {
      pool = this.newPool(worker);
      this.calls.set(worker, pool);
    }
    return pool;
  }

  private newPool(worker: string): Pool {
    return new Pool(worker, {
      connections: this.options.maxConnections,
      pipelining: 1,
      connect: { timeout: this.options.connectTimeoutMs },
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
    });
  }
}
