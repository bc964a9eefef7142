/** The header `Idempotency-Key`, as every POST of the API's host reads it. Pure. */
import { AppError } from './errors.ts';

export const IDEMPOTENCY_HEADER = 'idempotency-key';
/** Told on every answer that an earlier request under the same key has made; the name is Stripe's. */
export const REPLAYED_HEADER = 'idempotent-replayed';

/** Printable ASCII, as Stripe and the IETF draft have it. */
const KEY_TEXT = /^[\x20-\x7e]{1,255}$/;

/**
 * The key's text; null when there is none.
 * @throws {AppError} `invalid_request` for a text that is no key.
 */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  if (KEY_TEXT.test(header)) return header;
  throw new AppError('invalid_request', {
    param: IDEMPOTENCY_HEADER,
    message: "'Idempotency-Key' must be 1 to 255 printable ASCII characters.",
  });
}
