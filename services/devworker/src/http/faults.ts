/**
 * Faults on demand. One request asks with a header, a whole worker is told through `POST /devworker/faults`:
 *
 *   x-devworker-fault: die;after=3            cut the connection after 3 events
 *   x-devworker-fault: die;after=3;how=exit   end the whole process (SIGKILL to itself)
 *   hang;at=headers | hang;after=3            answer nothing more, keep the connection
 *   slow;factor=10                            tokens come 10 times slower
 *   garbage;after=2                           bytes that are no event, then go on
 *   split;bytes=1                             every event in pieces of n bytes, each its own write
 *   join;count=5                              5 events in one write
 *   error;after=2                             an error event, then [DONE]
 *   truncate;after=2                          a clean end without finish chunk and [DONE]
 *   status;code=503                           an error before the first byte
 *   refuse                                    cut the connection before any answer
 *   no-usage                                  a stream without its usage chunk
 *   comments                                  a comment line before every event
 *   crlf                                      lines end with CRLF
 *
 * A worker's fault may be limited: status;code=503;times=1 strikes one request.
 *
 * Bad habits of models (`generation/quirks.ts`), for answers that are JSON or tool calls:
 *   whitespace;count=9 | whitespace;count=0   line breaks after the first colon, 0: without end
 *   leak                                      a special token inside the first string
 *   huge-number                               784e243551 for the first number
 *   endless-thought                           a thought that never ends
 *   say;text=%7B%22a%22...                    the model writes these words (percent-encoded) and stops
 *   say;text=...;end=never                    ... and goes on in line breaks until it is cut
 */
import { QUIRKS } from '../generation/quirks.ts';
import type { ChunkWriter } from './respond.ts';

export const FAULT_KINDS = [
  'die',
  'hang',
  'slow',
  'garbage',
  'split',
  'join',
  'error',
  'truncate',
  'status',
  'refuse',
  'no-usage',
  'comments',
  'crlf',
  'say',
  ...QUIRKS,
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  kind: FaultKind;
  /** Events that pass before it strikes. */
  after: number;
  how: 'destroy' | 'exit';
  at: 'headers' | 'stream';
  factor: number;
  bytes: number;
  count: number;
  code: number;
  /** What the model says. */
  text: string;
  end: 'stop' | 'never';
  /** A worker's fault strikes this many requests and is gone; 0: all of them. */
  times: number;
}

export const FAULT_HEADER = 'x-devworker-fault';

const DEFAULTS: Omit<Fault, 'kind'> = {
  after: 0,
  how: 'destroy',
  at: 'stream',
  factor: 10,
  bytes: 1,
  count: 4,
  code: 500,
  text: '',
  end: 'stop',
  times: 0,
};

/** Reads `kind;key=value;...`. Throws a plain Error that says what is wrong. */
export function parseFault(text: string): Fault {
  const [kind, ...rest] = text.split(';').map((part) => part.trim());
  if (!FAULT_KINDS.includes(kind as FaultKind))
    throw new Error(`unknown fault "${kind}"; known: ${FAULT_KINDS.join(', ')}`);
  const fault: Fault = { kind: kind as FaultKind, ...DEFAULTS };
  for (const part of rest) {
    if (part === '') continue;
    const [key, value] = part.split('=') as [string, string | undefined];
    if (key === 'how' && (value === 'destroy' || value === 'exit')) fault.how = value;
    else if (key === 'at' && (value === 'headers' || value === 'stream')) fault.at = value;
    else if (key === 'end' && (value === 'stop' || value === 'never')) fault.end = value;
    else if (key === 'text' && value !== undefined) fault.text = decodeURIComponent(value);
    else if (
      (key === 'after' ||
        key === 'factor' ||
        key === 'bytes' ||
        key === 'count' ||
        key === 'times' ||
        key === 'code') &&
      value !== undefined &&
      /^\d+(\.\d+)?$/.test(value)
    ) {
      fault[key] = Number(value);
    } else throw new Error(`fault "${kind}" does not know "${part}"`);
  }
  return fault;
}

/** Sends events through a fault. Without one it only passes them on. */
export interface EventSender {
  send(event: string): void;
  end(): void;
  /** True once the fault has silenced the answer. */
  readonly silenced: boolean;
}

/** A page of bytes that is no event stream, with broken UTF-8 in it. */
const GARBAGE = Uint8Array.from([
  0xff, 0xfe, 0x00, 0xc3, 0x28, 0x0a, 0x64, 0x61, 0x74, 0x61, 0x3a, 0x20, 0x7b, 0x0a, 0x0a,
]);

export function createSender(writer: ChunkWriter, fault: Fault | undefined, kill: () => void): EventSender {
  if (!fault || fault.kind === 'slow' || fault.kind === 'status' || fault.kind === 'refuse') {
    return { silenced: false, send: (event) => writer.write(event), end: () => writer.end() };
  }
  let sent = 0;
  let silenced = false;
  let joined = '';
  /** Pieces that wait for their own turn of the event loop, so that each becomes a segment. */
  const pieces: Uint8Array[] = [];
  let ending = false;
  let pumping = false;

  function pump(): void {
    const piece = pieces.shift();
    if (piece) writer.write(piece);
    if (pieces.length > 0) setImmediate(pump);
    else {
      pumping = false;
      if (ending) writer.end();
    }
  }

  function strike(): void {
    silenced = true;
    if (fault!.kind === 'die') {
      if (fault!.how === 'exit') kill();
      else writer.destroy();
    } else if (fault!.kind === 'truncate') writer.end();
    else if (fault!.kind === 'error') {
      writer.write(
        'data: {"error": {"message": "Internal server error", "type": "InternalServerError", "param": null, "code": 500}}\n\n',
      );
      writer.write('data: [DONE]\n\n');
      writer.end();
    }
  }

  return {
    get silenced() {
      return silenced;
    },
    send(event) {
      if (silenced) return;
      const { kind } = fault;
      if ((kind === 'die' || kind === 'truncate' || kind === 'error' || kind === 'hang') && sent >= fault.after) {
        strike();
        return;
      }
      sent++;
      if (kind === 'garbage' && sent - 1 === fault.after) writer.write(GARBAGE);
      if (kind === 'no-usage' && event.includes('"choices":[],"usage"')) return;
      if (kind === 'comments') event = `: keep-alive\n\n${event}`;
      if (kind === 'crlf') event = event.replaceAll('\n', '\r\n');
      if (kind === 'join') {
        joined += event;
        if (sent % Math.max(1, fault.count) !== 0 && !event.startsWith('data: [DONE]')) return;
        writer.write(joined);
        joined = '';
        return;
      }
      if (kind !== 'split') {
        writer.write(event);
        return;
      }
      const raw = Buffer.from(event);
      const size = Math.max(1, fault.bytes);
      for (let at = 0; at < raw.length; at += size) pieces.push(raw.subarray(at, at + size));
      if (!pumping) {
        pumping = true;
        pump();
      }
    },
    end() {
      if (silenced) return;
      if (joined !== '') writer.write(joined);
      ending = true;
      if (!pumping) writer.end();
    },
  };
}
