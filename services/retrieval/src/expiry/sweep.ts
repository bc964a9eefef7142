/**
 * Ends collections that nobody used for as long as they were to live (`expires_after`), drops indexes that a deletion left
 * behind, and builds those that are missing: whose process died in between, or found another index under way. Every
 * retrieval may do it at any time.
 */
import type { Db } from '@tollgate/shared/db/client';
import type { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import type { CollectionStore } from '@tollgate/shared/db/retrieval/collections';

export interface ExpiryParts {
  db: Db;
  collections: Pick<CollectionStore, 'expire'>;
  writer: Pick<ChunkWriter, 'leftIndexes' | 'dropIndex' | 'withoutIndex' | 'ensureIndex'>;
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
  for (const { id, dimensions } of await writer.withoutIndex(PAGE)) await writer.ensureIndex(id, dimensions);
  return ended;
}
