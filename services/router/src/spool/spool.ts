/**
 * The router's own memory of finished requests: a record stays here until Postgres has it (MONEY.md 2.4, 2.8, 2.9).
 *
 * Crash windows, and why no bill is lost or doubled:
 *   1. after `append`, before Redis: the next start reads the file and sends the record.
 *   2. after Redis, before Postgres, Redis lost: the outbox's history differs then, all unconfirmed go again.
 *   3. after Postgres, before the confirmation is read: it is sent again; Postgres knows the request id.
 */
import type { RouterId } from '@tollgate/shared/domain/ids';
import { compareStreamIds } from '@tollgate/shared/redis/drain';
import { bucketOf } from '@tollgate/shared/redis/keys';
import type { MoneyScripts, SettleInput } from '@tollgate/shared/redis/money-scripts';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Segment, SegmentLog } from './segment-log.ts';

/** What the spool needs of Redis. */
export type SettlePort = Pick<MoneyScripts, 'settle' | 'readConfirmations' | 'bucketCount'>;

export interface SpoolOptions {
  dir: string;
  routerId: RouterId;
  segmentBytes: number;
  maxBytes: number;
  fsyncEveryMs: number;
  /** How often confirmations are read and unsent records are tried again. */
  confirmEveryMs: number;
  /** A sent record that nobody confirmed is sent again after this, then after twice as long, ... */
  resendAfterMs: number;
}

export interface SpoolMetrics {
  unconfirmed(count: number, bytes: number): void;
  resent(count: number): void;
  fsyncFailed(): void;
}

/** Turns a line of the file back into what `settle` takes; null = not a record (torn line). */
export type DecodeRecord = (line: string) => Omit<SettleInput, 'routerId'> | null;

interface Entry {
  input: SettleInput;
  bucket: number;
  segment: Segment;
  /** Redis's answer; null = not there yet, as far as we know. */
  sent: { history: string; streamId: string } | null;
  sending: boolean;
  /** Confirmation that it was found to be newer than. */
  comparedWith: string | null;
  sentAtMs: number;
  resendAfterMs: number;
}

const MAX_RESENDS_AT_ONCE = 200;
const MAX_RESEND_AFTER_MS = 300_000;

export class Spool {
  private readonly entries = new Map<string, Entry>();
  /** Newest outbox history per bucket, from settle answers. */
  private readonly histories = new Map<number, string>();
  private readonly options: SpoolOptions;
  private readonly log: SegmentLog;
  private readonly port: SettlePort;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: SpoolMetrics;
  private readonly timers: Timer[] = [];
  private confirming = false;
  private redisAnswers = true;
  private unwritten: { record: string; resolve: (segment: Segment | null) => void }[] = [];

  constructor(
    options: SpoolOptions,
    decode: DecodeRecord,
    port: SettlePort,
    clock: Clock,
    logger: Logger,
    metrics: SpoolMetrics,
  ) {
    this.options = options;
    this.port = port;
    this.clock = clock;
    this.logger = logger;
    this.metrics = metrics;
    const { log, lines } = SegmentLog.open(options);
    this.log = log;
    for (const { text, segment } of lines) this.adopt(text, segment, decode);
    if (this.entries.size > 0) logger.info({ records: this.entries.size }, 'records of an earlier run are sent again');
  }

  start(): void {
    this.timers.push(
      this.clock.setInterval(() => this.sync(), this.options.fsyncEveryMs).unref(),
      this.clock.setInterval(() => void this.tick(), this.options.confirmEveryMs).unref(),
    );
    void this.tick();
  }

  /** False = admit nothing: what would finish could not be kept. */
  get isWritable(): boolean {
    return this.log.isWritable;
  }

  get unconfirmed(): number {
    return this.entries.size;
  }

  /**
   * Keeps a finished request and sends it to Redis. Resolves when it is safe: written to the file, or, where the disk
   * refuses, taken by Redis. Rejects when neither would have it.
   */
  async settle(input: Omit<SettleInput, 'routerId'>): Promise<void> {
    const settle: SettleInput = { ...input, routerId: this.options.routerId };
    const segment = await this.write(input.record);
    if (segment === null) {
      await this.port.settle(settle);
      return;
    }
    const entry = this.add(settle, segment);
    // Nobody else has the record while Redis is silent: it goes to the disk now, not with the group.
    if (!this.redisAnswers) this.sync();
    void this.send(entry);
  }

  /** The file that the record went to; null = the disk took nothing. Records of one moment share a system call. */
  private write(record: string): Promise<Segment | null> {
    return new Promise((resolve) => {
      if (this.unwritten.length === 0) setImmediate(() => this.writeAll());
      this.unwritten.push({ record, resolve });
    });
  }

  private writeAll(): void {
    const batch = this.unwritten;
    this.unwritten = [];
    let segment: Segment | null = null;
    try {
      segment = this.log.append(batch.map((item) => item.record));
    } catch (error) {
      this.logger.error({ err: error, records: batch.length }, 'the spool took no records');
    }
    for (const item of batch) item.resolve(segment);
  }

