/**
 * Reads the answers that come over one kept connection to a worker, however their bytes were cut (RFC 9112). Of a head
 * only what a relay and the connection need is looked at; what could be read in two ways is refused.
 */

/** What is read, in its order. */
export interface AnswerEvents {
  head(status: number, contentType: string): void;
  /** What one read brought of the body. Valid during the call only: the next read fills the same memory. */
  body(bytes: Buffer): void;
}

/** Bytes that are no answer. */
export class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer';
}

const MAX_HEAD_BYTES = 16_384;
/** A chunk's size has no more digits than a number counts exactly. */
const MAX_SIZE_DIGITS = 13;

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

/** What the next byte belongs to. */
type Place =
  | 'head'
  /** Digits of a chunk's size, what follows them on their line, and the line's last byte. */
  | 'size'
  | 'extension'
  | 'size_lf'
  /** Bytes of a body or a chunk: `left` of them. */
  | 'chunk'
  | 'chunk_cr'
  | 'chunk_lf'
  | 'trailer'
  | 'sized'
  /** A body that ends with its connection. */
  | 'endless'
  | 'done';

export class AnswerParser {
  /** The connection may carry another request after this answer. */
  keeps = false;
  /** For how long the worker says that it keeps an idle connection; null = it does not say. */
  keepsMs: number | null = null;
  private readonly events: AnswerEvents;
  private place: Place = 'head';
  /** The part of a head that came so far. */
  private head = '';
  private left = 0;
  private digits = 0;
  private lineBytes = 0;
  /** Where the body that this read brought so far begins and ends. */
  private bodyStart = 0;
  private bodyEnd = 0;

  constructor(events: AnswerEvents) {
    this.events = events;
  }

  /** Another request goes out: its answer comes next. */
  next(): void {
    this.place = 'head';
    this.keeps = false;
    this.keepsMs = null;
  }

  get isDone(): boolean {
    return this.place === 'done';
  }

  /**
   * Takes the first `count` bytes, which may be moved: what several chunks brought is told at once, since whoever passes it
   * on pays for each time.
   * @throws {BrokenAnswer}
   */
  push(bytes: Buffer, count = bytes.length): void {
    this.bodyStart = 0;
    this.bodyEnd = 0;
    try {
      this.take(bytes, count);
    } finally {
      // What was whole before the break is told too.
      if (this.bodyEnd > this.bodyStart) this.events.body(bytes.subarray(this.bodyStart, this.bodyEnd));
    }
  }

  private take(bytes: Buffer, count: number): void {
    let at = 0;
    while (at < count) {
      switch (this.place) {
        case 'head':
          at = this.takeHead(bytes, at, count);
          break;
        case 'chunk':
        case 'sized':
        case 'endless':
          at = this.takeBody(bytes, at, count);
          break;
        case 'done':
          // Whatever it is, it was not asked for.
          this.keeps = false;
          return;
        default:
          this.takeFraming(bytes[at++]!);
      }
    }
  }

  /** The connection has ended; whether the answer was whole. */
  end(): boolean {
    this.keeps = false;
    if (this.place === 'endless') this.place = 'done';
    return this.place === 'done';
  }

  private takeHead(bytes: Buffer, from: number, count: number): number {
    const before = this.head.length;
    const room = bytes.toString('latin1', from, Math.min(count, from + MAX_HEAD_BYTES - before));
    const text = before === 0 ? room : this.head + room;
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (end === -1) {
      if (text.length >= MAX_HEAD_BYTES) throw new BrokenAnswer('the head is too long');
      this.head = text;
      return count;
    }
    this.head = '';
    this.readHead(text.slice(0, end));
    return from + end + 4 - before;
  }

