/** Tables that read well on a phone: columns that matter less fall away, and the rest scrolls inside its own frame. */
import type { ReactNode } from 'react';

export interface Column<T> {
  id: string;
  header: ReactNode;
  cell(row: T): ReactNode;
  /** Numbers stand right, in figures of one width. */
  numeric?: boolean;
  /** Left out on screens narrower than this. */
  from?: 'sm' | 'md' | 'lg';
}

export interface TableProps<T> {
  /** What a listener hears before the table. */
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey(row: T): string;
  /** Id that `c` copies while the row has the focus. */
  copyId?(row: T): string;
  empty?: ReactNode;
  /** Wider than its place and without links in it: the frame itself can be focused and scrolled by keyboard. */
  scrolls?: boolean;
}

const FROM = { sm: 'hidden sm:table-cell', md: 'hidden md:table-cell', lg: 'hidden lg:table-cell' };
/** The first column holds names that people gave, without a space in 80 letters at worst. */
const LONG_NAMES = 'min-w-28 wrap-anywhere';
const cellClass = <T,>(column: Column<T>) =>
  `${column.numeric ? 'num text-right whitespace-nowrap' : 'text-left'} ${column.from ? FROM[column.from] : ''}`;

/** The first cell's link or button carries `data-row-main`: j, k and Enter work on it. */
export function Table<T>({ caption, columns, rows, rowKey, copyId, empty, scrolls }: TableProps<T>) {
  if (rows.length === 0 && empty) return <div className="card">{empty}</div>;
  return (
    <div className="card scroll-x" tabIndex={scrolls ? 0 : -1}>
      <table className="w-full border-collapse text-sm">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            {columns.map((column) => (
              <th
                key={column.id}
                scope="col"
                className={`px-2 py-2.5 font-medium sm:px-3 whitespace-nowrap ${cellClass(column)}`}
              >
                {column.header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              data-row
              data-copy={copyId?.(row)}
              className="border-b border-line last:border-0 focus-within:bg-hover hover:bg-hover/60"
            >
              {columns.map((column, index) => (
                <td
                  key={column.id}
                  className={`px-2 py-2 align-middle sm:px-3 ${index === 0 ? LONG_NAMES : ''} ${cellClass(column)}`}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
