/** A table that is read page by page, oldest last: loading, failed, its rows, and the way to older ones. */
import type { UseInfiniteQueryResult } from '@tanstack/react-query';
import { plural } from '../lib/numbers.ts';
import { Button } from './button.tsx';
import { ErrorNote, Skeleton } from './parts.tsx';
import { Table, type TableProps } from './table.tsx';

interface PagedProps<T> extends Omit<TableProps<T>, 'rows'> {
  list: UseInfiniteQueryResult<{ pages: readonly { data: readonly T[] }[] }>;
  /** What one row is, such as `request`. */
  noun: string;
  /** Several of them, where an `s` is not enough. */
  nouns?: string;
  /** Height while it loads. */
  skeleton?: string;
}

export function PagedTable<T>({ list, noun, nouns, skeleton = 'h-64', ...table }: PagedProps<T>) {
  const rows = list.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <>
      {list.error ? <ErrorNote error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton className={skeleton} /> : null}
      {list.data ? <Table {...table} rows={rows} /> : null}
      {rows.length > 0 ? (
        <div className="flex items-center justify-center gap-3 text-sm text-muted">
          <span role="status">{plural(rows.length, noun, nouns)} shown</span>
          {list.hasNextPage ? (
            <Button pending={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
              Show older ones
            </Button>
          ) : (
            <span>· that is all</span>
          )}
        </div>
      ) : null}
    </>
  );
}
