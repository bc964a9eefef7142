/** Pages as OpenAI's lists have them: after the thing with that id, or before it, in either direction. */
import { type RawBuilder, sql } from 'kysely';

export interface IdPageRequest {
  /** 1 to 100. */
  limit: number;
  /** Id of the last thing of the page before. */
  after?: string | undefined;
  /** Id of the first thing of the page behind: this page ends right before it. */
  before?: string | undefined;
  order?: 'asc' | 'desc' | undefined;
}

export interface IdPage<T> {
  data: T[];
  /** There is more in the direction that was asked for: behind the page, with `before` in front of it. */
  hasMore: boolean;
}

/**
 * Parts of a statement over rows in the order of (time, id). An `after` or `before` that names nothing gives an empty page.
 * `order` is the one to read in: with `before` the nearest rows come first, and `toPage` turns them round.
 */
export function idPage(
  { limit, after, before, order = 'desc' }: IdPageRequest,
  table: RawBuilder<unknown>,
  id: RawBuilder<unknown>,
  time: RawBuilder<unknown>,
) {
  const isBack = before !== undefined;
  const [ahead, behind] = order === 'desc' ? [sql`<`, sql`>`] : [sql`>`, sql`<`];
  const beside = (side: RawBuilder<unknown>, of: string | undefined) =>
    of === undefined
      ? sql``
      : sql`AND (${time}, ${id}) ${side} (SELECT a.created_at, a.id FROM ${table} a WHERE a.id = ${of})`;
  return {
    beyond: sql`${beside(ahead, after)} ${beside(behind, before)}`,
    order: (order === 'desc') === isBack ? sql`ASC` : sql`DESC`,
    fetch: limit + 1,
    toPage: <T>(rows: T[]): IdPage<T> => {
      const data = rows.slice(0, limit);
      return { data: isBack ? data.reverse() : data, hasMore: rows.length > limit };
    },
  };
}
