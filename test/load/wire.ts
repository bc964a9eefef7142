/** HTTP/1.1 on the byte level, as little of it as a bench needs: the ends must cost less than what is measured. */

const HEAD_END = Buffer.from('\r\n\r\n');
const EVENT_END = Buffer.from('\n\n');
const LF = 10;
const CRLF = 13;

export interface RequestOptions {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

/** One keep-alive request as text, Content-Length included. */
export function requestText({ method = 'POST', path, headers = {}, body = '' }: RequestOptions): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: bench'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (method !== 'GET') {
    lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** One chunk of chunked transfer coding. */
export function chunkText(data: string): string {
  return `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
}

/**
 * Reads answers from one keep-alive connection: any split of bytes, Content-Length or chunked bodies.
 * Allocates only for heads that come in pieces.
 */
export class AnswerReader {
  /** Status of the answer being read; 0 before its head. */
  status = 0;
  /** Body bytes of the answer so far, framing not counted. */
  bodyBytes = 0;
  /** Last bytes of the body, enough to tell `data: [DONE]`. */
  tail = '';
  /** Events that ended, in the chunked answers of this connection so far. */
  events = 0;
  #newline = false;
  readonly #onHead: () => void;
  readonly #onEnd: () => void;
  #state: 'head' | 'sized' | 'chunkSize' | 'chunkData' | 'chunkEnd' | 'trailer' = 'head';
  #left = 0;
  #pending: Buffer | null = null;

  /** `onHead` after each status line and headers; `onEnd` after each whole answer. */
  constructor(onHead: () => void, onEnd: () => void) {
    this.#onHead = onHead;
    this.#onEnd = onEnd;
  }

  push(bytes: Buffer): void {
    const held = this.#pending;
    this.#pending = null;
    let data = bytes;
    if (held) data = Buffer.concat([held, bytes]);
    let at = 0;
    while (at < data.length) {
      const next = this.#step(data, at);
      if (next < 0) {
        this.#pending = Buffer.from(data.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** Consumes one element from `at`; -1 when it is not whole yet. */
  #step(data: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(data, at);
      case 'sized':
      case 'chunkData': {
        const take = Math.min(this.#left, data.length - at);
        this.#body(data, at, take);
        this.#left -= take;
        if (this.#left === 0) {
          if (this.#state === 'sized') this.#end();
          else this.#state = 'chunkEnd';
        }
        return at + take;
      }
      case 'chunkEnd':
        if (data.length - at < 2) return -1;
        this.#state = 'chunkSize';
        return at + 2;
      case 'chunkSize': {
        const lineEnd = data.indexOf(CRLF, at);
        if (lineEnd < 0 || lineEnd + 1 >= data.length) return -1;
        this.#left = Number.parseInt(data.toString('latin1', at, lineEnd), 16);
        this.#state = this.#left === 0 ? 'trailer' : 'chunkData';
        return lineEnd + 2;
      }
      case 'trailer': {
        const lineEnd = data.indexOf(CRLF, at);
        if (lineEnd < 0 || lineEnd + 1 >= data.length) return -1;
        if (lineEnd === at) this.#end();
        return lineEnd + 2;
      }
    }
  }

  #head(data: Buffer, at: number): number {
    const headEnd = data.indexOf(HEAD_END, at);
    if (headEnd < 0) return -1;
    const head = data.toString('latin1', at, headEnd);
    this.status = Number(head.slice(9, 12));
    this.bodyBytes = 0;
    this.tail = '';
    this.#onHead();
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#state = 'chunkSize';
    } else {
      this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (this.#left === 0) this.#end();
      else this.#state = 'sized';
    }
    return headEnd + 4;
  }

  #body(data: Buffer, at: number, length: number): void {
    this.bodyBytes += length;
    if (this.#state !== 'chunkData' || length === 0) return;
    // A small slice: cheaper than keeping the body, and enough to tell whole streams from cut ones.
    const from = Math.max(at, at + length - 16);
    this.tail = (length >= 16 ? '' : this.tail.slice(length - 16)) + data.toString('latin1', from, at + length);
    this.#countEvents(data, at, at + length);
  }

  /** An event ends with two newlines, which two chunks may share. */
  #countEvents(data: Buffer, start: number, end: number): void {
    let at = start;
    if (this.#newline && data[at] === LF) {
      this.events++;
      at++;
    }
    for (;;) {
      const found = data.indexOf(EVENT_END, at);
      if (found < 0 || found + 1 >= end) break;
      this.events++;
      at = found + 2;
    }
    this.#newline = at < end && data[end - 1] === LF;
  }

  #end(): void {
    this.#state = 'head';
    this.#onEnd();
    this.status = 0;
  }
}

export interface ReadRequest {
  method: string;
  path: string;
  head: string;
  /** The body as bytes of the read buffer: valid only during the callback. */
  body: Buffer;
}

/** Reads requests with Content-Length bodies from one keep-alive connection. */
export class RequestReader {
  readonly #onRequest: (request: ReadRequest) => void;
  #pending: Buffer | null = null;

  constructor(onRequest: (request: ReadRequest) => void) {
    this.#onRequest = onRequest;
  }

  /** @throws {Error} on a body with another framing than Content-Length. */
  push(bytes: Buffer): void {
    let data = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    this.#pending = null;
    while (data.length > 0) {
      const headEnd = data.indexOf(HEAD_END);
      if (headEnd < 0) break;
      const head = data.toString('latin1', 0, headEnd);
      if (/\r\ntransfer-encoding:/i.test(head)) throw new Error('chunked request bodies are not read here');
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (data.length < end) break;
      const [method = '', path = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
      this.#onRequest({ method, path, head, body: data.subarray(headEnd + 4, end) });
      data = data.subarray(end);
    }
    if (data.length > 0) this.#pending = Buffer.from(data);
  }
}
