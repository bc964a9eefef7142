import type { Page } from '@tollgate/shared/contracts/console/common';
import { decodeCursor, type PageRequest, pageLimit, toPage } from '@tollgate/shared/db/page';

/**
 * A page of a list that is short enough to be read whole (models, prices of one model, workers). With `atMs` the list is
 * ordered by (atMs, id) descending, without by id ascending; either way the cursor names the last row shown, so rows
 * that come or go neither repeat nor hide another.
 */
export function pageOf<T>(
  all: readonly T[],
  request: PageRequest,
  id: (item: T) => string,
  atMs?: (item: T) => number,
): Page<T> {
  const position = (item: T) => ({ atMs: atMs?.(item) ?? 0, id: id(item) });
  const compare = (a: { atMs: number; id: string }, b: { atMs: number; id: string }) => {
    const byId = a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
    return atMs ? b.atMs - a.atMs || -byId : byId;
  };
  const after = decodeCursor(request.cursor);
  const rest = all
    .filter((item) => after === null || compare(after, position(item)) < 0)
    .sort((a, b) => compare(position(a), position(b)));
  const limit = pageLimit(request);
  return toPage(rest.slice(0, limit + 1), limit, position, (item) => item);
}
