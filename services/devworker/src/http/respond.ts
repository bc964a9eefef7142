/** Answers with exactly the headers that uvicorn sends, in its order and case. */
import type { ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';

const SERVER = ['server', 'uvicorn'] as const;

function begin(res: ServerResponse, status: number, headers: readonly string[]): void {
  // Node would add Connection and Keep-Alive; the real server sends neither and keeps the connection open.
  res.removeHeader('connection');
  res.sendDate = false;
  res.writeHead(status, STATUS_CODES[status] ?? '', ['date', new Date().toUTCString(), ...SERVER, ...headers]);
}

export interface Extra {
  /** Header pairs before content-length, flat. */
  before?: readonly string[];
  /** Content type; null leaves the header out. */
  type?: string | null;
}

/** A whole answer with a length. */
export function sendBody(res: ServerResponse, status: number, body: string, extra: Extra = {}): void {
  if (res.headersSent || res.destroyed) return;
  const raw = Buffer.from(body);
  const type = extra.type === undefined ? 'application/json' : extra.type;
  begin(res, status, [
    ...(extra.before ?? []),
    'content-length',
    String(raw.length),
    ...(type === null ? [] : ['content-type', type]),
    'vary',
    'Origin',
  ]);
  res.end(raw);
}

/** Sends pieces of a chunked answer. */
export interface ChunkWriter {
  write(text: string | Uint8Array): void;
  /** The last chunk: the answer is complete. */
  end(): void;
  /** Cuts the connection. */
  destroy(): void;
}

/**
 * Begins an event stream. Chunks go straight to the socket, one write each: node's own chunked encoding takes three
 * buffers and a cork per chunk, which is most of the cost of a stream of short events.
 */
export function beginStream(res: ServerResponse, type = 'text/event-stream; charset=utf-8'): ChunkWriter {
  begin(res, 200, ['content-type', type, 'vary', 'Origin', 'transfer-encoding', 'chunked']);
  res.flushHeaders();
  return {
    write(text) {
      const { socket } = res;
      // A pipelined answer that is not at the head of its line has no socket yet.
      if (!socket || !res.chunkedEncoding) {
        res.write(text);
        return;
      }
      if (socket.destroyed) return;
      if (typeof text === 'string') socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
      else socket.write(Buffer.concat([Buffer.from(`${text.length.toString(16)}\r\n`), text, Buffer.from('\r\n')]));
    },
    end: () => void res.end(),
    destroy: () => void res.destroy(),
  };
}
