/**
 * Decodes a text under a grammar, byte by byte: the grammar says which bytes may come, a small model of taste picks
 * readable ones and sees to an early end. Deterministic for a seed.
 */
import { phrase } from '../model/language.ts';
import { CITIES, FREE_KEYS, NAMES } from '../model/lexicon.ts';
import { type Draw, drawFrom, pick } from '../model/seeded.ts';
import { createJsonCursor, type JsonCursor } from './json-cursor.ts';
import { sampleRegex } from './regex-sample.ts';

/** Token id of the end, after the 256 bytes. */
export const STOP = 256;

/** What the decoder needs of a grammar matcher over the byte vocabulary. */
export interface ByteMatcher {
  /** Takes a byte (or STOP) if it may come next. */
  accept(id: number): boolean;
  /** Takes back the last `count` accepted bytes, at most 250. */
  rollback(count: number): void;
  /** 257 flags: what may come next. Valid until the next call. */
  allowed(): Promise<Uint8Array>;
  /** Text that must come next, '' if there is a choice. */
  forced(): string;
}

export interface DecodeOptions {
  seed: number;
  /** Bytes after which everything is closed as soon as the grammar allows. */
  softLimit: number;
  /** The text is JSON from the end of this prefix on; undefined: it is not JSON. */
  jsonAfter: string | undefined;
  /** Keys that the schema names: free keys must not meet them. */
  schemaKeys: ReadonlySet<string>;
  /** Regular expressions of the constraint: strings are sampled from them. */
  patterns: readonly string[];
}

export interface Decoded {
  text: string;
  /** False when the limit came first. */
  complete: boolean;
}

const QUOTE = 0x22;
/** The decoder gives up here, whatever the grammar wants. */
const HARD_LIMIT = 20_000;
/** A string that is longer looks for its end in every direction. */
const LONG_STRING = 60;
const MAX_PATTERNS = 40;
const MAX_TRIAL = 200;
const FREE_CHOICE = 60;
const MAX_MEMBERS = 8;
const MAX_DEPTH = 4;

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

/** Values worth a try for a string, the likeliest first. A wrong one costs a few microseconds. */
function stringCandidates(draw: Draw, key: string): string[] {
  const two = (below: number, from: number) => String(from + Math.floor(draw() * below)).padStart(2, '0');
  const date = `20${two(6, 24)}-${two(12, 1)}-${two(28, 1)}`;
  const time = `${two(24, 0)}:${two(60, 0)}:${two(60, 0)}`;
  const name = pick(draw, NAMES);
  const email = `${name.toLowerCase()}@example.com`;
  const hex = (digits: number) => Array.from({ length: digits }, () => Math.floor(draw() * 16).toString(16)).join('');
  const uuid = `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`;
  const url = `https://example.com/${phrase(draw).toLowerCase().replaceAll(' ', '-')}`;
  const words = phrase(draw);
  const hints: [RegExp, string][] = [
    [/e-?mail/i, email],
    [/(^|_)(url|uri|link|href|website)/i, url],
    [/(^|_)(uuid|guid)/i, uuid],
    [/date|birthday/i, date],
    [/(^|_)time|_at$/i, `${date}T${time}Z`],
    [/name|author|owner|person/i, name],
    [/city|town|place|location/i, pick(draw, CITIES)],
  ];
  const hinted = hints.filter(([pattern]) => pattern.test(key)).map(([, value]) => value);
  const short = words.split(' ');
  return [
    ...hinted,
    words,
    ...short,
    name,
    date,
    `${date}T${time}Z`,
    `${time}Z`,
    time,
    email,
    url,
    uuid,
    `10.0.${Math.floor(draw() * 256)}.${1 + Math.floor(draw() * 254)}`,
    'www.example.com',
    `P${1 + Math.floor(draw() * 9)}D`,
    `+1555${1000000 + Math.floor(draw() * 8999999)}`,
    'fe80::1',
  ];
}

