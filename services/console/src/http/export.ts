/** Tables as CSV (RFC 4180) or NDJSON, one batch per answer; `x-next-cursor` while there is more. */
import type { Streamed } from './route.ts';

export const EXPORT_TYPES = ['application/x-ndjson', 'text/csv'] as const;

export interface Table<R extends object> {
  /** Of the file. */
  name: string;
  columns: readonly (keyof R & string)[];
  rows: readonly R[];
  next: string | null;
}

export function tableAnswer<R extends object>(table: Table<R>, format: 'csv' | 'ndjson'): Streamed {
  const { name, columns, rows, next } = table;
  const lines =
    format === 'csv'
      ? [columns.join(','), ...rows.map((row) => columns.map((column) => csvCell(row[column])).join(','))].join('\r\n')
      : rows.map((row) => JSON.stringify(row)).join('\n');
  const end = format === 'csv' ? '\r\n' : rows.length > 0 ? '\n' : '';
  return {
    status: 200,
    headers: {
      'content-type': format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
      'content-disposition': `attachment; filename="${name}.${format}"`,
      ...(next === null ? {} : { 'x-next-cursor': next }),
    },
    body: lines + end,
  };
}

/**
 * A cell that a spreadsheet would run as a formula is told to be text by a leading apostrophe: names of keys are what
 * people typed.
 */
function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  let text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  if (typeof value === 'string' && /^[=+@\t\r]|^-(?!\d+(\.\d+)?$)/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
