/** Pages as OpenAI's lists have them: after the thing with that id, in either direction. */
import { type RawBuilder, sql } from 'kysely';

export interface IdPageRequest {
  /** 1 to 100. */
  limit: number;
  /** Id of the last thing of the page before. */
  after?: string | undefined;
  order?: 'asc' | 'desc' | undefined;
}

export interface IdPage<T> {
  data: T[];
  hasMore: boolean;
}

/** Parts of a statement over rows in the order of (time, id). An `after` that names nothing gives an empty page. */
export function idPage(
  { limit, after, order = 'desc' }: IdPageRequest,
  table: RawBuilder<unknown>,
  id: RawBuilder<unknown>,
  time: RawBuilder<unknown>,
) {
  const side = order === 'desc' ? sql`<` : sql`>`;
  return {
    beyond:
      after === undefined
        ? sql``
        : sql`AND (${time}, ${id}) ${side} (SELECT a.created_at, a.id FROM ${table} a WHERE a.id = ${after})`,
    order: order === 'desc' ? sql`DESC` : sql`ASC`,
    fetch: limit + 1,
    toPage: <T>(rows: T[]): IdPage<T> => ({ data: rows.slice(0, limit), hasMore: rows.length > limit }),
  };
}
