/** The fixed corpus: twelve pages of a company's handbook and sixty questions, each with the page and words that answer it. */
import { readdirSync, readFileSync } from 'node:fs';
import { chunkBlocks } from '@tollgate/retrieval/chunk/chunker';
import { PARSE_LIMITS } from '@tollgate/retrieval/parse/block';
import { parseFile } from '@tollgate/retrieval/parse/kinds';
import { type SearchMode, search } from '@tollgate/retrieval/search/search';
import type { Db } from '@tollgate/shared/db/client';
import { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import { CollectionFileStore } from '@tollgate/shared/db/retrieval/collection-files';
import { CollectionStore } from '@tollgate/shared/db/retrieval/collections';

const FOLDER = new URL('./corpus/', import.meta.url);

export interface Asked {
  question: string;
  file: string;
  /** Words of the section that answers. */
  holds: string;
}

export const questions = (): Asked[] => JSON.parse(readFileSync(new URL('questions.json', FOLDER), 'utf8')) as Asked[];

/** Vectors of texts by some model. */
export type Vectors = (texts: readonly string[]) => Promise<Float32Array[]>;

export interface Score {
  /** Share of questions whose answering section is first, and among the first five. */
  recall1: number;
  recall5: number;
  /** Mean of 1 / place, 0 when not among the first ten. */
  mrr: number;
}

const OWNER = { accountId: 'acct_study', projectId: '' };
const CHUNKING = { chunkTokens: 100, overlapTokens: 0 };

/** Puts the corpus into a fresh collection and asks everything in each way. */
export async function askAll(
  db: Db,
  vectors: Vectors,
  model: { id: string; dimensions: number },
): Promise<{ chunks: number; scores: Record<SearchMode, Score>; missed: Record<SearchMode, string[]> }> {
  const collections = new CollectionStore(db);
  const files = new CollectionFileStore(db);
  const writer = new ChunkWriter(db);
  const storeId = `vs_study${model.id.replace(/\W/g, '')}`;
  await collections.create({
    ...OWNER,
    id: storeId,
    name: 'study',
    model: model.id,
    dimensions: model.dimensions,
    metadata: {},
    createdAtMs: 0,
  });
  let chunkCount = 0;
  for (const name of readdirSync(FOLDER)
    .filter((file) => file.endsWith('.md'))
    .sort()) {
    const chunks = chunkBlocks(await parseFile(name, readFileSync(new URL(name, FOLDER)), PARSE_LIMITS), CHUNKING);
    const ref = { storeId, fileId: name, ingestId: `ing_${name}` };
    await files.add({
      ...ref,
      ...CHUNKING,
      keyId: 'key',
      filename: name,
      attributes: {},
      batchId: null,
      createdAtMs: 0,
    });
    const embedded = await vectors(chunks.map(({ heading, text }) => `${heading}\n${text}`));
    await writer.append(
      ref,
      chunks.map((chunk, seq) => ({ ...chunk, seq, embedding: embedded[seq]! })),
    );
    await writer.complete(ref);
    chunkCount += chunks.length;
  }
  const parts = {
    collections,
    chunks: new ChunkSearch(db),
    embed: async (_model: string, _dimensions: number, texts: readonly string[]) => ({
      vectors: await vectors(texts),
      tokens: 0,
    }),
  };
  const scores = {} as Record<SearchMode, Score>;
  const missed = {} as Record<SearchMode, string[]>;
  for (const mode of ['vector', 'text', 'hybrid'] as const) {
    const places: number[] = [];
    missed[mode] = [];
    for (const { question, file, holds } of questions()) {
      const { passages } = await search(
        {
          owner: OWNER,
          storeIds: [storeId],
          text: question,
          mode,
          limit: 10,
          scoreThreshold: 0,
          filter: null,
          actingKey: () => '',
          param: 'id',
          nowMs: 0,
        },
        parts,
      );
      const place = passages.findIndex((passage) => passage.fileId === file && passage.text.includes(holds)) + 1;
      places.push(place);
      if (place === 0 || place > 5) missed[mode].push(question);
    }
    const share = (most: number) => places.filter((place) => place > 0 && place <= most).length / places.length;
    const mrr = places.reduce((sum, place) => sum + (place > 0 ? 1 / place : 0), 0) / places.length;
    scores[mode] = { recall1: share(1), recall5: share(5), mrr };
  }
  return { chunks: chunkCount, scores, missed };
}
