/** This router's side of the exchange: its requests under way, and what happened to them since the last delta. Pure. */
import type { RoutingRequest, Seen } from '../fleet-book.ts';
import type { Message, SharedEvent } from './protocol.ts';

interface Live {
  url: string;
  request: RoutingRequest;
  started: boolean;
  atMs: number;
  firstTokenMs: number;
}

/** An event with when it happened in place of its age. */
type Noted = { event: SharedEvent; atMs: number };

export class Outbox {
  readonly replica: string;
  private readonly live = new Map<string, Live>();
  private noted: Noted[] = [];
  private seq = 0;
  /** Something happened that no delta tells. */
  private skipped = false;
  private recording = false;

  constructor(replica: string) {
    this.replica = replica;
  }

  /** Whether somebody listens. Alone, a router only keeps the list that a first snapshot needs. */
  record(on: boolean): void {
    if (this.recording && !on && this.noted.length > 0) this.skip();
    this.recording = on;
  }

  /** True when there is a delta to send. */
  get isPending(): boolean {
    return this.noted.length > 0;
  }

  /** `firstTokenMs`: after how long its first token should come. */
  dispatched(request: RoutingRequest, url: string, firstTokenMs: number, nowMs: number): void {
    this.live.set(request.id, { url, request, started: false, atMs: nowMs, firstTokenMs });
    this.note({ kind: 'dispatch', ageMs: 0, url, request, firstTokenMs }, nowMs);
  }

  started(id: string, isMeasured: boolean, nowMs: number): void {
    const entry = this.live.get(id);
    if (entry === undefined || entry.started) return;
    entry.started = true;
    this.note({ kind: 'start', ageMs: 0, id, isMeasured }, nowMs);
  }

  ended(id: string, seen: Seen, nowMs: number): void {
    if (!this.live.delete(id)) return;
    this.note({ kind: 'end', ageMs: 0, id, seen }, nowMs);
  }

  /** What happened since the last one; null when nothing did. */
  delta(nowMs: number): Message | null {
    this.closeSkip();
    if (this.noted.length === 0) return null;
    const events = this.noted.map(({ event, atMs }) => ({ ...event, ageMs: Math.max(0, nowMs - atMs) }));
    this.noted = [];
    this.seq++;
    return { kind: 'delta', replica: this.replica, seq: this.seq, events };
  }

  /** Everything under way. What was noted and not sent is in it: send the pending delta before, or lose it to nobody. */
  snapshot(nowMs: number): Message {
    if (this.noted.length > 0) this.skip();
    this.closeSkip();
    const live = [...this.live.values()].map(({ url, request, started, atMs, firstTokenMs }) => {
      return { url, request, started, firstTokenMs, ageMs: Math.max(0, nowMs - atMs) };
    });
    return { kind: 'snapshot', replica: this.replica, seq: this.seq, live };
  }

  beat(): Message {
    this.closeSkip();
    return { kind: 'beat', replica: this.replica, seq: this.seq };
  }

  ask(of: string | null): Message {
    this.closeSkip();
    return { kind: 'ask', replica: this.replica, seq: this.seq, of };
  }

  bye(): Message {
    return { kind: 'bye', replica: this.replica, seq: this.seq };
  }

  private note(event: SharedEvent, atMs: number): void {
    if (this.recording) this.noted.push({ event, atMs });
    else this.skipped = true;
  }

  private skip(): void {
    this.noted = [];
    this.skipped = true;
  }

  /** A number that no delta carries: whoever still listens finds a gap and asks. */
  private closeSkip(): void {
    if (!this.skipped) return;
    this.skipped = false;
    this.seq++;
  }
}