  /**
   * Waits until everything is confirmed, at most `graceMs`; then hands what is left to `lastResort`. Returns how many
   * records neither had.
   */
  async drain(graceMs: number, lastResort: (records: string[]) => Promise<void>): Promise<number> {
    const endMs = this.clock.monotonicMs() + graceMs;
    while (this.entries.size > 0 && this.clock.monotonicMs() < endMs) {
      await this.tick();
      if (this.entries.size > 0) await this.clock.sleep(Math.min(100, this.options.confirmEveryMs));
    }
    const left = [...this.entries.values()];
    if (left.length === 0) return 0;
    try {
      await lastResort(left.map((entry) => entry.input.record));
      for (const entry of left) this.forget(entry);
      return 0;
    } catch (error) {
      this.logger.error({ err: error, records: left.length }, 'metering took no unconfirmed records');
      // One line per record: `tollgate usage import` reads them where the disk of this router is lost too.
      for (const { input } of left) this.logger.error({ record: input.record }, 'unconfirmed_usage');
      return left.length;
    }
  }

  close(): void {
    for (const timer of this.timers) timer.cancel();
    if (this.unwritten.length > 0) this.writeAll();
    this.log.close();
  }

  /** Reads confirmations, sends what Redis does not have. */
  async tick(): Promise<void> {
    if (this.confirming) return;
    this.confirming = true;
    try {
      this.log.recheck();
      await this.confirm();
      await this.resend();
    } catch {
      // Redis is away: the records stay, the next tick tries again.
    } finally {
      this.confirming = false;
      this.metrics.unconfirmed(this.entries.size, this.log.bytes);
    }
  }

  private adopt(text: string, segment: Segment, decode: DecodeRecord): void {
    const input = decode(text);
    if (input === null) {
      this.logger.error({ file: segment.path }, 'a spool line is no record; skipped');
      this.log.release(segment);
      return;
    }
    if (this.entries.has(input.requestId)) this.log.release(segment);
    else this.add({ ...input, routerId: this.options.routerId }, segment);
  }

  private add(input: SettleInput, segment: Segment): Entry {
    const entry: Entry = {
      input,
      bucket: bucketOf(input.accountId, this.port.bucketCount),
      segment,
      sent: null,
      sending: false,
      comparedWith: null,
      sentAtMs: 0,
      resendAfterMs: this.options.resendAfterMs,
    };
    this.entries.set(input.requestId, entry);
    return entry;
  }

  private forget(entry: Entry): void {
    if (this.entries.delete(entry.input.requestId)) this.log.release(entry.segment);
  }

  private async send(entry: Entry): Promise<void> {
    entry.sending = true;
    try {
      const { history, streamId, confirmed } = await this.port.settle(entry.input);
      this.redisAnswers = true;
      if (confirmed) {
        this.forget(entry);
        return;
      }
      entry.sent = { history, streamId };
      entry.comparedWith = null;
      entry.sentAtMs = this.clock.monotonicMs();
      this.noteHistory(entry.bucket, history);
    } catch (error) {
      this.redisAnswers = false;
      this.logger.debug({ err: error }, 'settle did not reach Redis; the spool sends it again');
    } finally {
      entry.sending = false;
    }
  }

  /** The bucket has another outbox now: what lay in the old one may be lost, so all of it goes again. */
  private noteHistory(bucket: number, history: string): void {
    if (this.histories.get(bucket) === history) return;
    this.histories.set(bucket, history);
    for (const entry of this.entries.values()) {
      if (entry.bucket === bucket && entry.sent !== null && entry.sent.history !== history) entry.sent = null;
    }
  }

  private async confirm(): Promise<void> {
    const buckets = new Set<number>();
    for (const entry of this.entries.values()) if (entry.sent !== null) buckets.add(entry.bucket);
    if (buckets.size === 0) return;
    const confirmed = await this.port.readConfirmations(this.options.routerId, [...buckets]);
    if (confirmed.size === 0) return;
    for (const entry of this.entries.values()) {
      const upTo = confirmed.get(entry.bucket);
      if (upTo === undefined || entry.sent === null || entry.sent.history !== upTo.history) continue;
      // While metering is away many records wait for a confirmation that does not move.
      if (entry.comparedWith === upTo.streamId) continue;
      entry.comparedWith = upTo.streamId;
      if (compareStreamIds(entry.sent.streamId, upTo.streamId) <= 0) this.forget(entry);
    }
  }

  private async resend(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    const due: Entry[] = [];
    for (const entry of this.entries.values()) {
      if (entry.sending) continue;
      const late = entry.sent !== null && nowMs - entry.sentAtMs >= entry.resendAfterMs;
      if (entry.sent !== null && !late) continue;
      // Sending again costs little and finds an outbox that was flushed while nothing else was settled.
      if (late) entry.resendAfterMs = Math.min(entry.resendAfterMs * 2, MAX_RESEND_AFTER_MS);
      due.push(entry);
      if (due.length === MAX_RESENDS_AT_ONCE) break;
    }
    if (due.length === 0) return;
    // One first: while Redis is away, a whole batch would only wait for the same deadline.
    await this.send(due[0]!);
    if (!this.redisAnswers) return;
    await Promise.all(due.slice(1).map((entry) => this.send(entry)));
    this.metrics.resent(due.length);
  }

  private sync(): void {
    this.log.sync((error) => {
      if (error === null) return;
      this.metrics.fsyncFailed();
      this.logger.error({ err: error }, 'the spool could not be synced');
    });
  }
}
