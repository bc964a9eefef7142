/** One catalogue of errors, many contracts: status, names and shape of each, worked out once at start. */
import { type AppError, ERRORS, type ErrorCode, type ErrorSpec } from '@tollgate/shared/domain/errors';
import { ParameterError } from './checks.ts';
import { WordedParameterError } from './parameters.ts';
import { ContractError, type RenderedError } from './profile.ts';
import type { ProfileFile, Violation } from './profile-file.ts';

/** How a contract tells one code of the catalogue. */
interface Telling {
  status: number;
  type: string;
  code: string | number;
  /** In place of the text of the error. */
  text: string | null;
  /** Stands before the text. */
  name: string | null;
}

/** Not of the contract's endpoints: HTTP's own words for an address that is not there. */
const TRANSPORT = new Set<ErrorCode>(['not_found', 'method_not_allowed']);

/** Throws ContractError when a code of the catalogue has no status that the contract knows. */
export function compileErrors(file: ProfileFile, docsBase: string): (error: AppError) => RenderedError {
  const base = docsBase.replace(/\/+$/, '');
  const { errors } = file;
  const allowed = new Set(errors.statuses);
  const problems: string[] = [];

  function telling(code: ErrorCode, spec: ErrorSpec, ...overrides: (Violation | undefined)[]): Telling {
    const own: Violation = Object.assign({}, errors.codes[code], ...overrides);
    const fromMap = TRANSPORT.has(code) ? spec.status : (errors.status[spec.status] ?? spec.status);
    const status = own.status ?? fromMap;
    if (!allowed.has(status) && !TRANSPORT.has(code)) {
      problems.push(`${file.name}: errors: ${code} has the status ${status}, which is not one of its statuses`);
    }
    return {
      status,
      type: own.type ?? errors.types[status] ?? spec.type,
      code: errors.code === 'status' ? status : (own.code ?? code),
      text: own.text ?? null,
      name: errors.names[status] ?? null,
    };
  }

  for (const code of Object.keys(errors.codes)) {
    if (!Object.hasOwn(ERRORS, code)) problems.push(`${file.name}: errors.codes.${code}: no such code`);
  }
  const table = new Map<ErrorCode, Telling>();
  for (const code of Object.keys(ERRORS) as ErrorCode[]) table.set(code, telling(code, ERRORS[code]));
  const invalid = (violation?: Violation): Telling => telling('invalid_request', ERRORS.invalid_request, violation);
  const breaches = {
    type: invalid(errors.violations.type),
    range: invalid(errors.violations.range),
    missing: invalid(errors.violations.missing),
  };
  const worded = new Map<Violation, Telling>();
  for (const rule of Object.values(file.parameters)) {
    if (rule.ifInvalid !== undefined) {
      const { text: _told, ...rest } = rule.ifInvalid;
      worded.set(rule.ifInvalid, telling('invalid_request', ERRORS.invalid_request, errors.violations.range, rest));
    }
  }
  if (problems.length > 0) throw new ContractError(problems);

  const find = (error: AppError): Telling => {
    if (error instanceof WordedParameterError) return worded.get(error.violation) ?? breaches[error.breach];
    if (error instanceof ParameterError) return breaches[error.breach];
    return table.get(error.code)!;
  };
  const shape = errors.format === 'fastapi' ? fastApiShape : (told: ToldError) => ({ error: told });
  return (error) => {
    const { status, type, code, text, name } = find(error);
    const words = text ?? error.message;
    const told: ToldError = {
      message: name === null ? words : `${name}: ${words}`,
      type,
      param: error.param,
      code,
      metadata: { ...error.metadata, doc_url: `${base}/${error.code}` },
    };
    return { status, body: shape(told) };
  };
}

interface ToldError {
  message: string;
  type: string;
  param: string | null;
  code: string | number;
  metadata: Record<string, unknown>;
}

/** FastAPI's list beside OpenAI's object, so that clients of either find what they look for. */
function fastApiShape(told: ToldError): unknown {
  const path = (told.param ?? '').split(/[.[\]]+/).filter((part) => part !== '');
  const loc = ['body', ...path.map((part) => (/^\d+$/.test(part) ? Number(part) : part))];
  return { detail: [{ loc: told.param === null ? [] : loc, msg: told.message, type: String(told.code) }], error: told };
}
