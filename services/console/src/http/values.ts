/** Between the words of the wire and the words of the stores. */
import { PAGE_LIMIT_DEFAULT } from '@tollgate/shared/contracts/console/common';
import { decodeCursor, type PageRequest } from '@tollgate/shared/db/page';
import { AppError } from '@tollgate/shared/domain/errors';

export const isoTime = (ms: number) => new Date(ms).toISOString();
export const isoTimeOrNull = (ms: number | null) => (ms === null ? null : isoTime(ms));
export const nusdOrNull = (amount: bigint | null) => (amount === null ? null : String(amount));

export interface PageInput {
  limit?: number | undefined;
  cursor?: string | undefined;
}

/** Latest time that a cursor may name, so that every database can read it. */
const LATEST_MS = 4_102_444_800_000;

/** Limit and cursor of a list; refuses cursors that no list gave out before they reach a query. */
export function pageRequest({ limit, cursor }: PageInput): PageRequest {
  const position = decodeCursor(cursor);
  if (position && (position.atMs > LATEST_MS || /[\p{Cc}\p{Cs}\ufffd]/u.test(position.id))) {
    throw new AppError('invalid_request', { message: 'The cursor is not valid.', param: 'cursor' });
  }
  return { limit: limit ?? PAGE_LIMIT_DEFAULT, cursor: cursor ?? null };
}
