/**
 * As much of pydantic as vLLM's request models need: lax conversions, errors in field order, and the exact text
 * that vLLM makes of them (Python's repr of every error's dictionary).
 */
import { ApiError } from './errors.ts';

export type Loc = readonly (string | number)[];

export interface FieldError {
  type: string;
  loc: Loc;
  msg: string;
  input: unknown;
  ctx?: Record<string, unknown>;
}

/** Reads a value: converts it or adds errors. */
export type Reader<T> = (value: unknown, loc: Loc, errors: FieldError[]) => T;

/** Python's repr of a JSON value. */
export function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return 'nan';
    if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
    return String(value);
  }
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return reprString(value);
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  return `{${Object.entries(value as object)
    .map(([key, item]) => `${reprString(key)}: ${pythonRepr(item)}`)
    .join(', ')}}`;
}

function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(/[\\\n\r\t\p{Cc}]|['"]/gu, (char) => {
    if (char === '\n') return '\\n';
    if (char === '\r') return '\\r';
    if (char === '\t') return '\\t';
    if (char === '\\') return '\\\\';
    if (char === "'" || char === '"') return char === quote ? `\\${char}` : char;
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return quote + body + quote;
}

/** Python's text of a float, e.g. 3 -> `3.0`. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return pythonRepr(value);
  return Number.isInteger(value) && Math.abs(value) < 1e16
    ? `${value}.0`
    : String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

function reprLoc(loc: Loc): string {
  return `(${loc.map((part) => (typeof part === 'number' ? String(part) : reprString(part))).join(', ')}${loc.length === 1 ? ',' : ''})`;
}

/** vLLM's 400 for field errors: all of them in one message, the first one's place as `param`. */
export function validationError(errors: readonly FieldError[]): ApiError {
  const lines = errors.map(({ type, loc, msg, input, ctx }) => {
    const context = ctx === undefined ? '' : `, 'ctx': ${pythonRepr(ctx)}`;
    return `  {'type': ${reprString(type)}, 'loc': ${reprLoc(loc)}, 'msg': ${reprString(msg)}, 'input': ${pythonRepr(input)}${context}}`;
  });
  const count = errors.length;
  const message = `${count} validation error${count === 1 ? '' : 's'}:\n${lines.join('\n')}`;
  // Names of types and wrappers are in `loc` but not in `param`.
  const param = errors[0]!.loc
    .filter((part) => typeof part === 'number' || (part !== 'str' && !/[[(]/.test(part)))
    .join('.');
  return new ApiError(400, 'Bad Request', message, param);
}

export const WRAP = 'function-wrap[__log_extra_fields__()]';

function add(errors: FieldError[], type: string, loc: Loc, msg: string, input: unknown, ctx?: FieldError['ctx']): void {
  errors.push(ctx === undefined ? { type, loc, msg, input } : { type, loc, msg, input, ctx });
}

export const readString: Reader<string> = (value, loc, errors) => {
  if (typeof value === 'string') return value;
  add(errors, 'string_type', loc, 'Input should be a valid string', value);
  return '';
};

export function readStringMin(min: number): Reader<string> {
  return (value, loc, errors) => {
    const text = readString(value, loc, errors);
    if (typeof value === 'string' && text.length < min) {
      add(
        errors,
        'string_too_short',
        loc,
        `String should have at least ${min} character${min === 1 ? '' : 's'}`,
        value,
        {
          min_length: min,
        },
      );
    }
    return text;
  };
}

/** Integers, exact up to 64 bits: beyond 2^53 a number's last digits may differ, which no parameter minds. */
export function readInt(limits: { ge?: number; le?: bigint } = {}): Reader<number> {
  return (value, loc, errors) => {
    let whole: number | bigint;
    if (typeof value === 'boolean') whole = value ? 1 : 0;
    else if (typeof value === 'bigint') whole = value;
    else if (typeof value === 'number' && Number.isInteger(value)) whole = value;
    else if (typeof value === 'number') {
      if (Number.isFinite(value)) {
        add(
          errors,
          'int_from_float',
          loc,
          'Input should be a valid integer, got a number with a fractional part',
          value,
        );
      } else add(errors, 'finite_number', loc, 'Input should be a finite number', value);
      return 0;
    } else if (typeof value === 'string') {
      if (!/^\s*[-+]?\d+(\.0+)?\s*$/.test(value)) {
        add(errors, 'int_parsing', loc, 'Input should be a valid integer, unable to parse string as an integer', value);
        return 0;
      }
      whole = Number(value);
    } else {
      add(errors, 'int_type', loc, 'Input should be a valid integer', value);
      return 0;
    }
    if (limits.ge !== undefined && whole < limits.ge) {
      add(errors, 'greater_than_equal', loc, `Input should be greater than or equal to ${limits.ge}`, value, {
        ge: limits.ge,
      });
    }
    if (limits.le !== undefined && whole > limits.le) {
      add(errors, 'less_than_equal', loc, `Input should be less than or equal to ${limits.le}`, value, {
        le: limits.le,
      });
    }
    return Number(whole);
  };
}

export const readFloat: Reader<number> = (value, loc, errors) => {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string') {
    if (value.trim() !== '' && !Number.isNaN(Number(value))) return Number(value);
    add(errors, 'float_parsing', loc, 'Input should be a valid number, unable to parse string as a number', value);
    return 0;
  }
  add(errors, 'float_type', loc, 'Input should be a valid number', value);
  return 0;
};

const TRUE_WORDS = new Set(['true', 't', 'yes', 'y', 'on', '1']);
const FALSE_WORDS = new Set(['false', 'f', 'no', 'n', 'off', '0']);

export const readBool: Reader<boolean> = (value, loc, errors) => {
  if (typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  if (typeof value === 'string') {
    const word = value.toLowerCase();
    if (TRUE_WORDS.has(word)) return true;
    if (FALSE_WORDS.has(word)) return false;
  }
  if (typeof value === 'string' || typeof value === 'number') {
    add(errors, 'bool_parsing', loc, 'Input should be a valid boolean, unable to interpret input', value);
  } else add(errors, 'bool_type', loc, 'Input should be a valid boolean', value);
  return false;
};

export const readAny: Reader<unknown> = (value) => value;

export function readLiteral<const T extends string>(allowed: readonly T[]): Reader<T> {
  const quoted = allowed.map((word) => `'${word}'`);
  const expected =
    quoted.length === 1 ? quoted[0]! : `${quoted.slice(0, -1).join(', ')} or ${quoted[quoted.length - 1]}`;
  return (value, loc, errors) => {
    if (allowed.includes(value as T)) return value as T;
    add(errors, 'literal_error', loc, `Input should be ${expected}`, value, { expected });
    return allowed[0]!;
  };
}

export function readList<T>(item: Reader<T>, maxItems?: number): Reader<T[]> {
  return (value, loc, errors) => {
    if (!Array.isArray(value)) {
      add(errors, 'list_type', loc, 'Input should be a valid list', value);
      return [];
    }
    const items = value.map((element, i) => item(element, [...loc, i], errors));
    if (maxItems !== undefined && value.length > maxItems) {
      add(
        errors,
        'too_long',
        loc,
        `List should have at most ${maxItems} items after validation, not ${value.length}`,
        value,
        {
          field_type: 'List',
          max_length: maxItems,
          actual_length: value.length,
        },
      );
    }
    return items;
  };
}

export function readDict<T>(item: Reader<T>): Reader<Record<string, T>> {
  return (value, loc, errors) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      add(errors, 'dict_type', loc, 'Input should be a valid dictionary', value);
      return {};
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, element]) => [key, item(element, [...loc, key], errors)]),
    );
  };
}

