/**
 * The client's end of an answer. Writes what it is given, says when the client cannot take more, and knows whether it
 * is still there. Express does not reach this far: it sees Node's plain response.
 */
import type { ServerResponse } from 'node:http';

export interface ClientSideEvents {
  /** The connection closed before the answer was complete. */
  gone(): void;
  /** The client took what had piled up. */
  drained(): void;
}

export class ClientSide {
  private readonly response: ServerResponse;
  private readonly events: ClientSideEvents;
  private ended = false;
  private readonly onClose = (): void => {
    if (!this.ended || !this.response.writableFinished) this.events.gone();
  };
  private readonly onDrain = (): void => this.events.drained();

  constructor(response: ServerResponse, events: ClientSideEvents) {
    this.response = response;
    this.events = events;
    response.on('close', this.onClose);
    response.on('drain', this.onDrain);
  }

  get headersSent(): boolean {
    return this.response.headersSent;
  }

  get isGone(): boolean {
    return this.response.destroyed || this.response.closed;
  }

  /** Bytes that Node holds for the client. */
  get bufferedBytes(): number {
    return this.response.writableLength;
  }

  writeHead(status: number, headers: Record<string, string>): void {
    this.response.writeHead(status, headers);
    // The status shall not wait for the first byte of the body.
    this.response.flushHeaders();
  }

  /** `text` is latin1, one character per byte. False = wait for `drained`. */
  write(text: string): boolean {
    return this.response.write(text, 'latin1');
  }

  /** Ends the answer with these last bytes. */
  end(text: string): void {
    this.ended = true;
    this.response.end(text, 'latin1');
  }

  endBody(status: number, headers: Record<string, string>, body: Buffer): void {
    this.ended = true;
    this.response.writeHead(status, headers);
    this.response.end(body);
  }

  /** Cuts the connection: a client that reads too slowly to be told anything. */
  destroy(): void {
    this.response.destroy();
  }

  /** Stops listening; the response stays as it is. */
  release(): void {
    this.response.off('close', this.onClose);
    this.response.off('drain', this.onDrain);
  }
}
