/**
 * A very cheap fixed upstream in a process of its own: canned answers of a vLLM, no engine behind them, so that the
 * gateway is what a run measures. It always sends the same bytes (usage on every chunk, as Tollgate asks real workers
 * to), whoever asks.
 */
import { createServer, type Socket } from 'node:net';
import { FIRST, LAST, middleChunk, PLAIN_BODY } from './canned.ts';
import { serve } from './ipc.ts';
import { MODEL } from './traffic.ts';
import type { ReadRequest } from './wire.ts';
import { RequestReader } from './wire.ts';

export interface UpstreamSettings {
  /** Content chunks of a streamed answer. */
  chunks: number;
  intervalMs: number;
  /** Wait before a non-streamed answer; 0 = at once. */
  delayMs: number;
  /** Note when each request with a mark (`mark-12345678` in its body) arrives. */
  noteArrivals: boolean;
}

export interface UpstreamReading {
  requests: number;
  /** Chunks written since the start of the process. */
  chunks: number;
  openStreams: number;
  /** Streams whose peer left before the end: mark and time of CLOCK_MONOTONIC in nanoseconds; emptied by the reading. */
  aborts: { mark: number; atNs: bigint }[];
  arrivals: { mark: number; atNs: bigint; unixUs: number }[];
}

function sized(status: string, type: string, body: string): string {
  return `HTTP/1.1 ${status}\r\nserver: uvicorn\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const json = 'application/json';
const PLAIN = Buffer.from(sized('200 OK', json, PLAIN_BODY));
const MODELS = sized(
  '200 OK',
  json,
  JSON.stringify({
    object: 'list',
    data: [
      { id: MODEL, object: 'model', created: 1_795_235_419, owned_by: 'vllm', root: MODEL, max_model_len: 32_768 },
    ],
  }),
);
const METRICS = sized(
  '200 OK',
  'text/plain; version=0.0.4; charset=utf-8',
  [
    `vllm:num_requests_running{engine="0",model_name="${MODEL}"} 0.0`,
    `vllm:num_requests_waiting{engine="0",model_name="${MODEL}"} 0.0`,
    `vllm:kv_cache_usage_perc{engine="0",model_name="${MODEL}"} 0.0`,
    `vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="40000"} 1.0`,
    '',
  ].join('\n'),
);
const GETS: Record<string, string> = {
  '/health': sized('200 OK', json, ''),
  '/ping': sized('200 OK', json, ''),
  '/v1/models': MODELS,
  '/version': sized('200 OK', json, '{"version":"0.29.0"}'),
  '/load': sized('200 OK', json, '{"server_load":0}'),
  '/metrics': METRICS,
};
const NOT_FOUND = sized('404 Not Found', json, '{"detail":"Not Found"}');

interface Stream {
  socket: Socket;
  sent: number;
  dueMs: number;
  mark: number;
  over: boolean;
}

const settings: UpstreamSettings = { chunks: 100, intervalMs: 20, delayMs: 0, noteArrivals: false };
let middle: Buffer[] = [];
let last = LAST(settings.chunks);
const counts = { requests: 0, chunks: 0, openStreams: 0 };
let aborts: UpstreamReading['aborts'] = [];
let arrivals: UpstreamReading['arrivals'] = [];
/** Streams in the order of their next chunk: the interval is one for all, so a queue needs no sorting. */
let queue: Stream[] = [];

function prepare(): void {
  middle = Array.from({ length: settings.chunks }, (_, n) => middleChunk(n));
  last = LAST(settings.chunks);
}
prepare();

function tick(): void {
  const nowMs = performance.now();
  let taken = 0;
  for (const stream of queue) {
    if (stream.dueMs > nowMs) break;
    taken++;
    if (stream.over) continue;
    if (stream.sent < settings.chunks - 1) {
      stream.socket.write(middle[stream.sent++]!);
      counts.chunks++;
      stream.dueMs += settings.intervalMs;
      queue.push(stream);
    } else {
      stream.over = true;
      counts.openStreams--;
      stream.socket.write(last);
      counts.chunks += 3;
    }
  }
  if (taken > 0) queue = queue.slice(taken);
}
setInterval(tick, 1);

function markOf(body: Buffer): number {
  const at = body.indexOf('mark-');
  return at < 0 ? -1 : Number(body.toString('latin1', at + 5, at + 13));
}

function answer(socket: Socket, request: ReadRequest, opened: (stream: Stream) => void): void {
  if (request.method === 'GET') {
    socket.write(GETS[request.path] ?? NOT_FOUND);
    return;
  }
  counts.requests++;
  if (settings.noteArrivals) {
    const unixUs = (performance.timeOrigin + performance.now()) * 1000;
    arrivals.push({ mark: markOf(request.body), atNs: process.hrtime.bigint(), unixUs });
  }
  if (request.body.includes('"stream":true') || request.body.includes('"stream": true')) {
    const stream = {
      socket,
      sent: 0,
      dueMs: performance.now() + settings.intervalMs,
      mark: markOf(request.body),
      over: false,
    };
    counts.openStreams++;
    counts.chunks++;
    socket.write(FIRST);
    queue.push(stream);
    opened(stream);
  } else if (settings.delayMs > 0) {
    setTimeout(() => socket.write(PLAIN), settings.delayMs);
  } else {
    socket.write(PLAIN);
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let stream: Stream | undefined;
  const reader = new RequestReader((request) =>
    answer(socket, request, (opened) => {
      stream = opened;
    }),
  );
  socket.on('data', (bytes: Buffer) => reader.push(bytes));
  socket.on('error', () => {});
  // A worker notices a client that left when its socket ends, as uvicorn does.
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    if (!stream || stream.over) return;
    stream.over = true;
    counts.openStreams--;
    aborts.push({ mark: stream.mark, atNs: process.hrtime.bigint() });
  });
});

serve({
  /** Opens one more port; several ports look like several workers. */
  listen: () =>
    new Promise<number>((resolve, reject) => {
      const extra = createServer({ noDelay: true }, (socket) => server.emit('connection', socket));
      extra.once('error', reject);
      extra.listen(0, '127.0.0.1', () => {
        const address = extra.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    }),
  configure(next: Partial<UpstreamSettings>) {
    Object.assign(settings, next);
    prepare();
  },
  read(): UpstreamReading {
    const reading = { ...counts, aborts, arrivals };
    aborts = [];
    arrivals = [];
    return reading;
  },
  /** Stops answering for a while: what a worker's pause does to arrivals that go on. */
  stall(ms: number) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
});
