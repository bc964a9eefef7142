/**
 * `stream: "patch"` (the dottxt contract): the document itself as it grows, in RFC 6902 operations, one per line or one
 * per event. There is no place for a finish reason, usage or an error: an answer that is not whole, or broke its
 * schema, ends without its terminator (SSE) and inside an open chunk of HTTP (both), which no client takes for an end.
 */
import type { PatchForm } from './patch-form.ts';
import { PatchOps } from './patch-ops.ts';
import type { RelayParts } from './relay.ts';
import { StreamReader, type StreamReaderOptions } from './stream-reader.ts';
import { StreamRelay } from './stream-relay.ts';

const DONE_EVENT = 'event: done\ndata: {}\n\n';

export class PatchRelay extends StreamRelay {
  private readonly ops: PatchOps;
  private readonly form: PatchForm;

  constructor(parts: RelayParts, options: StreamReaderOptions, form: PatchForm) {
    const ops = new PatchOps();
    super(parts, new StreamReader({ ...options, onText: (text) => ops.push(text) }));
    this.ops = ops;
    this.form = form;
  }

  /** The chunks that a chat client would get are not for this one. */
  protected override shown(_out: string): string {
    return this.written();
  }

  /** A blank line is no operation, so silence stays silent there. */
  protected override pingText(): string {
    return this.form === 'sse' ? super.pingText() : '';
  }

  protected override handOver(): void {
    const { client, ctx } = this.parts;
    const whole = this.ops.end() && ctx.finishReason === 'stop';
    const rest = this.held + this.written();
    if (whole) client.end(this.form === 'sse' ? rest + DONE_EVENT : rest);
    else client.cut(rest);
  }

  private written(): string {
    const made = this.ops.take();
    if (made.length === 0) return '';
    const text = this.form === 'sse' ? made.map((op) => `data: ${op}\n\n`).join('') : `${made.join('\n')}\n`;
    return Buffer.from(text, 'utf8').toString('latin1');
  }
}
