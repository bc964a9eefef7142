/** Numbers for the engine: whole bounds for integers, and bounds that its range grammars read rightly for the rest. */
import type { EngineDialect } from './dialect.ts';
import { emitEnum } from './emit-enum.ts';
import type { EngineSchema, Note } from './enforceable.ts';
import type { Flat } from './flat.ts';

/** Below 2^63, exact as a JavaScript number; an integer without bounds has been seen to run on for 100 digits and more. */
const WIDEST = 9_000_000_000_000_000_000;
const MAX_LISTED = 256;
/** XGrammar writes at most six decimals under a bound. */
const DECIMALS = 1e6;

export function emitNumeric(
  flat: Flat,
  type: 'integer' | 'number',
  dialect: EngineDialect,
  note: Note,
): EngineSchema | undefined {
  const whole = flat.multiples.filter(({ of }) => Number.isInteger(of));
  if (type === 'integer' || whole.length > 0) return emitInteger(flat, dialect, note);
  for (const { pointer } of flat.multiples) {
    note({ pointer, keyword: 'multipleOf', how: 'dropped', reason: 'not enforced by the engine' });
  }
  return emitFraction(flat, dialect, note);
}

function emitInteger(flat: Flat, dialect: EngineDialect, note: Note): EngineSchema | undefined {
  const low = Math.max(Math.ceil(flat.minimum), Math.floor(flat.exclusiveMinimum) + 1, -WIDEST);
  const high = Math.min(Math.floor(flat.maximum), Math.ceil(flat.exclusiveMaximum) - 1, WIDEST);
  if (
    flat.minimum > WIDEST ||
    flat.exclusiveMinimum >= WIDEST ||
    flat.maximum < -WIDEST ||
    flat.exclusiveMaximum <= -WIDEST
  ) {
    note({ pointer: flat.pointer, keyword: 'type', how: 'dropped', reason: 'bounds too large for the engine' });
    return { type: 'integer' };
  }
  if (low > high) return undefined;
  const fractions = flat.multiples.filter(({ of }) => !Number.isInteger(1 / of));
  if (fractions.length > 0) {
    const listed = listMultiples(
      low,
      high,
      fractions.map(({ of }) => of),
    );
    if (listed !== undefined) return emitEnum(listed, fractions[0]!.pointer, dialect, note);
    for (const { pointer } of fractions) {
      note({ pointer, keyword: 'multipleOf', how: 'dropped', reason: 'not enforced by the engine' });
    }
  }
  return { type: 'integer', minimum: low, maximum: high };
}

/** All multiples in the range when they are few enough to be an enum. */
function listMultiples(low: number, high: number, of: number[]): number[] | undefined {
  const stride = Math.max(...of);
  if (!Number.isInteger(stride) || (high - low) / stride > MAX_LISTED) return undefined;
  const listed: number[] = [];
  for (let value = Math.ceil(low / stride) * stride; value <= high; value += stride) {
    if (of.every((each) => Number.isInteger(value / each))) listed.push(value === 0 ? 0 : value);
  }
  return listed;
}

function emitFraction(flat: Flat, dialect: EngineDialect, note: Note): EngineSchema | undefined {
  const low = Math.max(flat.minimum, flat.exclusiveMinimum);
  const high = Math.min(flat.maximum, flat.exclusiveMaximum);
  const out: EngineSchema = { type: 'number' };
  if (low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY) {
    note({ pointer: flat.pointer, keyword: 'type', how: 'loose', reason: 'a number may overflow to infinity' });
    return out;
  }
  const openLow = flat.exclusiveMinimum >= flat.minimum;
  const openHigh = flat.exclusiveMaximum <= flat.maximum;
  if (low > high || (low === high && (openLow || openHigh))) return undefined;
  if (low === high) return { enum: [low] };
  // Bounds finer than the grammar's decimals are widened: asked for them it allows nothing, or everything.
  const widenedLow = Math.floor(low * DECIMALS) / DECIMALS;
  const widenedHigh = Math.ceil(high * DECIMALS) / DECIMALS;
  const plain = [low, high].every((bound) => !Number.isFinite(bound) || Math.abs(bound) < 1e9);
  const keyword = Number.isFinite(low)
    ? openLow
      ? 'exclusiveMinimum'
      : 'minimum'
    : openHigh
      ? 'exclusiveMaximum'
      : 'maximum';
  if (!plain) {
    note({ pointer: `${flat.pointer}/${keyword}`, keyword, how: 'dropped', reason: 'bounds too large for the engine' });
    return out;
  }
  if (widenedLow !== low || widenedHigh !== high || dialect.xgrammar === '0.1') {
    note({
      pointer: `${flat.pointer}/${keyword}`,
      keyword,
      how: 'loose',
      reason: 'the engine keeps these bounds roughly',
    });
  }
  if (Number.isFinite(low)) out[openLow && widenedLow === low ? 'exclusiveMinimum' : 'minimum'] = widenedLow;
  if (Number.isFinite(high)) out[openHigh && widenedHigh === high ? 'exclusiveMaximum' : 'maximum'] = widenedHigh;
  return out;
}
