/**
 * What undici's `Pool` is to a generation, for workers without TLS, and no more than that: the same `dispatch`, handlers
 * and controllers over kept HTTP/1.1 connections that carry one request at a time. A Pool asks of each request what kind
 * of thing it is, and brings each read through a stream and a parser in WebAssembly: 15 us more per request and 2 us
 * more per chunk (measured against one upstream, in the same process).
 */
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Dispatcher } from 'undici';
import { type ConnectionKeeper, Sending, type WorkerAddress, WorkerConnection } from './worker-connection.ts';

export interface ConnectionsOptions {
  connectTimeoutMs: number;
  /** More requests than this wait for a connection. */
  maxConnections: number;
}

/** A generation as it is dispatched: nothing in path and headers is a client's text. */
export interface GenerationRequest {
  path: string;
  method: 'POST';
  /** Names and values in turn. */
  headers: string[];
  body: string;
}

/** Below uvicorn's own 5 s, so that a request never meets a socket that is just being closed. */
export const IDLE_MS = 4_000;
/** So much sooner than the worker says that it will close one. */
const IDLE_MARGIN_MS = 1_000;
const SWEEP_MS = 1_000;

export class WorkerConnections implements ConnectionKeeper {
  private readonly host: string;
  private readonly address: WorkerAddress;
  private readonly options: ConnectionsOptions;
  private readonly clock: Clock;
  private readonly all = new Set<WorkerConnection>();
  /** In the order in which they became so: the one that was used last is used next. */
  private idle: WorkerConnection[] = [];
  /** Whose answer ended in this turn. */
  private freed: WorkerConnection[] = [];
  private readonly waiting: Sending[] = [];
  private sweeping: Timer | null = null;
  private isClosing = false;
  private readonly takeBack = (): void => this.takeFreed();

  constructor(worker: string, options: ConnectionsOptions, clock: Clock) {
    const { host, hostname, port } = new URL(worker);
    this.host = host;
    this.address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 80 };
    this.options = options;
    this.clock = clock;
  }

  dispatch({ path, headers, body }: GenerationRequest, handler: Dispatcher.DispatchHandler): boolean {
    let text = `POST ${path} HTTP/1.1\r\nhost: ${this.host}\r\n`;
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    const bytes = Buffer.byteLength(body);
    text += `content-length: ${bytes}\r\n\r\n`;
    // One byte a character: written as it is, where UTF-8 would be made in three times the room first.
    const sending = new Sending(text + body, bytes === body.length ? 'latin1' : 'utf8', handler);
    const connection = this.take();
    if (connection !== null) connection.send(sending);
    else this.waiting.push(sending);
    return connection !== null;
  }

  /** Idle connections close; what runs and what waits goes on to its end. */
  close(): Promise<void> {
    this.isClosing = true;
    this.sweeping?.cancel();
    for (const connection of this.idle) connection.cut();
    return Promise.resolve();
  }

  /** Everything ends now. */
  destroy(): Promise<void> {
    for (const sending of this.waiting.splice(0)) sending.failed(new Error('the router lets go of this worker'));
    for (const connection of this.all) connection.cut();
    return this.close();
  }

  free(connection: WorkerConnection): void {
    // A worker may close at once although it said that it would not: that is heard of before the next turn.
    if (this.freed.push(connection) === 1) setImmediate(this.takeBack);
  }

  gone(connection: WorkerConnection): void {
    if (!this.all.delete(connection)) return;
    this.idle = this.idle.filter((other) => other !== connection);
    this.freed = this.freed.filter((other) => other !== connection);
    this.serveWaiting();
  }

  /** One that may be used; null where there are as many as there may be. */
  private take(): WorkerConnection | null {
    const nowMs = this.clock.monotonicMs();
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (nowMs < connection.idleUntilMs) return connection;
      connection.cut();
    }
    if (this.all.size >= this.options.maxConnections) return null;
    const connection = new WorkerConnection(this.address, this.options.connectTimeoutMs, this.clock, this);
    this.all.add(connection);
    return connection;
  }

  private takeFreed(): void {
    const { freed } = this;
    this.freed = [];
    const nowMs = this.clock.monotonicMs();
    for (const connection of freed) {
      const keepsMs = connection.keepsMs === null ? IDLE_MS : Math.min(IDLE_MS, connection.keepsMs - IDLE_MARGIN_MS);
      connection.idleUntilMs = nowMs + keepsMs;
      this.idle.push(connection);
    }
    this.serveWaiting();
    if (this.isClosing) void this.close();
    else if (this.idle.length > 0) this.sweeping ??= this.clock.setTimeout(() => this.sweep(), SWEEP_MS).unref();
  }

  private serveWaiting(): void {
    while (this.waiting.length > 0) {
      const connection = this.take();
      if (connection === null) return;
      connection.send(this.waiting.shift()!);
    }
  }

  private sweep(): void {
    this.sweeping = null;
    const nowMs = this.clock.monotonicMs();
    // Longest idle first.
    while (this.idle.length > 0 && nowMs >= this.idle[0]!.idleUntilMs) this.idle.shift()!.cut();
    if (this.idle.length > 0) this.sweeping = this.clock.setTimeout(() => this.sweep(), SWEEP_MS).unref();
  }
}
