/**
 * What router replicas tell each other about their bookkeeping, as text. Everything is relative to the moment of sending
 * (`ageMs`), so that clocks of different machines need not agree. Worker indices are private to a router: the wire names
 * workers by URL.
 */
import type { RoutingRequest, Seen } from '../fleet-book.ts';

export type SharedEvent =
  /** `firstTokenMs`: after how long its sender expects the first token. */
  | { kind: 'dispatch'; ageMs: number; url: string; request: RoutingRequest; firstTokenMs: number }
  /** `isMeasured`: the first token was seen, and not only assumed by now. */
  | { kind: 'start'; ageMs: number; id: string; isMeasured: boolean }
  | { kind: 'end'; ageMs: number; id: string; seen: Seen };

/** A request under way. Snapshots leave its blocks out: they would be most of the bytes, and mirrors heal by themselves. */
export interface LiveEntry {
  url: string;
  request: RoutingRequest;
  started: boolean;
  ageMs: number;
  firstTokenMs: number;
}

export type Message =
  /** Everything that happened since `seq - 1`. */
  | { kind: 'delta'; replica: string; seq: number; events: readonly SharedEvent[] }
  /** Everything that is under way after delta `seq`. */
  | { kind: 'snapshot'; replica: string; seq: number; live: readonly LiveEntry[] }
  /** Alive; the last delta was `seq`. */
  | { kind: 'beat'; replica: string; seq: number }
  /** Wants a snapshot of `of`, or of everybody (null). */
  | { kind: 'ask'; replica: string; seq: number; of: string | null }
  /** Stops; nothing of it is under way any more. */
  | { kind: 'bye'; replica: string; seq: number };

/** First element of every message; another number is another version's, which is not read. */
const VERSION = 1;

const whole = (value: number) => Math.round(value);

function requestFields({ id, tenant, promptTokens, blockTokens, maxOutputTokens }: RoutingRequest): unknown[] {
  return [id, tenant, promptTokens, blockTokens, maxOutputTokens];
}

function eventFields(event: SharedEvent): unknown[] {
  switch (event.kind) {
    case 'dispatch':
      return [
        'd',
        whole(event.ageMs),
        event.url,
        ...requestFields(event.request),
        event.request.blocks,
        whole(event.firstTokenMs),
        event.request.ends ?? null,
        event.request.isBatch ? 1 : 0,
      ];
    case 'start':
      return ['s', whole(event.ageMs), event.id, event.isMeasured ? 1 : 0];
    case 'end': {
      const { cachedTokens, outputTokens, promptTokens = null } = event.seen;
      return ['e', whole(event.ageMs), event.id, cachedTokens, outputTokens, promptTokens];
    }
  }
}

export function encode(message: Message): string {
  const { kind, replica, seq } = message;
  const head = [VERSION, replica, kind, seq];
  switch (kind) {
    case 'delta':
      return JSON.stringify([...head, message.events.map(eventFields)]);
    case 'snapshot': {
      const rows = message.live.map(({ url, request, started, ageMs, firstTokenMs }) => [
        whole(ageMs),
        url,
        ...requestFields(request),
        started ? 1 : 0,
        whole(firstTokenMs),
        request.isBatch ? 1 : 0,
      ]);
      return JSON.stringify([...head, rows]);
    }
    case 'ask':
      return JSON.stringify([...head, message.of]);
    default:
      return JSON.stringify(head);
  }
}

/** How every message of this replica begins: its own are told from others' without being read. */
export function prefixOf(replica: string): string {
  return `[${VERSION},${JSON.stringify(replica)},`;
}

class Malformed extends Error {}

const text = (value: unknown): string => {
  if (typeof value !== 'string') throw new Malformed();
  return value;
};
const number = (value: unknown): number => {
  if (typeof value !== 'number' || !(value >= 0)) throw new Malformed();
  return value;
};
const count = (value: unknown): number => {
  const read = number(value);
  if (!Number.isSafeInteger(read)) throw new Malformed();
  return read;
};
const orNull = (value: unknown): number | null => (value === null ? null : number(value));
const list = (value: unknown): unknown[] => {
  if (!Array.isArray(value)) throw new Malformed();
  return value;
};

/** `batch`: a router of an older version says nothing of it. */
function readRequest(fields: readonly unknown[], blocks: readonly number[], batch: unknown): RoutingRequest {
  return {
    id: text(fields[0]),
    tenant: text(fields[1]),
    promptTokens: number(fields[2]),
    blockTokens: number(fields[3]),
    maxOutputTokens: number(fields[4]),
    blocks,
    session: null,
    ...(batch === 1 ? { isBatch: true } : null),
  };
}

function readEvent(value: unknown): SharedEvent {
  const fields = list(value);
  const ageMs = number(fields[1]);
  switch (fields[0]) {
    case 'd': {
      const blocks = list(fields[8]).map(count);
      const ends = fields[10] == null ? null : list(fields[10]).map(count);
      if (ends !== null && ends.length !== blocks.length) throw new Malformed();
      const asked = readRequest(fields.slice(3, 8), blocks, fields[11]);
      const request = { ...asked, ...(ends === null ? null : { ends }) };
      return { kind: 'dispatch', ageMs, url: text(fields[2]), request, firstTokenMs: number(fields[9]) };
    }
    case 's':
      return { kind: 'start', ageMs, id: text(fields[2]), isMeasured: fields[3] === 1 };
    case 'e': {
      const seen = {
        cachedTokens: orNull(fields[3]),
        outputTokens: orNull(fields[4]),
        promptTokens: orNull(fields[5]),
      };
      return { kind: 'end', ageMs, id: text(fields[2]), seen };
    }
    default:
      throw new Malformed();
  }
}

/** The message of a text; null for anything that this version did not write. */
export function decode(wire: string): Message | null {
  try {
    const fields = list(JSON.parse(wire));
    if (fields[0] !== VERSION) return null;
    const replica = text(fields[1]);
    const seq = count(fields[3]);
    switch (fields[2]) {
      case 'delta':
        return { kind: 'delta', replica, seq, events: list(fields[4]).map(readEvent) };
      case 'snapshot': {
        const live = list(fields[4]).map((value): LiveEntry => {
          const row = list(value);
          return {
            ageMs: number(row[0]),
            url: text(row[1]),
            request: readRequest(row.slice(2, 7), [], row[9]),
            started: row[7] === 1,
            firstTokenMs: number(row[8]),
          };
        });
        return { kind: 'snapshot', replica, seq, live };
      }
      case 'ask':
        return { kind: 'ask', replica, seq, of: fields[4] === null ? null : text(fields[4]) };
      case 'beat':
      case 'bye':
        return { kind: fields[2], replica, seq };
      default:
        return null;
    }
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return null;
    throw error;
  }
}
