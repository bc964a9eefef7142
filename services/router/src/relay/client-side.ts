/**
 * The client's end of an answer. Writes what it is given, says when the client cannot take more, and knows whether it
 * is still there. Express does not reach this far: it sees Node's plain response. Text is latin1, one character a byte.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ClientSideEvents {
  /** The connection closed before the answer was complete. */
  gone(): void;
  /** The client took what had piled up. */
  drained(): void;
}

/** Somebody who keeps an answer beside its client (repeats/, bodies/). Sees exactly the bytes of the answer, unframed. */
export interface AnswerTap {
  /** The answer is made to its end for it, whether or not its client is still there. */
  readonly holds: boolean;
  /** A stream begins. */
  head(status: number, headers: Record<string, string>): void;
  bytes(text: string): void;
  /** A whole answer at once. */
  whole(status: number, headers: Record<string, string>, text: string): void;
}

/** Answers that somebody keeps. */
const taps = new WeakMap<ServerResponse, AnswerTap>();
/** Kept streams that have begun, although their client may have left before it got their head. */
const begun = new WeakSet<ServerResponse>();

/** From here on `tap` sees what this response's client gets; where it holds, a client that leaves ends nothing. */
export function tapAnswer(response: ServerResponse, tap: AnswerTap): void {
  const other = taps.get(response);
  taps.set(response, other === undefined ? tap : new BothTaps(other, tap));
}

function isHeld(response: ServerResponse): boolean {
  return taps.get(response)?.holds === true;
}

class BothTaps implements AnswerTap {
  readonly holds: boolean;
  private readonly first: AnswerTap;
  private readonly second: AnswerTap;

  constructor(first: AnswerTap, second: AnswerTap) {
    this.first = first;
    this.second = second;
    this.holds = first.holds || second.holds;
  }

  head(status: number, headers: Record<string, string>): void {
    this.first.head(status, headers);
    this.second.head(status, headers);
  }

  bytes(text: string): void {
    this.first.bytes(text);
    this.second.bytes(text);
  }

  whole(status: number, headers: Record<string, string>, text: string): void {
    this.first.whole(status, headers, text);
    this.second.whole(status, headers, text);
  }
}

/** For `process.nextTick`: one function for all. */
const sendHead = (client: ClientSide): void => client.sendHead();

/** Streams whose chunks are framed here; see `startStream`. */
const framed = new WeakSet<ServerResponse>();

/**
 * Makes the head of a stream, which leaves with its first bytes. Node writes a chunk of a chunked body as four pieces;
 * framed here it is one, at half the cost (measured: a stream is thousands of them). So once Node has announced chunks it
 * is told to write bytes as they come. A client of HTTP/1.0 gets no chunks and no frames.
 */
function startStream(
  response: ServerResponse,
  tap: AnswerTap | null,
  status: number,
  headers: Record<string, string>,
): void {
  if (tap !== null) {
    tap.head(status, headers);
    if (tap.holds) begun.add(response);
    if (response.destroyed) return;
  }
  response.writeHead(status, headers);
  if (response.chunkedEncoding !== true) return;
  response.chunkedEncoding = false;
  framed.add(response);
}

