/** Cursor pages: newest first, by (time, id). A cursor is opaque to callers and stays valid while rows are added. */
import { type RawBuilder, sql } from 'kysely';
import { AppError } from '../domain/errors.ts';

export interface PageRequest {
  /** 1 to 1000. */
  limit: number;
  /** `next` of the page before; null or absent for the first. */
  cursor?: string | null;
}

export interface Page<T> {
  data: T[];
  /** Cursor of the next page; null when there is none. */
  next: string | null;
}

export const PAGE_LIMIT_MAX = 1000;

/** Position after which a page starts. `atMs` is 0 where rows are ordered by id alone. */
export interface Position {
  atMs: number;
  id: string;
}

export function encodeCursor({ atMs, id }: Position): string {
  return Buffer.from(`${atMs}|${id}`).toString('base64url');
}

/** @throws {AppError} `invalid_request` on a text that is no cursor. */
export function decodeCursor(cursor: string | null | undefined): Position | null {
  if (!cursor) return null;
  // Postgres takes no NUL in a text; ids are a key's and a model's at most.
  const match = /^(\d{1,15})\|([^\p{Cc}]{1,300})$/u.exec(Buffer.from(cursor, 'base64url').toString());
  if (!match) throw new AppError('invalid_request', { message: 'The cursor is not valid.', param: 'cursor' });
  return { atMs: Number(match[1]), id: match[2]! };
}

export function pageLimit({ limit }: PageRequest): number {
  return Math.min(Math.max(Math.trunc(limit) || 1, 1), PAGE_LIMIT_MAX);
}

/** Whether a row comes after this place in a list that is sorted newest first, by `created_at` and `id`; null: all do. */
export function olderThan(place: Position | null): RawBuilder<boolean> {
  return sql<boolean>`(${place === null} OR (created_at, id) < (${new Date(place?.atMs ?? 0)}, ${place?.id ?? ''}))`;
}

/** A page from `limit + 1` rows: the extra one only says that there is more. */
export function toPage<R, T>(rows: R[], limit: number, position: (row: R) => Position, view: (row: R) => T): Page<T> {
  const more = rows.length > limit;
  const shown = more ? rows.slice(0, limit) : rows;
  return { data: shown.map(view), next: more ? encodeCursor(position(shown.at(-1)!)) : null };
}
