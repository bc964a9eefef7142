/** Connection pools, one per worker, and the small requests that are not generations. */
import { Pool } from 'undici';
import { type AnswerSink, Attempt } from './attempt.ts';

export interface PoolsOptions {
  connectTimeoutMs: number;
  /** Connections to one worker; each carries one generation at a time. */
  maxConnections: number;
}

const JSON_TYPE = 'application/json';

export class Pools {
  private readonly pools = new Map<string, Pool>();
  private readonly options: PoolsOptions;

  constructor(options: PoolsOptions) {
    this.options = options;
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
    this.pool(worker).dispatch(
      {
        path,
        method: 'POST',
        headers,
        body,
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      attempt,
    );
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

  /** Lets go of a gone worker's pool; requests that still run there go on. */
  forgetIdle(worker: string): void {
    const pool = this.pools.get(worker);
    this.pools.delete(worker);
    pool?.close().catch(() => {});
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.destroy()));
    this.pools.clear();
  }

  private pool(worker: string): Pool {
    let pool = this.pools.get(worker);
    if (pool === undefined) {
      pool = new Pool(worker, {
        connections: this.options.maxConnections,
        pipelining: 1,
        connect: { timeout: this.options.connectTimeoutMs },
        headersTimeout: 0,
        bodyTimeout: 0,
        // Below uvicorn's own 5 s, so that a request never meets a socket that is just being closed.
        keepAliveTimeout: 4_000,
      });
      this.pools.set(worker, pool);
    }
    return pool;
  }
}
