/**
 * One file from bytes to searchable chunks. Safe to run again at any point and after any crash: it goes on behind the last
 * chunk that was written, and what was never written was at most one batch of embeddings.
 */
import type { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import type { CollectionFileStore, IngestRef, IngestWork } from '@tollgate/shared/db/retrieval/collection-files';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Chunk } from '../chunk/chunker.ts';
import type { ActFor } from '../embed/acting.ts';
import type { Embed } from '../embed/client.ts';
import { UnreadableFile } from '../parse/block.ts';
import type { ParseRequest } from '../parse/parser.ts';

export interface IngestParts {
  files: CollectionFileStore;
  writer: ChunkWriter;
  /** Bytes of a file; null when it is gone. */
  readFile: (owner: IngestWork) => Promise<Uint8Array | null>;
  parse: (request: ParseRequest) => Promise<Chunk[]>;
  embed: Embed;
  actFor: ActFor;
  /** Texts per call to the embeddings model, and their tokens together. */
  batch: { texts: number; tokens: number };
}

export type IngestEnd =
  | { kind: 'completed'; chunks: number; embeddedTokens: number }
  /** Removed or cancelled meanwhile, or another reader has it. */
  | { kind: 'dropped' }
  /** For good; the reason stands on the file. */
  | { kind: 'failed'; code: string; message: string };

/** Errors that time does not cure end the file; all others are thrown, for the queue to try again. */
export async function ingest(
  ref: IngestRef,
  parts: IngestParts,
  progress: (done: number, total: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<IngestEnd> {
  const work = await parts.files.work(ref);
  if (work === null) return { kind: 'dropped' };
  let chunks: Chunk[];
  try {
    const bytes = await parts.readFile(work);
    if (bytes === null) return failed('file_not_found', 'the file was deleted');
    chunks = await parts.parse({
      filename: work.filename,
      bytes,
      chunkTokens: work.chunkTokens,
      overlapTokens: work.overlapTokens,
    });
    if (chunks.length === 0) return failed('invalid_file', 'the file holds no text');
    return await embedAll(ref, work, chunks, parts, progress, signal);
  } catch (error) {
    if (error instanceof UnreadableFile) return failed(error.code, error.message);
    if (error instanceof AppError && isLasting(error)) return failed(error.code, error.message);
    throw error;
  }
}

const failed = (code: string, message: string): IngestEnd => ({ kind: 'failed', code, message });

/** No credit, a cap that is reached, a key that is gone: whoever owns the file has to do something first. */
function isLasting({ spec }: AppError): boolean {
  return (spec.blame === 'account' || spec.blame === 'client') && !spec.retryable;
}

async function embedAll(
  ref: IngestRef,
  work: IngestWork,
  chunks: readonly Chunk[],
  parts: IngestParts,
  progress: (done: number, total: number) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<IngestEnd> {
  if (work.chunksTotal !== chunks.length) await parts.files.setTotal(ref, chunks.length);
  let embeddedTokens = 0;
  for (let at = work.chunks; at < chunks.length; ) {
    signal?.throwIfAborted();
    const batch = nextBatch(chunks, at, parts.batch);
    const actingKey = await parts.actFor({
      keyId: work.keyId,
      projectId: work.projectId === '' ? null : work.projectId,
      userId: null,
    });
    const texts = batch.map(({ heading, text }) => (heading === '' ? text : `${heading}\n${text}`));
    const { vectors, tokens } = await parts.embed(work.model, work.dimensions, texts, actingKey, signal);
    embeddedTokens += tokens;
    const rows = batch.map((chunk, i) => ({ ...chunk, seq: at + i, embedding: vectors[i]! }));
    if ((await parts.writer.append(ref, rows)) !== 'written') return { kind: 'dropped' };
    at += batch.length;
    await progress(at, chunks.length);
  }
  if (!(await parts.writer.complete(ref))) return { kind: 'dropped' };
  await parts.writer.ensureIndex(work.storeId, work.dimensions);
  return { kind: 'completed', chunks: chunks.length, embeddedTokens };
}

function nextBatch(chunks: readonly Chunk[], from: number, most: { texts: number; tokens: number }): Chunk[] {
  const batch: Chunk[] = [];
  let tokens = 0;
  for (let i = from; i < chunks.length && batch.length < most.texts; i++) {
    const chunk = chunks[i]!;
    if (batch.length > 0 && tokens + chunk.tokens > most.tokens) break;
    batch.push(chunk);
    tokens += chunk.tokens;
  }
  return batch;
}
