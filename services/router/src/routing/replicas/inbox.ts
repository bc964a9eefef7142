/**
 * The other routers' requests under way, as their deltas and snapshots tell them, entered into one's own book. Pure.
 *
 * Per replica the book holds exactly what that replica had under way after its delta `applied`. Lost, doubled and swapped
 * messages cannot break that: a delta is applied once and in order, what comes early waits, a gap is closed by a snapshot.
 * A replica that is silent too long, or that says good-bye, takes its share with it.
 */
import type { RoutingRequest, Seen } from '../fleet-book.ts';
import type { Message, SharedEvent } from './protocol.ts';

/** Where others' events go: the book that a policy reads. An URL that it does not know is its own matter. */
export interface BookSink {
  dispatch(request: RoutingRequest, url: string, atMs: number, firstTokenMs: number): void;
  start(id: string, isMeasured: boolean, atMs: number): void;
  end(id: string, seen: Seen, atMs: number): void;
}

interface Peer {
  /** Last delta or snapshot that is in the book; -1: none yet. */
  applied: number;
  /** Ids under way and whether their first token was there. */
  readonly live: Map<string, { started: boolean }>;
  /** Deltas behind a gap. */
  readonly early: Map<number, readonly SharedEvent[]>;
  heardMs: number;
  askedMs: number;
}

export interface InboxOptions {
  /** A replica that says nothing for so long is gone. */
  silentMs: number;
  /** Not more often than this is one replica asked for a snapshot. */
  askEveryMs: number;
}

export const INBOX_DEFAULTS: InboxOptions = { silentMs: 3_000, askEveryMs: 200 };

const EARLY_MOST = 256;
const NOTHING_SEEN: Seen = { cachedTokens: null, outputTokens: null };

export class Inbox {
  private readonly peers = new Map<string, Peer>();
  private readonly self: string;
  private readonly sink: BookSink;
  private readonly options: InboxOptions;
  private gapCount = 0;

  constructor(self: string, sink: BookSink, options: InboxOptions = INBOX_DEFAULTS) {
    this.self = self;
    this.sink = sink;
    this.options = options;
  }

  /** Other routers that are heard. */
  get replicas(): number {
    return this.peers.size;
  }

  /** Their requests under way. */
  get inFlight(): number {
    let sum = 0;
    for (const { live } of this.peers.values()) sum += live.size;
    return sum;
  }

  /** How often something was missing. */
  get gaps(): number {
    return this.gapCount;
  }

  /** Takes a message in. True when that replica must be asked for a snapshot now. */
  receive(message: Message, nowMs: number): boolean {
    if (message.replica === this.self) return false;
    if (message.kind === 'bye') {
      this.drop(message.replica, nowMs);
      return false;
    }
    const peer = this.peer(message.replica, nowMs);
    peer.heardMs = nowMs;
    if (message.kind === 'snapshot') this.replace(peer, message, nowMs);
    else if (message.kind === 'delta' && message.seq > peer.applied && peer.early.size < EARLY_MOST) {
      peer.early.set(message.seq, message.events);
    }
    this.catchUp(peer, nowMs);
    if (message.seq <= peer.applied || nowMs - peer.askedMs < this.options.askEveryMs) return false;
    peer.askedMs = nowMs;
    if (peer.applied >= 0) this.gapCount++;
    return true;
  }

  /** Drops replicas that are silent too long; answers how many. */
  expire(nowMs: number): number {
    let dropped = 0;
    for (const [replica, { heardMs }] of this.peers) {
      if (nowMs - heardMs <= this.options.silentMs) continue;
      this.drop(replica, nowMs);
      dropped++;
    }
    return dropped;
  }

  /** Ids under way at a replica; for tests. */
  liveOf(replica: string): ReadonlyMap<string, { started: boolean }> {
    return this.peers.get(replica)?.live ?? new Map();
  }

  private peer(replica: string, nowMs: number): Peer {
    let peer = this.peers.get(replica);
    if (peer === undefined) {
      peer = { applied: -1, live: new Map(), early: new Map(), heardMs: nowMs, askedMs: Number.NEGATIVE_INFINITY };
      this.peers.set(replica, peer);
    }
    return peer;
  }

  private drop(replica: string, nowMs: number): void {
    const peer = this.peers.get(replica);
    if (peer === undefined) return;
    this.peers.delete(replica);
    for (const id of peer.live.keys()) this.sink.end(id, NOTHING_SEEN, nowMs);
  }

  private replace(peer: Peer, message: Extract<Message, { kind: 'snapshot' }>, nowMs: number): void {
    if (message.seq < peer.applied) return;
    const now = new Set(message.live.map(({ request }) => request.id));
    for (const id of [...peer.live.keys()]) if (!now.has(id)) this.end(peer, id, NOTHING_SEEN, nowMs);
    for (const { request, url, started, ageMs, firstTokenMs } of message.live) {
      if (!peer.live.has(request.id)) this.dispatch(peer, request, url, nowMs - ageMs, firstTokenMs);
      if (started) this.start(peer, request.id, false, nowMs);
    }
    peer.applied = message.seq;
  }

  private catchUp(peer: Peer, nowMs: number): void {
    if (peer.early.size === 0 || peer.applied < 0) return;
    for (const seq of peer.early.keys()) if (seq <= peer.applied) peer.early.delete(seq);
    for (let events = peer.early.get(peer.applied + 1); events; events = peer.early.get(peer.applied + 1)) {
      peer.applied++;
      peer.early.delete(peer.applied);
      for (const event of events) this.apply(peer, event, nowMs - event.ageMs);
    }
  }

  private apply(peer: Peer, event: SharedEvent, atMs: number): void {
    if (event.kind === 'dispatch') this.dispatch(peer, event.request, event.url, atMs, event.firstTokenMs);
    else if (event.kind === 'start') this.start(peer, event.id, event.isMeasured, atMs);
    else this.end(peer, event.id, event.seen, atMs);
  }

  private dispatch(peer: Peer, request: RoutingRequest, url: string, atMs: number, firstTokenMs: number): void {
    // The same request again at another worker, without an end between: the first attempt is over all the same.
    if (peer.live.has(request.id)) this.end(peer, request.id, NOTHING_SEEN, atMs);
    peer.live.set(request.id, { started: false });
    this.sink.dispatch(request, url, atMs, firstTokenMs);
  }

  private start(peer: Peer, id: string, isMeasured: boolean, atMs: number): void {
    const entry = peer.live.get(id);
    if (entry === undefined || entry.started) return;
    entry.started = true;
    this.sink.start(id, isMeasured, atMs);
  }

  private end(peer: Peer, id: string, seen: Seen, atMs: number): void {
    if (peer.live.delete(id)) this.sink.end(id, seen, atMs);
  }
}
