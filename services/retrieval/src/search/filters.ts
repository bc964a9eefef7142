/** Attribute filters as clients write them, checked: OpenAI's shape, bounded in size and depth. */
import type { Filter, FilterValue } from '@tollgate/shared/db/retrieval/filter-sql';
import { AppError } from '@tollgate/shared/domain/errors';

const MAX_DEPTH = 8;
const MAX_PARTS = 64;
const MAX_VALUES = 256;
const MAX_TEXT = 512;
const COMPARISONS = new Set(['eq', 'ne', 'gt', 'gte', 'lt', 'lte']);
const SETS = new Set(['in', 'nin']);

/** Null and absent: no filter. @throws {AppError} `invalid_request` with the path of what is wrong. */
export function parseFilter(value: unknown, param: string): Filter | null {
  if (value === null || value === undefined) return null;
  const budget = { parts: MAX_PARTS };
  return read(value, param, 1, budget);
}

function read(value: unknown, param: string, depth: number, budget: { parts: number }): Filter {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(param, 'expected an object');
  if (--budget.parts < 0) throw wrong(param, `at most ${MAX_PARTS} comparisons are allowed`);
  const { type, key, value: wanted, filters, ...rest } = value as Record<string, unknown>;
  for (const name of Object.keys(rest)) throw wrong(`${param}.${name.slice(0, 64)}`, 'it is not known here');
  if (type === 'and' || type === 'or') {
    if (depth >= MAX_DEPTH) throw wrong(param, `it is nested deeper than ${MAX_DEPTH}`);
    if (!Array.isArray(filters) || filters.length === 0) throw wrong(`${param}.filters`, 'expected a list of filters');
    return { type, filters: filters.map((part, i) => read(part, `${param}.filters[${i}]`, depth + 1, budget)) };
  }
  if (typeof type !== 'string' || !(COMPARISONS.has(type) || SETS.has(type))) {
    throw wrong(`${param}.type`, 'expected one of eq, ne, gt, gte, lt, lte, in, nin, and, or');
  }
  if (typeof key !== 'string' || key === '' || key.length > 64)
    throw wrong(`${param}.key`, 'expected 1 to 64 characters');
  if (SETS.has(type)) {
    if (!Array.isArray(wanted) || wanted.length > MAX_VALUES) {
      throw wrong(`${param}.value`, `expected a list of at most ${MAX_VALUES} values`);
    }
    return { type: type as 'in', key: clean(key), value: wanted.map((entry) => scalar(entry, `${param}.value`)) };
  }
  const operand = scalar(wanted, `${param}.value`);
  if (typeof operand === 'boolean' && type !== 'eq' && type !== 'ne')
    throw wrong(`${param}.value`, 'expected a number or a text');
  return { type: type as 'eq', key: clean(key), value: operand };
}

function scalar(value: unknown, param: string): FilterValue {
  if (typeof value === 'string' && value.length <= MAX_TEXT) return clean(value);
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value;
  throw wrong(param, `expected a text of at most ${MAX_TEXT} characters, a number or a boolean`);
}

/** Postgres's JSON knows no NUL and no half of a surrogate pair. */
const clean = (text: string): string => text.replaceAll('\0', '').toWellFormed();

function wrong(param: string, why: string): AppError {
  return new AppError('invalid_request', { param, message: `Invalid '${param}': ${why}.` });
}
