/**
 * Standard output for log lines, a few hundred milliseconds' worth in one write: one system call per request would
 * cost more than most of what the request itself does. A `kill -9` loses the lines of that moment, never a bill.
 */
import { writeSync } from 'node:fs';

const FLUSH_MS = 200;
const FLUSH_CHARS = 32_768;
const STDOUT = 1;

export class LogOutput {
  private lines: string[] = [];
  private chars = 0;
  private timer: NodeJS.Timeout | null = null;
  private readonly onExit = (): void => this.flushNow();

  constructor() {
    process.on('exit', this.onExit);
  }

  /** pino's `DestinationStream`: one finished line. */
  write(line: string): void {
    this.lines.push(line);
    this.chars += line.length;
    if (this.chars >= FLUSH_CHARS) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  flush(): void {
    const text = this.take();
    if (text !== '') process.stdout.write(text);
  }

  /** At the very end nothing asynchronous runs any more. */
  private flushNow(): void {
    const text = this.take();
    if (text === '') return;
    try {
      writeSync(STDOUT, text);
    } catch {
      // A pipe that is full or closed: there is nobody left to tell.
    }
  }

  private take(): string {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const text = this.lines.join('');
    this.lines = [];
    this.chars = 0;
    return text;
  }
}
