/** Small type and range checks that answer with OpenAI's words and the path of the field at fault. */
import { AppError } from '@tollgate/shared/domain/errors';

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Name of a JSON value's type, as OpenAI's error texts say it. */
function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'object':
      return 'an object';
    case 'number':
      return Number.isInteger(value) ? 'an integer' : 'a decimal number';
    case 'boolean':
      return 'a boolean';
    default:
      return 'a string';
  }
}

/** In which way a parameter breaks its contract: some contracts answer each with a status of its own. */
export type Breach = 'type' | 'range' | 'missing';

/** A parameter that its contract does not allow. */
export class ParameterError extends AppError {
  readonly breach: Breach;

  constructor(breach: Breach, param: string, message: string) {
    super('invalid_request', { param, message });
    this.breach = breach;
  }
}

export function wrongType(param: string, expected: string, value: unknown): ParameterError {
  const message = `Invalid type for '${param}': expected ${expected}, but got ${typeName(value)} instead.`;
  return new ParameterError('type', param, message);
}

export function invalid(param: string, why: string): ParameterError {
  return new ParameterError('range', param, `Invalid '${param}': ${why}`);
}

export function missing(param: string): ParameterError {
  return new ParameterError('missing', param, `Missing required parameter: '${param}'.`);
}

export function unsupported(param: string, why: string): AppError {
  return new AppError('unsupported_parameter', { param, message: `Unsupported parameter: '${param}'. ${why}` });
}

export interface NumberRange {
  min: number;
  max: number;
  /** The minimum itself is refused. */
  aboveMin?: boolean;
  /** The maximum itself is refused. */
  belowMax?: boolean;
}

export function checkNumber(param: string, value: unknown, range: NumberRange): number {
  // 1e999 is valid JSON and reads as Infinity.
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrongType(param, 'a number', value);
  checkRange(param, value, range);
  return value;
}

export function checkInteger(param: string, value: unknown, range: NumberRange): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(param, 'an integer', value);
  if (!Number.isSafeInteger(value)) throw invalid(param, 'the integer is too large.');
  checkRange(param, value, range);
  return value;
}

function checkRange(param: string, value: number, { min, max, aboveMin, belowMax }: NumberRange): void {
  if (value < min || (aboveMin && value === min)) {
    throw invalid(
      param,
      `number below minimum value. Expected a value ${aboveMin ? '>' : '>='} ${min}, but got ${value} instead.`,
    );
  }
  if (value > max || (belowMax && value === max)) {
    throw invalid(
      param,
      `number above maximum value. Expected a value ${belowMax ? '<' : '<='} ${max}, but got ${value} instead.`,
    );
  }
}

export function checkBoolean(param: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(param, 'a boolean', value);
  return value;
}

export function checkString(param: string, value: unknown, maxLength = Number.MAX_SAFE_INTEGER): string {
  if (typeof value !== 'string') throw wrongType(param, 'a string', value);
  if (value.length > maxLength) throw invalid(param, `string too long. Expected at most ${maxLength} characters.`);
  return value;
}

export function checkObject(param: string, value: unknown): JsonObject {
  if (!isObject(value)) throw wrongType(param, 'an object', value);
  return value;
}

export function checkArray(param: string, value: unknown, min: number, max: number): unknown[] {
  if (!Array.isArray(value)) throw wrongType(param, 'an array', value);
  if (value.length < min) throw invalid(param, `array too short. Expected at least ${min} element(s).`);
  if (value.length > max) throw invalid(param, `array too long. Expected at most ${max} elements.`);
  return value;
}

export function checkOneOf<T extends string>(param: string, value: unknown, allowed: readonly T[]): T {
  if (typeof value !== 'string') throw wrongType(param, `one of ${quoted(allowed)}`, value);
  if (!allowed.includes(value as T)) throw invalid(param, `expected one of ${quoted(allowed)}.`);
  return value as T;
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `'${value}'`).join(', ');
}

/** True when the client said nothing: an explicit null means the same as leaving the field out. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}
