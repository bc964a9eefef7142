/** One request to one worker: undici's dispatch underneath, the few events that a relay needs on top. */
import type { Dispatcher } from 'undici';

/** What an attempt tells whoever reads the answer. After `failed` or `ended` nothing more comes. */
export interface AnswerSink {
  started(attempt: Attempt, status: number, contentType: string): void;
  /** `chunk` is valid during the call only: the next read fills the same memory. */
  bytes(attempt: Attempt, chunk: Buffer): void;
  ended(attempt: Attempt): void;
  failed(attempt: Attempt, error: Error): void;
}

type Headers = Record<string, string | string[] | undefined>;

export class AttemptAborted extends Error {
  override readonly name = 'AttemptAborted';
}

export class Attempt implements Dispatcher.DispatchHandler {
  /** True once the request was handed to a connection: from then on the worker may be computing. */
  sent = false;
  private readonly sink: AnswerSink;
  private controller: Dispatcher.DispatchController | null = null;
  private aborted = false;
  private closed = false;

  constructor(sink: AnswerSink) {
    this.sink = sink;
  }

  /** Cuts the connection: a worker stops generating within one step. Idempotent; the sink hears nothing more. */
  abort(): void {
    if (this.aborted || this.closed) return;
    this.aborted = true;
    this.controller?.abort(new AttemptAborted('aborted by the router'));
  }

  pause(): void {
    this.controller?.pause();
  }

  resume(): void {
    this.controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    // The client left while the request waited for a connection.
    if (this.aborted) controller.abort(new AttemptAborted('aborted by the router'));
    else this.sent = true;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (this.aborted || status < 200) return;
    const type = headers['content-type'];
    this.sink.started(this, status, typeof type === 'string' ? type : '');
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.aborted) this.sink.bytes(this, chunk);
  }

  onResponseEnd(): void {
    if (this.aborted || this.closed) return;
    this.closed = true;
    this.sink.ended(this);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.aborted || this.closed) return;
    this.closed = true;
    this.sink.failed(this, error);
  }
}

/** True for errors from before a connection stood: the worker cannot have seen the request. */
export function isConnectError(error: Error): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/.test(code);
}
