/**
 * Carries the bookkeeping between routers over Redis pub/sub: deltas in small batches, a beat a second, a snapshot for
 * whoever asks. Picks never wait for it. What is said and how it is merged is `routing/replicas/`, pure; here are the
 * timers and the channel.
 *
 * Alone, a router sends nothing but its beat. When the channel is down and there were others, it is blind: the picker then
 * spreads by bounded hashing, and a metric says so.
 */
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { RoutingRequest, Seen } from '../routing/fleet-book.ts';
import type { BookEvents } from '../routing/picker.ts';
import { type BookSink, INBOX_DEFAULTS, Inbox } from '../routing/replicas/inbox.ts';
import { Outbox } from '../routing/replicas/outbox.ts';
import { decode, encode, type Message, prefixOf } from '../routing/replicas/protocol.ts';

export interface ReplicaLinkOptions {
  /** Name of this process: another one after each start, so that a restart is not taken for what was before. */
  replica: string;
  /** A delta waits at most so long for company. */
  flushMs: number;
  beatMs?: number;
}

export interface ReplicaMetrics {
  replicas(peers: number, inFlight: number, isBlind: boolean): void;
  /** From the sending of a message to its arrival here, measured on one's own. */
  replicaLag(seconds: number): void;
  replicaGaps(count: number): void;
}

const BEAT_MS = 1_000;
/** Own messages whose arrival is awaited, to measure the way. */
const AWAITED_MOST = 64;

export class ReplicaLink implements BookEvents {
  private readonly outbox: Outbox;
  private readonly inbox: Inbox;
  private readonly ownPrefix: string;
  private readonly options: ReplicaLinkOptions;
  private readonly publish: (text: string) => Promise<unknown>;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: ReplicaMetrics;
  private readonly awaited = new Map<string, number>();
  private flushing: Timer | null = null;
  private beating: Timer | null = null;
  private isUp = false;
  /** Others when they were last heard. */
  private knownPeers = 0;
  private gapsTold = 0;

  /** `publish` sends to every router, this one included; it may fail. */
  constructor(
    options: ReplicaLinkOptions,
    publish: (text: string) => Promise<unknown>,
    others: BookSink,
    clock: Clock,
    logger: Logger,
    metrics: ReplicaMetrics,
  ) {
    this.options = options;
    this.publish = publish;
    this.clock = clock;
    this.logger = logger;
    this.metrics = metrics;
    this.outbox = new Outbox(options.replica);
    this.inbox = new Inbox(options.replica, others, INBOX_DEFAULTS);
    this.ownPrefix = prefixOf(options.replica);
  }

  start(): void {
    const beatMs = this.options.beatMs ?? BEAT_MS;
    this.beating = this.clock.setInterval(() => this.beat(), beatMs).unref();
  }

  /** Says good-bye: the others need not wait to find out. */
  async stop(): Promise<void> {
    this.beating?.cancel();
    this.flushing?.cancel();
    await this.publish(encode(this.outbox.bye())).catch(() => {});
  }

  get isBlind(): boolean {
    return !this.isUp && this.knownPeers > 0;
  }

  /** Other routers heard, and their requests under way in our book. */
  get peers(): { routers: number; inFlight: number } {
    return { routers: this.inbox.replicas, inFlight: this.inbox.inFlight };
  }

  /** The channel works again, or no more. */
  setUp(up: boolean): void {
    if (this.isUp === up) return;
    this.isUp = up;
    if (this.knownPeers > 0) {
      const words = up
        ? 'routers share their books again'
        : 'routers do not hear each other: workers are chosen by hash';
      this.logger[up ? 'info' : 'warn']({ routers: this.knownPeers }, words);
    }
    // Whatever was said meanwhile is lost: everybody tells everything once.
    if (up) {
      this.send(this.outbox.ask(null));
      this.sendSnapshot();
    }
    this.tell();
  }

  received(text: string): void {
    if (text.startsWith(this.ownPrefix)) {
      const sentMs = this.awaited.get(text);
      if (sentMs === undefined) return;
      this.awaited.delete(text);
      this.metrics.replicaLag((this.clock.monotonicMs() - sentMs) / 1_000);
      return;
    }
    const message = decode(text);
    if (message === null) return;
    const missing = this.inbox.receive(message, this.clock.monotonicMs());
    this.noteOthers();
    if (missing) this.send(this.outbox.ask(message.replica));
    if (message.kind === 'ask' && (message.of === null || message.of === this.options.replica)) this.sendSnapshot();
  }

  dispatched(request: RoutingRequest, url: string, firstTokenMs: number): void {
    this.outbox.dispatched(request, url, firstTokenMs, this.clock.monotonicMs());
    this.plan();
  }

  started(id: string, isMeasured: boolean): void {
    this.outbox.started(id, isMeasured, this.clock.monotonicMs());
    this.plan();
  }

  ended(id: string, seen: Seen): void {
    this.outbox.ended(id, seen, this.clock.monotonicMs());
    this.plan();
  }

  private plan(): void {
    if (this.flushing !== null || !this.outbox.isPending) return;
    this.flushing = this.clock.setTimeout(() => this.flush(), this.options.flushMs).unref();
  }

  private flush(): void {
    this.flushing?.cancel();
    this.flushing = null;
    const delta = this.outbox.delta(this.clock.monotonicMs());
    if (delta !== null) this.send(delta);
  }

  private beat(): void {
    this.inbox.expire(this.clock.monotonicMs());
    this.noteOthers();
    this.send(this.outbox.beat());
    this.tell();
  }

  private sendSnapshot(): void {
    this.flush();
    this.send(this.outbox.snapshot(this.clock.monotonicMs()));
  }

  private noteOthers(): void {
    const { replicas } = this.inbox;
    this.outbox.record(replicas > 0);
    // Down, nobody is heard: how many there were still says whether this router is alone.
    if (this.isUp || replicas > 0) this.knownPeers = replicas;
  }

  private tell(): void {
    this.metrics.replicas(this.inbox.replicas, this.inbox.inFlight, this.isBlind);
    this.metrics.replicaGaps(this.inbox.gaps - this.gapsTold);
    this.gapsTold = this.inbox.gaps;
  }

  private send(message: Message): void {
    const text = encode(message);
    if (message.kind === 'delta' || message.kind === 'beat') {
      if (this.awaited.size >= AWAITED_MOST) this.awaited.clear();
      this.awaited.set(text, this.clock.monotonicMs());
    }
    // Lost is lost: the next beat shows the gap to the others.
    this.publish(text).catch(() => {});
  }
}
