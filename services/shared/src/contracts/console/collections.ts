/** Collections of documents: what grounded answers quote. OpenAI's vector stores, in the words of this API. */
import { z } from 'zod';
import { accountId, isoTime, pageQuery, plainText } from './common.ts';

const collectionId = z
  .string()
  .regex(/^vs_[0-9A-Za-z]{1,40}$/)
  .meta({ example: 'vs_8RtLo2wQx5NbHv9cYmKe' });
const fileId = z
  .string()
  .regex(/^file_[0-9A-Za-z]{1,40}$/)
  .meta({ example: 'file_1PzKd7uTa4MgJs6fXrWi' });
const projectId = z
  .string()
  .regex(/^[0-9A-Za-z_-]{1,64}$/)
  .optional()
  .meta({ description: 'Collections of this project; those that belong to none when absent.' });

/** Whose collections: of the organisation, or of one of its projects. */
export const projectQuery = z.strictObject({ projectId });
export type ProjectQuery = z.output<typeof projectQuery>;
export const collectionsQuery = z.strictObject({
  projectId,
  limit: pageQuery.limit,
  cursor: z.string().min(1).max(64).optional().meta({ description: '`next` of the page before.' }),
});
export type CollectionsQuery = z.output<typeof collectionsQuery>;
export const collectionParams = z.strictObject({ id: accountId, collectionId });
export const collectionFileParams = collectionParams.extend({ fileId });

const expiresDays = z
  .int()
  .min(1)
  .max(365)
  .nullable()
  .meta({ description: 'It ends so many days after it was last used; null = it stays.' });

export const collection = z
  .object({
    collectionId,
    name: z.string(),
    status: z
      .enum(['in_progress', 'completed', 'expired'])
      .meta({ description: '`in_progress`: files are being read. `expired`: gone within minutes.' }),
    createdAt: isoTime,
    lastActiveAt: isoTime,
    expiresDays,
    expiresAt: isoTime.nullable().meta({ description: 'When it ends unless it is used before.' }),
    usageBytes: z.int().meta({ description: 'Of chunks and vectors.' }),
    embeddingModel: z.string(),
    files: z.object({
      inProgress: z.int(),
      completed: z.int(),
      failed: z.int(),
      cancelled: z.int(),
      total: z.int(),
    }),
  })
  .meta({ id: 'Collection' });
export type CollectionView = z.infer<typeof collection>;
export const collectionPage = z
  .object({
    data: z.array(collection),
    next: z.string().nullable().meta({ description: 'Cursor of the next page.' }),
    maxFileBytes: z.int().meta({ description: 'Size that a file may have.' }),
  })
  .meta({ id: 'CollectionPage' });
export type CollectionPage = z.infer<typeof collectionPage>;

export const createCollection = z
  .strictObject({ name: plainText(200), expiresDays: expiresDays.optional() })
  .meta({ id: 'CreateCollection' });
export type CreateCollection = z.output<typeof createCollection>;
export const patchCollection = z
  .strictObject({ name: plainText(200).optional(), expiresDays: expiresDays.optional() })
  .meta({ id: 'PatchCollection' });
export type PatchCollection = z.output<typeof patchCollection>;

export const collectionFile = z
  .object({
    fileId,
    filename: z.string(),
    createdAt: isoTime,
    status: z.enum(['in_progress', 'completed', 'failed', 'cancelled']),
    error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .meta({ description: 'Why it could not be read.' }),
    usageBytes: z.int(),
    chunks: z.int().meta({ description: 'That have their vectors.' }),
    chunksTotal: z.int().nullable().meta({ description: 'Null until the file was parsed.' }),
  })
  .meta({ id: 'CollectionFile' });
export type CollectionFileView = z.infer<typeof collectionFile>;
export const collectionFilePage = z
  .object({ data: z.array(collectionFile), next: z.string().nullable() })
  .meta({ id: 'CollectionFilePage' });

export const uploadQuery = z.strictObject({ projectId, filename: plainText(255) });
export type UploadQuery = z.output<typeof uploadQuery>;

export const searchCollection = z
  .strictObject({
    query: z.string().min(1).max(4000),
    mode: z.enum(['hybrid', 'vector', 'text']).optional().meta({ description: '`hybrid` when absent.' }),
    topK: z.int().min(1).max(50).optional().meta({ description: 'Passages at most; 8 when absent.' }),
    scoreThreshold: z.number().min(0).max(1).optional(),
  })
  .meta({ id: 'SearchCollection' });
export type SearchCollection = z.output<typeof searchCollection>;
export const passages = z
  .object({
    data: z
      .array(
        z.object({
          fileId: z.string(),
          filename: z.string(),
          score: z.number().meta({ description: '0 to 1.' }),
          heading: z.string(),
          place: z.string().meta({ description: 'Where in the file, such as a page.' }),
          chunk: z.int(),
          text: z.string(),
        }),
      )
      .meta({ description: 'Best first.' }),
    embeddingTokens: z.int().meta({ description: 'Billed as an embeddings request; 0 when only words were compared.' }),
    tookMs: z.int(),
  })
  .meta({ id: 'Passages' });
export type PassagesView = z.infer<typeof passages>;
