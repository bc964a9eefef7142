/**
 * Rules of single parameters, compiled once into readers. A reader checks one value and returns what the request model
 * keeps of it; null and absent values never reach it.
 */
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  type NumberRange,
  ParameterError,
  unsupported,
  wrongType,
} from './checks.ts';
import type { ParameterRule, Violation } from './profile-file.ts';

export type Reader = (value: unknown) => unknown;

const BIG = Number.MAX_SAFE_INTEGER;

/** A breach for which the profile has words, or a status, of its own. */
export class WordedParameterError extends ParameterError {
  readonly violation: Violation;

  constructor(error: ParameterError, violation: Violation) {
    super(error.breach, error.param ?? '', violation.text ?? error.message);
    this.violation = violation;
  }
}

/** Reader of a parameter that is read by itself; null for those that the chat parser reads with others. */
export function compileReader(name: string, rule: ParameterRule): Reader | null {
  const check = checker(name, rule);
  if (check === null) return null;
  const read = rule.send === undefined ? check : sent(check, rule.send);
  return rule.ifInvalid === undefined ? read : worded(read, rule.ifInvalid);
}

function checker(name: string, rule: ParameterRule): Reader | null {
  const range = rangeOf(rule);
  switch (rule.type) {
    case 'number':
      return (value) => checkNumber(name, value, range);
    case 'integer':
      return (value) => checkInteger(name, value, range);
    case 'boolean':
      return (value) => checkBoolean(name, value);
    case 'stream':
      return (value) => (value === 'patch' && rule.modes?.includes(value) ? value : checkBoolean(name, value));
    case 'text':
      return (value) => checkString(name, value, rule.maxLength ?? BIG);
    case 'enum':
      return (value) => checkOneOf(name, value, (rule.values ?? []).map(String));
    case 'must_be':
      return mustBe(name, rule.values ?? [], rule.why ?? '');
    case 'stop':
      return (value) => readStop(name, value, rule);
    case 'logit_bias':
      return (value) => readLogitBias(name, value, range, rule.maxItems ?? BIG);
    default:
      return null;
  }
}

export function rangeOf(rule: ParameterRule): NumberRange {
  return {
    min: rule.above ?? rule.min ?? -BIG,
    max: rule.below ?? rule.max ?? BIG,
    aboveMin: rule.above !== undefined,
    belowMax: rule.below !== undefined,
  };
}

/** Legal values that engines refuse, or read differently, are sent as what they mean. */
function sent(
  check: Reader,
  {
    atMost = Number.POSITIVE_INFINITY,
    atLeast = Number.NEGATIVE_INFINITY,
    instead = {},
  }: NonNullable<ParameterRule['send']>,
): Reader {
  const replaced = new Map(Object.entries(instead).map(([from, to]) => [Number(from), to]));
  return (value) => {
    const checked = check(value) as number;
    return replaced.get(checked) ?? Math.max(atLeast, Math.min(atMost, checked));
  };
}

function worded(read: Reader, violation: Violation): Reader {
  return (value) => {
    try {
      return read(value);
    } catch (error) {
      throw error instanceof ParameterError ? new WordedParameterError(error, violation) : error;
    }
  };
}

/** A value, or a list, that asks for nothing but what happens anyway. */
function mustBe(name: string, values: readonly unknown[], why: string): Reader {
  const isBoolean = typeof values[0] === 'boolean';
  return (value) => {
    const wanted = isBoolean ? [checkBoolean(name, value)] : checkArray(name, value, 1, 8);
    if (wanted.some((entry) => !values.includes(entry))) throw unsupported(name, why);
    return undefined;
  };
}

function readStop(name: string, value: unknown, rule: ParameterRule): string[] {
  const maxLength = rule.maxLength ?? BIG;
  if (typeof value === 'string' && rule.text !== false) return [checkStop(name, value, maxLength)];
  if (!Array.isArray(value)) throw wrongType(name, rule.text === false ? 'an array' : 'a string or an array', value);
  return checkArray(name, value, rule.minItems ?? 0, rule.maxItems ?? MAX_STOP).map((entry, i) =>
    checkStop(`${name}[${i}]`, entry, maxLength),
  );
}

/** Where a contract names no maximum; engines compare every one of them with every token. */
const MAX_STOP = 256;

function checkStop(path: string, value: unknown, maxLength: number): string {
  const stop = checkString(path, value, maxLength);
  if (stop === '') throw invalid(path, 'it is empty.');
  return stop;
}

function readLogitBias(name: string, value: unknown, range: NumberRange, maxItems: number): Record<string, number> {
  const entries = Object.entries(checkObject(name, value));
  if (entries.length > maxItems) throw invalid(name, `at most ${maxItems} entries are allowed.`);
  const bias: Record<string, number> = {};
  for (const [id, amount] of entries) {
    if (!/^\d{1,7}$/.test(id)) throw invalid(name, 'keys must be token ids.');
    bias[id] = checkNumber(`${name}.${id}`, amount, range);
  }
  return bias;
}