function numberCandidates(draw: Draw): string[] {
  const small = Math.floor(draw() * 100);
  const list = [String(small), String(Math.floor(draw() * 10)), String(100 + Math.floor(draw() * 900)), '1', '0'];
  const decimal = `${Math.floor(draw() * 50)}.${1 + Math.floor(draw() * 9)}`;
  if (draw() < 0.4) list.unshift(decimal);
  else list.push(decimal);
  list.push(
    `-${1 + Math.floor(draw() * 9)}`,
    String(1900 + Math.floor(draw() * 126)),
    String(1000 + Math.floor(draw() * 9000)),
  );
  return list;
}

/** Readable bytes in classes: lower case, digits, upper case, space, marks, the rest of ASCII, others. */
function classOf(byte: number): number {
  if (byte >= 0x61 && byte <= 0x7a) return 0;
  if (byte >= 0x30 && byte <= 0x39) return 1;
  if (byte >= 0x41 && byte <= 0x5a) return 2;
  if (byte === 0x20) return 3;
  if (byte > 0x20 && byte < 0x7f && byte !== QUOTE && byte !== 0x5c) return 4;
  if (byte === QUOTE || byte === 0x5c) return 5;
  return 6;
}

const CLASS_WEIGHT = [8, 6, 2, 1, 3, 0.05, 0.001];

