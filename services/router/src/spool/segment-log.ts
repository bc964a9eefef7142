/**
 * Append-only files of lines, written by write(2) at once, so that a line survives `kill -9` of the router the moment
 * `append` returns; what a crash of the machine may take is bounded by the group fsync (100 ms).
 *
 * A file goes when all its lines were released. A torn last line (machine crash, full disk) is skipped on reading.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

export interface SegmentLogOptions {
  dir: string;
  /** A file of this size is closed and the next one begun. */
  segmentBytes: number;
  /** All files together; beyond it `append` throws. */
  maxBytes: number;
}

/** One file. `live` = lines not yet released. */
export interface Segment {
  readonly path: string;
  bytes: number;
  live: number;
}

export class SpoolFullError extends Error {
  override readonly name = 'SpoolFullError';
}

const NAME = /^(\d{10})\.spool$/;

export class SegmentLog {
  private readonly options: SegmentLogOptions;
  private readonly segments = new Set<Segment>();
  private current: Segment;
  private fd: number;
  private nextNumber: number;
  private dirty = false;
  private syncing = false;
  private broken: Error | null = null;

  private constructor(options: SegmentLogOptions, found: Segment[], nextNumber: number) {
    this.options = options;
    for (const segment of found) this.segments.add(segment);
    this.nextNumber = nextNumber;
    [this.current, this.fd] = this.openNext();
  }

  /** Opens the folder and reads every line of earlier runs, oldest first. */
  static open(options: SegmentLogOptions): { log: SegmentLog; lines: { text: string; segment: Segment }[] } {
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    const names = readdirSync(options.dir).filter((name) => NAME.test(name));
    names.sort();
    const lines: { text: string; segment: Segment }[] = [];
    const found: Segment[] = [];
    for (const name of names) {
      const path = join(options.dir, name);
      const text = readFileSync(path, 'utf8');
      const segment: Segment = { path, bytes: Buffer.byteLength(text), live: 0 };
      for (const line of text.split('\n')) {
        if (line === '') continue;
        segment.live++;
        lines.push({ text: line, segment });
      }
      if (segment.live === 0) rmSync(path, { force: true });
      else found.push(segment);
    }
    const last = names.at(-1);
    const next = last === undefined ? 1 : Number(NAME.exec(last)![1]) + 1;
    return { log: new SegmentLog(options, found, next), lines };
  }

  get bytes(): number {
    let sum = 0;
    for (const segment of this.segments) sum += segment.bytes;
    return sum;
  }

  /** False when the disk refused the last write or the folder is full: no request may be admitted then. */
  get isWritable(): boolean {
    return this.broken === null && this.bytes < this.options.maxBytes;
  }

  /**
   * Writes lines (without `\n`) by one system call. Returns the file they went to.
   * @throws {SpoolFullError} or the system's error; then nothing of them stays.
   */
  append(lines: readonly string[]): Segment {
    if (this.bytes >= this.options.maxBytes) throw new SpoolFullError('the spool is full');
    if (this.current.bytes >= this.options.segmentBytes) this.rotate();
    const data = Buffer.from(`${lines.join('\n')}\n`, 'utf8');
    try {
      const written = writeSync(this.fd, data);
      if (written !== data.length) throw new SpoolFullError('the disk took only a part of a record');
    } catch (error) {
      this.broken = error as Error;
      this.dropTornEnd();
      throw error;
    }
    this.broken = null;
    this.current.bytes += data.length;
    this.current.live += lines.length;
    this.dirty = true;
    return this.current;
  }

  /** A line of this file is no longer needed. */
  release(segment: Segment): void {
    if (--segment.live > 0) return;
    if (segment !== this.current) {
      this.segments.delete(segment);
      rmSync(segment.path, { force: true });
      return;
    }
    ftruncateSync(this.fd, 0);
    segment.bytes = 0;
  }

  /** Group commit: starts an fdatasync when something was written since the last one. */
  sync(done: (error: Error | null) => void = () => {}): void {
    if (!this.dirty || this.syncing) return;
    this.dirty = false;
    this.syncing = true;
    fdatasync(this.fd, (error) => {
      this.syncing = false;
      // EBADF: the file was rotated away meanwhile; `rotate` syncs it.
      if (error && error.code !== 'EBADF') this.broken = error;
      done(error);
    });
  }

  /** After a failed write: tries whether the disk takes bytes again. */
  recheck(): void {
    if (this.broken === null) return;
    try {
      writeSync(this.fd, '\n');
      this.current.bytes++;
      this.broken = null;
    } catch (error) {
      this.broken = error as Error;
    }
  }

  close(): void {
    try {
      fdatasyncSync(this.fd);
    } catch {
      // A disk that fails now has failed before: `isWritable` said so.
    }
    closeSync(this.fd);
    if (this.current.live === 0) rmSync(this.current.path, { force: true });
  }

  private rotate(): void {
    const { fd } = this;
    // Not waited for: an fsync takes tens of milliseconds on a busy disk, and every request would stand behind it. The
    // bound on what a crash of the machine takes holds, since it starts now.
    fdatasync(fd, (error) => {
      if (error) this.broken = error;
      closeSync(fd);
    });
    if (this.current.live === 0) {
      this.segments.delete(this.current);
      rmSync(this.current.path, { force: true });
    }
    [this.current, this.fd] = this.openNext();
  }

  private openNext(): [Segment, number] {
    const name = `${String(this.nextNumber++).padStart(10, '0')}.spool`;
    const segment: Segment = { path: join(this.options.dir, name), bytes: 0, live: 0 };
    const fd = openSync(segment.path, 'a', 0o600);
    this.segments.add(segment);
    return [segment, fd];
  }

  private dropTornEnd(): void {
    try {
      ftruncateSync(this.fd, this.current.bytes);
    } catch {
      // The reader skips a line that does not parse.
    }
  }
}
