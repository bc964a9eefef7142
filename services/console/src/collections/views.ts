/** Retrieval's answers (OpenAI's shapes) in the words of the console's API. */
import type { CollectionFileView, CollectionView, PassagesView } from '@tollgate/shared/contracts/console/collections';
import { isoTime } from '../http/values.ts';

export interface StorePage<T> {
  data: T[];
  last_id: string | null;
  has_more: boolean;
}

export interface VectorStore {
  id: string;
  name: string;
  status: CollectionView['status'];
  created_at: number;
  last_active_at: number;
  expires_after: { days: number } | null;
  expires_at: number | null;
  usage_bytes: number;
  embedding_model: string;
  file_counts: { in_progress: number; completed: number; failed: number; cancelled: number; total: number };
}

export interface StoreFile {
  id: string;
  filename: string;
  created_at: number;
  status: CollectionFileView['status'];
  last_error: { code: string; message: string } | null;
  usage_bytes: number;
  progress: { chunks: number; total: number | null };
}

export interface StoreSearch {
  data: {
    file_id: string;
    filename: string;
    score: number;
    content: { text: string }[];
    chunk: number;
    heading: string;
    place: string;
  }[];
  usage: { embedding_tokens: number };
}

export const collectionOf = (store: VectorStore): CollectionView => ({
  collectionId: store.id,
  name: store.name,
  status: store.status,
  createdAt: isoTime(store.created_at * 1_000),
  lastActiveAt: isoTime(store.last_active_at * 1_000),
  expiresDays: store.expires_after?.days ?? null,
  expiresAt: store.expires_at === null ? null : isoTime(store.expires_at * 1_000),
  usageBytes: store.usage_bytes,
  embeddingModel: store.embedding_model,
  files: {
    inProgress: store.file_counts.in_progress,
    completed: store.file_counts.completed,
    failed: store.file_counts.failed,
    cancelled: store.file_counts.cancelled,
    total: store.file_counts.total,
  },
});

export const fileOf = (file: StoreFile): CollectionFileView => ({
  fileId: file.id,
  filename: file.filename,
  createdAt: isoTime(file.created_at * 1_000),
  status: file.status,
  error: file.last_error && { code: file.last_error.code, message: file.last_error.message },
  usageBytes: file.usage_bytes,
  chunks: file.progress.chunks,
  chunksTotal: file.progress.total,
});

export const passagesOf = ({ data, usage }: StoreSearch): Omit<PassagesView, 'tookMs'> => ({
  data: data.map((passage) => ({
    fileId: passage.file_id,
    filename: passage.filename,
    score: passage.score,
    heading: passage.heading,
    place: passage.place,
    chunk: passage.chunk,
    text: passage.content.map(({ text }) => text).join('\n'),
  })),
  embeddingTokens: usage.embedding_tokens,
});
