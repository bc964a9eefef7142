/**
 * Load generator in a process of its own: raw sockets, keep-alive, no HTTP library. Four kinds of load:
 * `closed` (each connection asks again when it was answered: for CPU per request at capacity), `rate` (arrivals at a
 * constant rate whatever the answers do, latency counted from when a request was DUE, so a stall is felt by everyone
 * that it delayed: no coordinated omission), `streams` (as many open streams as asked, each replaced at its end) and `idle`
 * (connections that ask once, a few at a time, and then stay open and silent).
 */
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { serve } from './ipc.ts';
import { type Distribution, distribution, Samples } from './stats.ts';
import { AnswerReader } from './wire.ts';

export interface Load {
  kind: 'closed' | 'rate' | 'streams' | 'idle';
  port: number;
  /** Whole requests as text, used in turn. `mark-########` in them becomes a number of its own each time. */
  requests: string[];
  /** closed, streams, idle: how many at once. rate: the most connections that may be open; arrivals beyond wait, and it counts. */
  connections: number;
  /** rate: arrivals per second. */
  perSecond?: number;
  /** streams: spread the first requests over this time, so that streams do not start in one burst. */
  rampMs?: number;
  /** streams: leave by closing the socket after this many ms instead of reading to the end. */
  leaveAfterMs?: number;
  /** Keep each answer's status and times for `read`. Not for high rates. */
  noteEach?: boolean;
}

export interface NotedAnswer {
  mark: number;
  status: number;
  /** CLOCK_MONOTONIC, nanoseconds. */
  sentNs: bigint;
  headNs: bigint;
}

export interface LoadReading {
  atNs: bigint;
  /** Whole answers with status 200 since the load started (streams: those that ended with `[DONE]`). */
  good: number;
  /** Everything else by kind: `429`, `cut` (a stream without its end), `closed`, `refused`. */
  bad: Record<string, number>;
  /** rate: arrivals that were due but had not been sent at the reading. */
  backlog: number;
  open: number;
  /** Milliseconds since the last reading: from due (rate) or sent (else) to the whole answer. */
  latencyMs: Distribution;
  /** streams: from sent to the head of the answer. */
  headMs: Distribution;
  /** streams: events read since the load started. */
  events: number;
  /** streams: milliseconds between reads that brought events, of one answer, since the last reading. */
  gapMs: Distribution;
  /** Connections that are open and wait for nothing. */
  idle: number;
  /** Clients that left: mark and time of leaving. */
  leaves: { mark: number; atNs: bigint }[];
  answers: NotedAnswer[];
}

const MARK = 'mark-########';
let nextMark = 10_000_000;
/** idle: requests under way at a time while connections are made. */
const OPENING = 64;
const BUFFER_BYTES = 32_768;
const IDLE_BUFFER_BYTES = 4_096;

class Connection {
  socket: Socket | undefined;
  busy = false;
  ready = false;
  dueMs = 0;
  sentMs = 0;
  sentNs = 0n;
  mark = -1;
  headNs = 0n;
  #events = 0;
  #eventMs = 0;
  readonly reader = new AnswerReader(
    () => this.onHead(),
    () => this.onEnd(),
  );
  readonly owner: Run;

  constructor(owner: Run) {
    this.owner = owner;
    this.open();
  }

  open(): void {
    this.ready = false;
    const socket = connect({
      port: this.owner.load.port,
      host: '127.0.0.1',
      noDelay: true,
      // One buffer per connection, consumed in the callback: nothing is allocated per read.
      onread: {
        buffer: Buffer.allocUnsafe(this.owner.load.kind === 'idle' ? IDLE_BUFFER_BYTES : BUFFER_BYTES),
        callback: (count, buffer) => {
          this.reader.push((buffer as Buffer).subarray(0, count));
          if (this.reader.events !== this.#events) this.onEvents();
          return true;
        },
      },
    });
    this.socket = socket;
    socket.once('connect', () => {
      this.ready = true;
      this.owner.onIdle(this);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.socket !== socket) return;
      if (this.busy) this.owner.failed(this, this.reader.status === 0 ? 'refused' : 'cut');
      else if (!this.ready) this.owner.count('refused');
      else if (this.owner.load.kind === 'idle') this.owner.count('dropped');
      this.busy = false;
      if (!this.owner.stopped) setTimeout(() => this.open(), 5);
    });
  }

  send(text: string, dueMs: number): void {
    this.busy = true;
    this.dueMs = dueMs;
    this.sentMs = performance.now();
    let out = text;
    if (this.owner.load.noteEach || this.owner.load.leaveAfterMs !== undefined) {
      this.mark = nextMark++;
      out = text.replace(MARK, `mark-${this.mark}`);
      this.sentNs = process.hrtime.bigint();
    }
    this.socket?.write(out, 'latin1');
  }

  onHead(): void {
    if (this.owner.load.kind === 'streams') this.owner.headMs.add(performance.now() - this.sentMs);
    if (this.owner.load.noteEach) this.headNs = process.hrtime.bigint();
    this.#eventMs = 0;
  }

