/** When a file goes by itself, as OpenAI's API has it: so many seconds after it was made. Pure. */
import { AppError } from '@tollgate/shared/domain/errors';

/** An hour to 30 days. */
export const FILE_EXPIRY_SECONDS = { min: 3_600, max: 2_592_000 } as const;

const ANCHOR = 'expires_after[anchor]';
const SECONDS = 'expires_after[seconds]';

/**
 * Seconds of the form's fields `expires_after[anchor]` and `expires_after[seconds]`; null when there is neither.
 * @throws {AppError} `invalid_request` that names the field at fault.
 */
export function readExpiry(fields: ReadonlyMap<string, string>): number | null {
  if (fields.size === 0) return null;
  for (const name of fields.keys()) if (name !== ANCHOR && name !== SECONDS) throw wrong(name, 'it is not known here');
  if (fields.get(ANCHOR) !== 'created_at') throw wrong(ANCHOR, "expected 'created_at'");
  const text = fields.get(SECONDS) ?? '';
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  const { min, max } = FILE_EXPIRY_SECONDS;
  if (seconds < min || seconds > max) throw wrong(SECONDS, `expected a whole number from ${min} to ${max}`);
  return seconds;
}

function wrong(param: string, why: string): AppError {
  const shown = param.slice(0, 64);
  return new AppError('invalid_request', { param: shown, message: `Invalid '${shown}': ${why}.` });
}
