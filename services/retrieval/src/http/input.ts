/** Reads what clients send about collections: zod for shapes, one error with the path of the field. */
import type { Attributes } from '@tollgate/shared/db/retrieval/collection-files';
import { AppError } from '@tollgate/shared/domain/errors';
import { z } from 'zod';
import { AUTO_CHUNKING, type Chunking, type FileToAdd } from '../service/collections.ts';

/** Postgres stores no NUL and no half of a surrogate pair. */
const text = (max: number) =>
  z
    .string()
    .max(max)
    .transform((value) => value.replaceAll('\0', '').toWellFormed());

const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** At most 16 pairs, keys of 64 and texts of 512 characters, as OpenAI has it. */
const pairs = <T extends z.ZodType>(value: T) =>
  z
    .record(text(64).pipe(z.string().min(1)), value)
    .refine((entries) => Object.keys(entries).length <= 16, { message: 'at most 16 pairs' });

const metadata = pairs(text(512)).nullish();
/** It ends so many days after it was last used; null = it stays. */
const expiresAfter = z.strictObject({ anchor: z.literal('last_active_at'), days: z.int().min(1).max(365) }).nullish();
const attributes = pairs(z.union([text(512), z.number().finite(), z.boolean()])).nullish();

const chunking = z
  .union([
    z.strictObject({ type: z.literal('auto') }),
    z.strictObject({
      type: z.literal('static'),
      static: z
        .strictObject({
          max_chunk_size_tokens: z.int().min(100).max(4_096),
          chunk_overlap_tokens: z.int().min(0),
        })
        .refine((sizes) => sizes.chunk_overlap_tokens * 2 <= sizes.max_chunk_size_tokens, {
          message: 'the overlap may be half of the size at most',
        }),
    }),
  ])
  .nullish();

/** As OpenAI has it: of a new collection, of a batch. */
const MAX_FILES = 500;
const MAX_BATCH_FILES = 2_000;

export const createStore = z.strictObject({
  name: text(256).nullish(),
  metadata,
  file_ids: z.array(id).max(MAX_FILES).nullish(),
  chunking_strategy: chunking,
  /** One of the models that the operator set up; ours beside OpenAI's fields. */
  embedding_model: text(200).nullish(),
  description: text(512).nullish(),
  expires_after: expiresAfter,
});
export const updateStore = z.strictObject({
  name: text(256).nullish(),
  metadata,
  description: text(512).nullish(),
  expires_after: expiresAfter,
});
export const addFile = z.strictObject({ file_id: id, attributes, chunking_strategy: chunking });
export const updateFile = z.strictObject({ attributes });
export const addBatch = z
  .strictObject({
    file_ids: z.array(id).min(1).max(MAX_BATCH_FILES).nullish(),
    files: z.array(addFile).min(1).max(MAX_BATCH_FILES).nullish(),
    attributes,
    chunking_strategy: chunking,
  })
  .refine(({ file_ids, files }) => Boolean(file_ids) !== Boolean(files), { message: 'expected file_ids or files' });
export const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: id.optional(),
  before: id.optional(),
});
export const listFilesQuery = listQuery.extend({
  filter: z.enum(['in_progress', 'completed', 'failed', 'cancelled']).optional(),
});
export const searchInput = z.strictObject({
  query: z.union([
    text(8_000).pipe(z.string().min(1)),
    z
      .array(text(8_000).pipe(z.string().min(1)))
      .min(1)
      .max(8),
  ]),
  filters: z.unknown().optional(),
  max_num_results: z.int().min(1).max(50).default(10),
  ranking_options: z
    .strictObject({
      ranker: z.enum(['auto', 'none', 'default-2024-11-15']).optional(),
      score_threshold: z.number().min(0).max(1).optional(),
    })
    .nullish(),
  rewrite_query: z.literal(false).nullish(),
  /** How to search; ours beside OpenAI's fields. */
  mode: z.enum(['hybrid', 'vector', 'text']).default('hybrid'),
});

/** @throws {AppError} `invalid_request` that names the first field at fault. */
export function read<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const param = [...issue.path, ...(unknown === undefined ? [] : [unknown.slice(0, 64)])].join('.') || null;
  throw new AppError(unknown === undefined ? 'invalid_request' : 'unsupported_parameter', {
    param,
    message:
      unknown === undefined ? `Invalid '${param ?? 'body'}': ${issue.message}.` : `Unsupported parameter: '${param}'.`,
  });
}

export function chunkingOf(value: z.output<typeof chunking>): Chunking {
  if (value?.type !== 'static') return AUTO_CHUNKING;
  return { chunkTokens: value.static.max_chunk_size_tokens, overlapTokens: value.static.chunk_overlap_tokens };
}

export function attributesOf(value: z.output<typeof attributes>): Attributes {
  return value ?? {};
}

export function filesOf(input: z.output<typeof addBatch>): FileToAdd[] {
  const common = { attributes: attributesOf(input.attributes), chunking: chunkingOf(input.chunking_strategy) };
  if (input.files) {
    return input.files.map((file) => ({
      fileId: file.file_id,
      attributes: file.attributes ?? common.attributes,
      chunking: file.chunking_strategy ? chunkingOf(file.chunking_strategy) : common.chunking,
    }));
  }
  return (input.file_ids ?? []).map((fileId) => ({ fileId, ...common }));
}