  private readHead(text: string): void {
    const status = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$|\r)/.exec(text);
    if (status === null) throw new BrokenAnswer('not HTTP/1.1');
    const code = Number(status[2]);
    if (code === 101) throw new BrokenAnswer('another protocol');
    // Interim: the answer is still to come.
    if (code < 200) return;
    const fields = readFields(text);
    const { length } = fields;
    this.keeps = status[1] === '1' ? !fields.closes : fields.keeps;
    this.keepsMs = fields.keepsMs;
    this.events.head(code, fields.type);
    if (code === 204 || code === 304) this.place = 'done';
    else if (fields.isChunked) this.begin('size');
    else if (length === null) this.place = 'endless';
    else {
      this.left = length;
      this.place = length === 0 ? 'done' : 'sized';
    }
  }

  private begin(place: 'size' | 'trailer'): void {
    this.place = place;
    this.left = 0;
    this.digits = 0;
    this.lineBytes = 0;
  }

  private takeBody(bytes: Buffer, from: number, count: number): number {
    let end = count;
    if (this.place !== 'endless') {
      end = Math.min(count, from + this.left);
      this.left -= end - from;
      if (this.left === 0) this.place = this.place === 'sized' ? 'done' : 'chunk_cr';
    }
    if (this.bodyEnd === 0) {
      this.bodyStart = from;
      this.bodyEnd = end;
    } else {
      bytes.copyWithin(this.bodyEnd, from, end);
      this.bodyEnd += end - from;
    }
    return end;
  }

  /** One byte between the bytes of chunks. */
  private takeFraming(byte: number): void {
    switch (this.place) {
      case 'size':
        this.takeSize(byte);
        return;
      case 'extension':
        if (byte === CR) this.place = 'size_lf';
        return;
      case 'size_lf':
        expect(byte, LF);
        if (this.left === 0) this.begin('trailer');
        else this.place = 'chunk';
        return;
      case 'chunk_cr':
        expect(byte, CR);
        this.place = 'chunk_lf';
        return;
      case 'chunk_lf':
        expect(byte, LF);
        this.begin('size');
        return;
      case 'trailer':
        if (byte !== LF) this.lineBytes += byte === CR ? 0 : 1;
        else if (this.lineBytes === 0) this.place = 'done';
        else this.lineBytes = 0;
    }
  }

  private takeSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      if (++this.digits > MAX_SIZE_DIGITS) throw new BrokenAnswer('a chunk without end');
      this.left = this.left * 16 + digit;
      return;
    }
    if (this.digits === 0 || (byte !== CR && byte !== SEMICOLON)) throw new BrokenAnswer('no size of a chunk');
    this.place = byte === CR ? 'size_lf' : 'extension';
  }
}

function expect(byte: number, expected: number): void {
  if (byte !== expected) throw new BrokenAnswer('a chunk of another size than told');
}

/** -1: it is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

interface Fields {
  type: string;
  length: number | null;
  isChunked: boolean;
  closes: boolean;
  keeps: boolean;
  keepsMs: number | null;
}

function readFields(head: string): Fields {
  const fields: Fields = { type: '', length: null, isChunked: false, closes: false, keeps: false, keepsMs: null };
  for (let at = head.indexOf('\r\n'); at !== -1; ) {
    const start = at + 2;
    at = head.indexOf('\r\n', start);
    const colon = head.indexOf(':', start);
    const end = at === -1 ? head.length : at;
    if (colon <= start || colon >= end) throw new BrokenAnswer('a header without a name');
    readField(fields, head.slice(start, colon), head, colon + 1, end);
  }
  if (fields.isChunked && fields.length !== null) throw new BrokenAnswer('two lengths');
  return fields;
}

function readField(fields: Fields, name: string, head: string, from: number, to: number): void {
  const value = () => head.slice(from, to).trim();
  switch (name.toLowerCase()) {
    case 'content-type':
      fields.type = value();
      return;
    case 'content-length':
      if (fields.length !== null || !/^\d{1,15}$/.test(value())) throw new BrokenAnswer('no length');
      fields.length = Number(value());
      return;
    case 'transfer-encoding':
      if (fields.isChunked || value().toLowerCase() !== 'chunked') throw new BrokenAnswer('an unknown encoding');
      fields.isChunked = true;
      return;
    case 'connection':
      fields.closes ||= /(?:^|,)\s*close\s*(?:,|$)/i.test(value());
      fields.keeps ||= /(?:^|,)\s*keep-alive\s*(?:,|$)/i.test(value());
      return;
    case 'keep-alive': {
      const seconds = /(?:^|[,;\s])timeout\s*=\s*(\d{1,6})/i.exec(value())?.[1];
      if (seconds !== undefined) fields.keepsMs = Number(seconds) * 1_000;
      return;
    }
    default:
      // A line that goes on from the one before, or a name that another reader would take for a different one.
      if (/[\s\0]/.test(name)) throw new BrokenAnswer('a header with a broken name');
  }
}