function frame(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** The status and headers have left, or are kept as if they had. */
export function hasBegun(response: ServerResponse): boolean {
  return response.headersSent || begun.has(response);
}

/** Nobody reads what is written there any more. */
export function isUnread(response: ServerResponse): boolean {
  return response.writableEnded || (response.destroyed && !isHeld(response));
}

/** Ends a stream that `ClientSide` began with these last bytes. */
export function endStream(response: ServerResponse, text: string): void {
  taps.get(response)?.bytes(text);
  if (response.destroyed) return;
  if (framed.has(response)) response.end(`${text === '' ? '' : frame(text)}0\r\n\r\n`, 'latin1');
  else response.end(text, 'latin1');
}

/** Ends a stream so that its client sees that something is missing: what was written leaves, the last chunk does not. */
export function cutStream(response: ServerResponse, text: string): void {
  taps.get(response)?.bytes(text);
  if (response.destroyed) return;
  if (text !== '') response.write(framed.has(response) ? frame(text) : text, 'latin1');
  // Its head may wait for bytes still.
  else response.flushHeaders();
  if (response.socket === null) response.destroy();
  else response.socket.destroySoon();
}

export class ClientSide {
  private readonly response: ServerResponse;
  /** Who keeps a stream, if anybody does: known when it begins. */
  private tap: AnswerTap | null = null;
  private readonly events: ClientSideEvents;
  /** How long a client may take for the last bytes. */
  private readonly patienceMs: number;
  private ended = false;
  /** Where chunks of a stream go once its head has left; null: to the response, which knows better. */
  private socket: Socket | null = null;
  private isHeadSent = false;
  /** The head of a stream waits for its first bytes. */
  private headWaits = false;
  private awaitsDrain = false;
  private readonly onClose = (): void => {
    if (this.kept) this.events.drained();
    else if (!this.ended || !this.response.writableFinished) this.events.gone();
  };
  private readonly onDrain = (): void => {
    this.awaitsDrain = false;
    this.events.drained();
  };

  constructor(response: ServerResponse, patienceMs: number, events: ClientSideEvents) {
    this.response = response;
    this.patienceMs = patienceMs;
    this.events = events;
    response.on('close', this.onClose);
    response.on('drain', this.onDrain);
  }

  get headersSent(): boolean {
    this.isHeadSent ||= hasBegun(this.response);
    return this.isHeadSent;
  }

  get isGone(): boolean {
    return !this.kept && (this.response.destroyed || this.response.closed);
  }

  /** The answer has a reader even when its client has left. */
  private get kept(): boolean {
    return isHeld(this.response);
  }

  /** Bytes that Node holds for the client. */
  get bufferedBytes(): number {
    return this.response.writableLength;
  }

  /** Begins a stream. Its status leaves with what is written in the same turn, or without. */
  start(status: number, headers: Record<string, string>): void {
    const { response } = this;
    this.tap = taps.get(response) ?? null;
    startStream(response, this.tap, status, headers);
    this.headWaits = true;
    process.nextTick(sendHead, this);
  }

  /** No bytes came with it. */
  sendHead(): void {
    const { response } = this;
    if (this.headWaits && !response.destroyed && !response.writableEnded) response.flushHeaders();
    this.headWaits = false;
  }

  /** False = wait for `drained`. */
  write(text: string): boolean {
    const { tap, socket } = this;
    if (tap !== null) tap.bytes(text);
    if (socket === null) return this.response.destroyed || this.writeFirst(text);
    // A response is destroyed with its connection.
    if (socket.destroyed) return true;
    if (socket.write(frame(text), 'latin1')) return true;
    if (!this.awaitsDrain) socket.once('drain', this.onDrain);
    this.awaitsDrain = true;
    return false;
  }

  /** Node puts the head before these bytes. */
  private writeFirst(text: string): boolean {
    const { response } = this;
    this.headWaits = false;
    const isFramed = framed.has(response);
    const takesMore = response.write(isFramed ? frame(text) : text, 'latin1');
    // A framed chunk is bytes for the connection: the response would only cork it, and uncork it in another turn.
    if (isFramed) this.socket = response.socket;
    return takesMore;
  }

  /** Ends the stream with these last bytes. */
  end(text: string): void {
    this.ended = true;
    endStream(this.response, text);
    this.limitRest();
  }

  /** Ends the stream with these bytes, visibly before its end. */
  cut(text: string): void {
    this.ended = true;
    cutStream(this.response, text);
    this.limitRest();
  }

  /** A whole answer at once. */
  answer(status: number, headers: Record<string, string>, text: string): void {
    this.ended = true;
    headers['content-length'] = String(text.length);
    taps.get(this.response)?.whole(status, headers, text);
    if (this.response.destroyed) return;
    this.response.writeHead(status, headers);
    this.response.end(text, 'latin1');
    this.limitRest();
  }

  /** Leaves a client that takes nothing behind, where somebody else keeps the answer; false = the answer must end. */
  leaveBehind(): boolean {
    if (this.kept) this.response.destroy();
    return this.kept;
  }

  /** Stops listening; the response stays as it is. */
  release(): void {
    this.response.off('close', this.onClose);
    this.response.off('drain', this.onDrain);
    this.socket?.off('drain', this.onDrain);
  }

  /** Nobody watches an answer that was handed over: one that its client does not take is dropped. */
  private limitRest(): void {
    const { response } = this;
    if (response.writableFinished || response.writableLength === 0) return;
    response.setTimeout(this.patienceMs, () => response.destroy());
  }
}
