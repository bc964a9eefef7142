/** Collections and files as OpenAI's clients know them. Times are seconds since 1970. */
import type { CollectionFile, FileState } from '@tollgate/shared/db/retrieval/collection-files';
import { type Collection, expiryMs, hasExpired } from '@tollgate/shared/db/retrieval/collections';
import type { IdPage } from '@tollgate/shared/db/retrieval/id-page';
import type { FoundPassage } from '../search/search.ts';

const seconds = (ms: number): number => Math.floor(ms / 1_000);

export function storeView(collection: Collection, nowMs: number) {
  const { inProgress, completed, failed, cancelled } = collection.files;
  const { expiresDays } = collection;
  const expiresAtMs = expiryMs(collection);
  return {
    id: collection.id,
    object: 'vector_store',
    created_at: seconds(collection.createdAtMs),
    last_active_at: seconds(collection.lastActiveAtMs),
    name: collection.name,
    description: collection.description === '' ? null : collection.description,
    metadata: collection.metadata,
    status: hasExpired(collection, nowMs) ? 'expired' : inProgress > 0 ? 'in_progress' : 'completed',
    usage_bytes: collection.usageBytes,
    file_counts: {
      in_progress: inProgress,
      completed,
      failed,
      cancelled,
      total: inProgress + completed + failed + cancelled,
    },
    expires_after: expiresDays === null ? null : { anchor: 'last_active_at', days: expiresDays },
    expires_at: expiresAtMs === null ? null : seconds(expiresAtMs),
    embedding_model: collection.model,
    embedding_dimensions: collection.dimensions,
  };
}

export function fileView(file: CollectionFile) {
  return {
    id: file.fileId,
    object: 'vector_store.file',
    created_at: seconds(file.createdAtMs),
    vector_store_id: file.storeId,
    filename: file.filename,
    status: file.status,
    last_error: file.error,
    usage_bytes: file.usageBytes,
    attributes: file.attributes,
    chunking_strategy: {
      type: 'static',
      static: { max_chunk_size_tokens: file.chunkTokens, chunk_overlap_tokens: file.overlapTokens },
    },
    /** Chunks that have their vectors, of how many; the total is null until the file was parsed. */
    progress: { chunks: file.chunks, total: file.chunksTotal },
  };
}

export function batchView(batch: {
  id: string;
  storeId: string;
  createdAtMs: number;
  counts: Record<FileState, number>;
}) {
  const { counts } = batch;
  const total = counts.in_progress + counts.completed + counts.failed + counts.cancelled;
  const status = counts.in_progress > 0 ? 'in_progress' : counts.cancelled > 0 ? 'cancelled' : 'completed';
  return {
    id: batch.id,
    object: 'vector_store.files_batch',
    created_at: seconds(batch.createdAtMs),
    vector_store_id: batch.storeId,
    status,
    file_counts: { ...counts, total },
  };
}

/** The text of a file as it was cut, piece by piece: a large file is never held whole. */
export async function* contentPieces(pages: AsyncIterable<string[]>): AsyncGenerator<string> {
  yield '{"object":"vector_store.file_content.page","data":[';
  let comma = '';
  for await (const texts of pages) {
    yield comma + texts.map((text) => JSON.stringify({ type: 'text', text })).join(',');
    comma = ',';
  }
  yield '],"has_more":false,"next_page":null}';
}

export function pageView<T, V extends { id: string }>(page: IdPage<T>, view: (entry: T) => V) {
  const data = page.data.map(view);
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: page.hasMore,
  };
}

export function searchView(query: readonly string[], passages: readonly FoundPassage[], embeddingTokens: number) {
  return {
    object: 'vector_store.search_results.page',
    search_query: query,
    data: passages.map((passage) => ({
      file_id: passage.fileId,
      filename: passage.filename,
      score: Math.round(passage.score * 10_000) / 10_000,
      attributes: passage.attributes,
      content: [{ type: 'text', text: passage.text }],
      chunk: passage.seq,
      heading: passage.heading,
      place: passage.place,
    })),
    has_more: false,
    next_page: null,
    usage: { embedding_tokens: embeddingTokens },
  };
}
