/**
 * Ends collections that nobody used for as long as they were to live (`expires_after`), and drops indexes that a deletion
 * left behind when its process died. Every retrieval may do it at any time.
 */
import type { Db } from '@tollgate/shared/db/client';
import type { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import type { CollectionStore } from '@tollgate/shared/db/retrieval/collections';

export interface ExpiryParts {
  db: Db;
  collections: Pick<CollectionStore, 'expire'>;
  writer: Pick<ChunkWriter, 'leftIndexes' | 'dropIndex'>;
}

const PAGE = 100;

/** One round; answers how many collections ended. */
export async function expireCollections({ db, collections, writer }: ExpiryParts, nowMs: number): Promise<number> {
  let ended = 0;
  for (;;) {
    const ids = await collections.expire(db, nowMs, PAGE);
    ended += ids.length;
    if (ids.length < PAGE) break;
  }
  for (const id of await writer.leftIndexes()) await writer.dropIndex(id);
  return ended;
}
