/**
 * One kept connection to a worker: a request goes out in one write, and its answer is read into one buffer that all
 * connections share.
 */
import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import { type Dispatcher, errors } from 'undici';
import { type AnswerEvents, AnswerParser } from './answer-parser.ts';

export interface WorkerAddress {
  readonly host: string;
  readonly port: number;
}

/** Who keeps the connection between its requests. */
export interface ConnectionKeeper {
  /** It may carry another request. */
  free(connection: WorkerConnection): void;
  /** Nothing may be sent over it any more. */
  gone(connection: WorkerConnection): void;
}

/** A request on its way, and what its handler may do to it, both in undici's terms. */
export class Sending implements Dispatcher.DispatchController, AnswerEvents {
  readonly text: string;
  readonly encoding: 'latin1' | 'utf8';
  paused = false;
  reason: Error | null = null;
  private readonly handler: Dispatcher.DispatchHandler;
  private connection: WorkerConnection | null = null;
  private isOver = false;

  /** `text`: all of it, as it goes over the wire. */
  constructor(text: string, encoding: 'latin1' | 'utf8', handler: Dispatcher.DispatchHandler) {
    this.text = text;
    this.encoding = encoding;
    this.handler = handler;
  }

  get aborted(): boolean {
    return this.reason !== null;
  }

  /** It is about to go out; false: nobody wants it any more. */
  begin(connection: WorkerConnection): boolean {
    this.handler.onRequestStart?.(this, null);
    if (!this.isOver) this.connection = connection;
    return !this.isOver;
  }

  abort(reason: Error): void {
    if (this.isOver) return;
    this.reason = reason;
    this.connection?.cut();
    this.failed(reason);
  }

  pause(): void {
    this.paused = true;
    this.connection?.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.connection?.resume();
  }

  head(status: number, contentType: string): void {
    if (!this.isOver) this.handler.onResponseStart?.(this, status, { 'content-type': contentType });
  }

  body(bytes: Buffer): void {
    if (!this.isOver) this.handler.onResponseData?.(this, bytes);
  }

  ended(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.connection = null;
    this.handler.onResponseEnd?.(this, {});
  }

  failed(error: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.connection = null;
    this.handler.onResponseError?.(this, error);
  }
}

/** Bytes of one read. What was read is used up before any other read happens. */
const READ_BYTES = 65_536;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
const TCP_KEEP_ALIVE_MS = 60_000;

export class WorkerConnection {
  /** Monotonic; the keeper's. */
  idleUntilMs = 0;
  private readonly keeper: ConnectionKeeper;
  private readonly socket: Socket;
  private readonly connecting: Timer;
  private readonly parser: AnswerParser;
  private sending: Sending | null = null;
  private isConnected = false;
  private error: Error | null = null;

  constructor({ host, port }: WorkerAddress, connectTimeoutMs: number, clock: Clock, keeper: ConnectionKeeper) {
    this.keeper = keeper;
    this.parser = new AnswerParser({
      head: (status, type) => this.sending?.head(status, type),
      body: (bytes) => this.sending?.body(bytes),
    });
    const callback = (count: number) => this.read(count);
    const onread = { buffer: readBuffer, callback };
    this.socket = connect({
      host,
      port,
      onread,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    })
      .on('connect', () => this.connected())
      .on('error', (error) => {
        this.error = error;
      })
      .on('end', () => this.ended())
      .on('close', () => this.closed());
    this.connecting = clock.setTimeout(
      () => this.socket.destroy(new errors.ConnectTimeoutError('no connection in time')),
      connectTimeoutMs,
    );
  }

  /** For how long the worker keeps it when it is idle, as it said with its last answer; null = it did not say. */
  get keepsMs(): number | null {
    return this.parser.keepsMs;
  }

  /** Only over a connection that is new or free. */
  send(sending: Sending): void {
    this.sending = sending;
    if (this.isConnected) this.begin(sending);
  }

  /** Ends it now, whatever it carries. */
  cut(): void {
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  private connected(): void {
    this.isConnected = true;
    this.connecting.cancel();
    if (this.sending !== null) this.begin(this.sending);
  }

  private begin(sending: Sending): void {
    this.parser.next();
    if (sending.begin(this)) this.socket.write(sending.text, sending.encoding);
    else {
      this.sending = null;
      this.keeper.free(this);
    }
  }

  /** True: go on reading. */
  private read(count: number): boolean {
    if (this.sending === null) {
      // Said without being asked.
      this.keeper.gone(this);
      this.cut();
      return false;
    }
    try {
      this.parser.push(readBuffer, count);
    } catch (error) {
      this.fail(error as Error);
      return false;
    }
    if (this.parser.isDone) this.finish(this.sending);
    return true;
  }

  /** The worker closed its end. */
  private ended(): void {
    this.keeper.gone(this);
    if (this.sending === null) return;
    if (this.parser.end()) this.finish(this.sending);
    else this.fail(new errors.SocketError('the worker closed the connection'));
  }

  private closed(): void {
    this.connecting.cancel();
    this.keeper.gone(this);
    this.fail(this.error ?? new errors.SocketError('the connection was cut'));
  }

  private finish(sending: Sending | null): void {
    this.sending = null;
    // A worker that has answered before it was asked to the end speaks another protocol.
    if (!this.parser.keeps || this.socket.writableLength > 0 || this.socket.destroyed) this.cut();
    else {
      if (sending?.paused) this.socket.resume();
      this.keeper.free(this);
    }
    sending?.ended();
  }

  private fail(error: Error): void {
    const { sending } = this;
    this.sending = null;
    this.cut();
    sending?.failed(error);
  }
}