  onEvents(): void {
    const nowMs = performance.now();
    this.owner.events += this.reader.events - this.#events;
    this.#events = this.reader.events;
    // The first events of an answer have none before them.
    if (this.#eventMs > 0) this.owner.gapMs.add(nowMs - this.#eventMs);
    this.#eventMs = nowMs;
  }

  onEnd(): void {
    const { status, tail } = this.reader;
    this.busy = false;
    this.owner.answered(this, status, tail);
  }

  /** Closes without waiting for the rest: the client that leaves. */
  leave(): void {
    const gone = this.socket;
    this.socket = undefined;
    this.busy = false;
    this.ready = false;
    gone?.destroy();
  }
}

class Run {
  readonly load: Load;
  stopped = false;
  good = 0;
  bad: Record<string, number> = {};
  readonly latencyMs = new Samples();
  readonly headMs = new Samples();
  readonly gapMs = new Samples();
  events = 0;
  leaves: LoadReading['leaves'] = [];
  answers: NotedAnswer[] = [];
  readonly #connections: Connection[] = [];
  readonly #idle: Connection[] = [];
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #turn = 0;
  #due = 0;
  #sent = 0;
  #startMs = 0;

  constructor(load: Load) {
    this.load = load;
  }

  start(): void {
    const { kind, connections, rampMs = 0 } = this.load;
    if (kind === 'idle') {
      for (let i = 0; i < Math.min(OPENING, connections); i++) this.#connections.push(new Connection(this));
      return;
    }
    for (let i = 0; i < connections; i++) {
      if (kind === 'streams' && rampMs > 0) {
        setTimeout(() => this.#connections.push(new Connection(this)), (rampMs * i) / connections);
      } else {
        this.#connections.push(new Connection(this));
      }
    }
    if (kind === 'rate') this.#pace();
  }

  #pace(): void {
    const intervalMs = 1000 / this.load.perSecond!;
    // Connections open first; arrivals start a moment later.
    const startMs = performance.timeOrigin + performance.now() + 250;
    this.#startMs = startMs - performance.timeOrigin;
    const pacer = new Worker(new URL('./pacer.ts', import.meta.url), {
      workerData: { intervalMs, startMs, stop: this.#stop },
    });
    pacer.on('message', (due: number) => {
      this.#due = due;
      this.#sendDue();
    });
    pacer.on('error', () => this.count('pacer'));
  }

  #sendDue(): void {
    const intervalMs = 1000 / this.load.perSecond!;
    while (this.#sent < this.#due && !this.stopped) {
      const connection = this.#idle.pop();
      if (!connection) return;
      if (!connection.ready || connection.busy) continue;
      connection.send(this.#next(), this.#startMs + this.#sent++ * intervalMs);
    }
  }

  #next(): string {
    const text = this.load.requests[this.#turn]!;
    this.#turn = (this.#turn + 1) % this.load.requests.length;
    return text;
  }

  onIdle(connection: Connection): void {
    if (this.stopped) return;
    if (this.load.kind === 'rate') {
      this.#idle.push(connection);
      this.#sendDue();
      return;
    }
    if (this.load.kind === 'idle' && connection.sentMs > 0) {
      if (this.#connections.length < this.load.connections) this.#connections.push(new Connection(this));
      return;
    }
    connection.send(this.#next(), performance.now());
    const { leaveAfterMs } = this.load;
    if (leaveAfterMs === undefined) return;
    const mark = connection.mark;
    setTimeout(() => {
      if (this.stopped || !connection.busy || connection.mark !== mark) return;
      this.leaves.push({ mark, atNs: process.hrtime.bigint() });
      connection.leave();
      connection.open();
    }, leaveAfterMs);
  }

  answered(connection: Connection, status: number, tail: string): void {
    const stream = this.load.kind === 'streams';
    if (status !== 200) this.count(String(status));
    else if (stream && !tail.endsWith('data: [DONE]\n\n')) this.count('cut');
    else {
      this.good++;
      this.latencyMs.add(performance.now() - (this.load.kind === 'rate' ? connection.dueMs : connection.sentMs));
    }
    if (this.load.noteEach) {
      const { mark, sentNs, headNs } = connection;
      this.answers.push({ mark, status, sentNs, headNs });
    }
    this.onIdle(connection);
  }

  failed(_connection: Connection, why: string): void {
    this.count(why);
  }

  count(why: string): void {
    if (!this.stopped) this.bad[why] = (this.bad[why] ?? 0) + 1;
  }

  read(): LoadReading {
    const reading: LoadReading = {
      atNs: process.hrtime.bigint(),
      good: this.good,
      bad: { ...this.bad },
      backlog: this.#due - this.#sent,
      open: this.#connections.filter((connection) => connection.busy).length,
      latencyMs: distribution(this.latencyMs.take()),
      headMs: distribution(this.headMs.take()),
      events: this.events,
      gapMs: distribution(this.gapMs.take()),
      idle: this.#connections.filter((connection) => connection.ready && !connection.busy).length,
      leaves: this.leaves,
      answers: this.answers,
    };
    this.leaves = [];
    this.answers = [];
    return reading;
  }

  stop(): void {
    this.stopped = true;
    Atomics.store(this.#stop, 0, 1);
    Atomics.notify(this.#stop, 0);
    for (const connection of this.#connections) connection.leave();
  }
}

let run: Run | undefined;

serve({
  start(load: Load) {
    run?.stop();
    run = new Run(load);
    run.start();
  },
  read: () => run!.read(),
  stop() {
    const reading = run!.read();
    run!.stop();
    run = undefined;
    return reading;
  },
});