/** null and an absent field become undefined. */
export function optional<T>(reader: Reader<T>): Reader<T | undefined> {
  return (value, loc, errors) => (value === null || value === undefined ? undefined : reader(value, loc, errors));
}

/** An absent field becomes `fallback`; null is an error of the reader's. */
export function withDefault<T>(reader: Reader<T>, fallback: T): Reader<T> {
  return (value, loc, errors) => (value === undefined ? fallback : reader(value, loc, errors));
}

/** The first branch that has no errors wins; else every branch's errors, its tag in `loc`. */
export function readUnion<T>(branches: readonly (readonly [string, Reader<T>])[]): Reader<T> {
  return (value, loc, errors) => {
    const all: FieldError[] = [];
    for (const [tag, reader] of branches) {
      const own: FieldError[] = [];
      const result = reader(value, tag === '' ? loc : [...loc, tag], own);
      if (own.length === 0) return result;
      all.push(...own);
    }
    errors.push(...all);
    return undefined as T;
  };
}

const MODEL_TYPE = 'Input should be a valid dictionary or object to extract fields from';

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** A model: every field read in order; a reader marked required complains of absence. */
export function readModel<T>(
  fields: { readonly [K in keyof T]: Reader<T[K]> },
  required: readonly (keyof T & string)[] = [],
): Reader<T> {
  return (value, loc, errors) => {
    if (!isObject(value)) {
      add(errors, 'model_attributes_type', loc, MODEL_TYPE, value);
      return {} as T;
    }
    const result = {} as T;
    for (const name of Object.keys(fields) as (keyof T & string)[]) {
      const element = Object.hasOwn(value, name) ? value[name] : undefined;
      if (element === undefined && required.includes(name)) {
        add(errors, 'missing', [...loc, name], 'Field required', value);
        continue;
      }
      result[name] = fields[name](element, [...loc, name], errors);
    }
    return result;
  };
}
