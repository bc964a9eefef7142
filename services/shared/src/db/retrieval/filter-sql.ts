/** Attribute filters in OpenAI's shape as SQL over `store_files.attributes`. Values are parameters, keys too. */
import { type RawBuilder, sql } from 'kysely';

export type FilterValue = string | number | boolean;
export type Filter =
  | { type: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte'; key: string; value: FilterValue }
  | { type: 'in' | 'nin'; key: string; value: readonly FilterValue[] }
  | { type: 'and' | 'or'; filters: readonly Filter[] };

const ORDER = { gt: sql`>`, gte: sql`>=`, lt: sql`<`, lte: sql`<=` } as const;

/** A condition on the row `f`. What a file does not have is equal to nothing and in no order. */
export function filterSql(filter: Filter): RawBuilder<boolean> {
  switch (filter.type) {
    case 'and':
    case 'or': {
      if (filter.filters.length === 0) return filter.type === 'and' ? sql<boolean>`true` : sql<boolean>`false`;
      const parts = filter.filters.map((part) => sql`(${filterSql(part)})`);
      return sql<boolean>`(${sql.join(parts, filter.type === 'and' ? sql` AND ` : sql` OR `)})`;
    }
    case 'eq':
      return equals(filter.key, filter.value);
    case 'ne':
      return sql<boolean>`NOT (${equals(filter.key, filter.value)})`;
    case 'in':
      return within(filter.key, filter.value);
    case 'nin':
      return sql<boolean>`NOT (${within(filter.key, filter.value)})`;
    default:
      return ordered(filter.key, filter.value, ORDER[filter.type]);
  }
}

/** Containment compares JSON values by type: 1 and '1' are not the same. */
function equals(key: string, value: FilterValue): RawBuilder<boolean> {
  return sql<boolean>`f.attributes @> ${JSON.stringify({ [key]: value })}::jsonb`;
}

function within(key: string, values: readonly FilterValue[]): RawBuilder<boolean> {
  if (values.length === 0) return sql<boolean>`false`;
  return sql<boolean>`(${sql.join(
    values.map((value) => equals(key, value)),
    sql` OR `,
  )})`;
}

/** Numbers with numbers, texts with texts; CASE keeps the cast away from everything else. */
function ordered(key: string, value: FilterValue, operator: RawBuilder<unknown>): RawBuilder<boolean> {
  if (typeof value === 'number') {
    return sql<boolean>`CASE WHEN jsonb_typeof(f.attributes -> ${key}::text) = 'number'
      THEN (f.attributes ->> ${key}::text)::numeric ${operator} ${value}::float8::numeric ELSE false END`;
  }
  return sql<boolean>`CASE WHEN jsonb_typeof(f.attributes -> ${key}::text) = 'string'
    THEN (f.attributes ->> ${key}::text) COLLATE "C" ${operator} ${String(value)}::text ELSE false END`;
}