export async function decode(matcher: ByteMatcher, options: DecodeOptions): Promise<Decoded> {
  const draw = drawFrom(options.seed);
  const out: number[] = [];
  const { jsonAfter } = options;
  const cursor: JsonCursor | undefined = jsonAfter === undefined ? undefined : createJsonCursor();
  const jsonFrom = jsonAfter === undefined ? 0 : bytesOf(jsonAfter).length;
  let lastClass = -1;
  let sameClass = 0;
  /** Length of the arrays that are open, by depth. */
  const wanted: number[] = [];

  const closing = () => out.length > options.softLimit;
  const isJson = () => cursor !== undefined && cursor.role !== 'done' && out.length >= jsonFrom;

  function note(byte: number): void {
    if (cursor && out.length >= jsonFrom) cursor.push(byte);
    out.push(byte);
  }

  function take(byte: number): boolean {
    if (!matcher.accept(byte)) return false;
    note(byte);
    return true;
  }

  /** Whether the whole text may come next; leaves the matcher as it was unless it may. */
  function fits(text: Uint8Array): boolean {
    if (text.length > MAX_TRIAL) return false;
    for (let i = 0; i < text.length; i++) {
      if (matcher.accept(text[i]!)) continue;
      matcher.rollback(i);
      return false;
    }
    return true;
  }

  function takeText(text: string): boolean {
    const bytes = bytesOf(text);
    if (!fits(bytes)) return false;
    for (const byte of bytes) note(byte);
    return true;
  }

  /** A byte among those allowed, readable ones first, never the same class for ever. */
  function anyByte(allowed: Uint8Array): number {
    const groups: number[][] = [[], [], [], [], [], [], []];
    for (let byte = 0; byte < 256; byte++) if (allowed[byte]) groups[classOf(byte)]!.push(byte);
    let total = 0;
    const lost = cursor?.role === 'string' && cursor.length > LONG_STRING;
    const weights = groups.map((group, index) => {
      if (lost) {
        const share = index < 5 ? group.length : group.length * 0.01;
        total += share;
        return share;
      }
      const tired = index === lastClass ? 1 / (1 + Math.max(0, sameClass - 3)) : 1;
      const weight = group.length === 0 ? 0 : CLASS_WEIGHT[index]! * tired;
      total += weight;
      return weight;
    });
    let roll = draw() * total;
    let chosen = weights.findIndex((weight) => {
      roll -= weight;
      return weight > 0 && roll <= 0;
    });
    if (chosen < 0) chosen = weights.findIndex((weight) => weight > 0);
    sameClass = chosen === lastClass ? sameClass + 1 : 0;
    lastClass = chosen;
    return pick(draw, groups[chosen]!);
  }

  /** One byte, `preferred` if it is allowed. */
  function takeByte(allowed: Uint8Array, preferred: number): void {
    if (allowed[preferred] && take(preferred)) return;
    take(anyByte(allowed));
  }

  function takeString(allowed: Uint8Array, json: JsonCursor): void {
    if (json.length === 0) {
      if (closing() && allowed[QUOTE] && take(QUOTE)) return;
      for (const candidate of stringCandidates(draw, json.key)) if (takeText(`${candidate}"`)) return;
      for (const pattern of options.patterns.slice(0, MAX_PATTERNS)) {
        const sampled = sampleRegex(pattern, draw);
        if (sampled !== undefined && takeText(JSON.stringify(sampled).slice(1))) return;
      }
      // Nothing fits as a whole: begin with words, go on with what is allowed.
      for (const byte of bytesOf(phrase(draw))) {
        if (!take(byte)) break;
      }
      if (json.length > 0) return;
    }
    if (allowed[QUOTE] && (closing() || json.length > 40 || draw() < 0.6)) {
      take(QUOTE);
      return;
    }
    if (allowed[0x20] && json.length < LONG_STRING && takeText(` ${phrase(draw).split(' ')[0]}`)) return;
    take(anyByte(allowed));
  }

  function takeKey(allowed: Uint8Array, json: JsonCursor, count: number): void {
    if (json.length === 0 && count > FREE_CHOICE) {
      const level = json.level!;
      const free = FREE_KEYS.filter((key) => !level.keys.has(key) && !options.schemaKeys.has(key));
      const start = Math.floor(draw() * Math.max(1, free.length));
      for (let i = 0; i < free.length; i++) {
        if (takeText(`${free[(start + i) % free.length]}"`)) {
          level.freeKeys++;
          return;
        }
      }
    }
    if (allowed[QUOTE] && json.length > 0 && (closing() || json.length > 12 || draw() < 0.5)) {
      take(QUOTE);
      return;
    }
    take(anyByte(allowed));
  }

  function takeValue(allowed: Uint8Array, json: JsonCursor): void {
    const { level, depth } = json;
    const inArray = level !== undefined && !level.object;
    if (inArray && allowed[0x5d]) {
      if (closing() || depth > MAX_DEPTH || draw() < 0.12) {
        take(0x5d);
        return;
      }
    }
    const deep = depth >= MAX_DEPTH || closing();
    const kinds: [number, number][] = [
      [QUOTE, deep ? 2 : 4],
      [0x30, deep ? 3 : 3],
      [0x74, 1],
      [0x66, 1],
      [0x6e, deep ? 6 : 0.4],
      [0x7b, deep ? 0.001 : depth < 2 ? 1 : 0.4],
      [0x5b, deep ? 0.002 : depth < 2 ? 0.8 : 0.3],
    ];
    const digits = [0x2d, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39];
    const open = kinds.filter(([byte]) => (byte === 0x30 ? digits.some((digit) => allowed[digit]) : allowed[byte]));
    if (open.length === 0) {
      take(anyByte(allowed));
      return;
    }
    let roll = draw() * open.reduce((sum, [, weight]) => sum + weight, 0);
    const kind =
      open.find(([, weight]) => {
        roll -= weight;
        return roll <= 0;
      }) ?? open[0]!;
    if (kind[0] === 0x30) takeNumber(allowed);
    else take(kind[0]);
    if (kind[0] === 0x5b) wanted[json.depth] = 1 + Math.floor(draw() * 3);
  }

  function takeNumber(allowed: Uint8Array): void {
    for (const candidate of numberCandidates(draw)) {
      const bytes = bytesOf(candidate);
      if (!fits(bytes)) continue;
      // The number must be able to end here, else it is only the beginning of a longer one.
      const ends =
        !anythingGoes() &&
        [0x2c, 0x7d, 0x5d, STOP].some((end) => {
          if (!matcher.accept(end)) return false;
          matcher.rollback(1);
          return true;
        });
      if (ends) {
        for (const byte of bytes) note(byte);
        return;
      }
      matcher.rollback(bytes.length);
    }
    const firsts = [0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x30, 0x2d].filter((byte) => allowed[byte]);
    take(firsts[0] === undefined ? anyByte(allowed) : firsts[Math.floor(draw() * Math.min(firsts.length, 9))]!);
  }

  /** 0.1.27 leaves the decimal point of a bound as a wildcard: what looks like an end is the middle of a number. */
  function anythingGoes(): boolean {
    if (!matcher.accept(0x7a)) return false;
    matcher.rollback(1);
    return true;
  }

  function goOnNumber(allowed: Uint8Array): boolean {
    if (allowed[0x7a]) {
      take(0x2e);
      return true;
    }
    for (const end of [0x2c, 0x7d, 0x5d]) if (allowed[end]) return endOfMember(allowed);
    if (allowed[STOP]) return false;
    const digits = Array.from({ length: 10 }, (_, i) => 0x30 + i).filter((byte) => allowed[byte]);
    take(digits.length > 0 ? pick(draw, digits) : anyByte(allowed));
    return true;
  }

  /** `,` or the closing bracket, by how full the container is. */
  function endOfMember(allowed: Uint8Array): boolean {
    const level = cursor?.level;
    // Inside a number the member is not counted yet.
    const count = (level?.count ?? 0) + (cursor?.role === 'number' ? 1 : 0);
    const end = level?.object ? 0x7d : 0x5d;
    if (!allowed[end]) {
      takeByte(allowed, 0x2c);
      return true;
    }
    let more: boolean;
    if (closing() || !allowed[0x2c]) more = false;
    else if (level?.object)
      more =
        count < MAX_MEMBERS &&
        (level.freeKeys === 0 || level.freeKeys < 3) &&
        draw() < (cursor!.depth > 3 ? 0.3 : 0.75);
    else more = count < (wanted[cursor?.depth ?? 0] ?? 2);
    takeByte(allowed, more ? 0x2c : end);
    return true;
  }

  function takeFree(allowed: Uint8Array, count: number): void {
    if (closing()) {
      for (const closer of [0x22, 0x7d, 0x5d, 0x29, 0x3e, 0x3b])
        if (allowed[closer] && draw() < 0.6 && take(closer)) return;
    }
    if (count > FREE_CHOICE) {
      const before = out.length;
      for (const byte of bytesOf(phrase(draw))) if (!take(byte)) break;
      if (out.length > before) return;
    }
    take(anyByte(allowed));
  }

  if (cursor === undefined) {
    for (const pattern of options.patterns) {
      const sampled = sampleRegex(pattern, draw);
      if (sampled !== undefined && takeText(sampled)) break;
    }
  }
  while (out.length < HARD_LIMIT) {
    const forced = matcher.forced();
    if (forced !== '' && !forced.includes('\uFFFD')) {
      let whole = true;
      for (const byte of bytesOf(forced)) whole &&= take(byte);
      if (whole) continue;
    }
    const allowed = await matcher.allowed();
    let count = 0;
    let only = -1;
    for (let id = 0; id <= STOP; id++) {
      if (!allowed[id]) continue;
      count++;
      only = id;
    }
    if (count === 0) break;
    if (count === 1) {
      if (only === STOP) return { text: Buffer.from(out).toString('utf8'), complete: true };
      take(only);
      continue;
    }
    if (!isJson()) {
      const stops = allowed[STOP] && (cursor !== undefined || closing() || out.length > 24 || draw() < 0.5);
      if (stops) return { text: Buffer.from(out).toString('utf8'), complete: true };
      takeFree(allowed, count);
      continue;
    }
    const json = cursor!;
    if (json.role === 'string') takeString(allowed, json);
    else if (json.role === 'key') takeKey(allowed, json, count);
    else if (json.role === 'value') takeValue(allowed, json);
    else if (json.role === 'number') {
      if (!goOnNumber(allowed)) return { text: Buffer.from(out).toString('utf8'), complete: true };
    } else if (json.role === 'after-value') endOfMember(allowed);
    else if (json.role === 'key-start') {
      const leave = allowed[0x7d] && (closing() || json.depth > MAX_DEPTH || draw() < 0.1);
      takeByte(allowed, leave ? 0x7d : QUOTE);
    } else takeByte(allowed, anyByte(allowed));
  }
  return { text: Buffer.from(out).toString('utf8'), complete: false };
}
