/** `/v1/vector_stores` in OpenAI's shape. */
import type { Collection } from '@tollgate/shared/db/retrieval/collections';
import { parseFilter } from '../search/filters.ts';
import type { Collections } from '../service/collections.ts';
import {
  addBatch,
  addFile,
  attributesOf,
  chunkingOf,
  createStore,
  filesOf,
  listFilesQuery,
  listQuery,
  read,
  searchInput,
  updateFile,
  updateStore,
} from './input.ts';
import { type Route, StreamedJson } from './route.ts';
import { batchView, contentPieces, fileView, pageView, searchView, storeView } from './views.ts';

const BASE = '/v1/vector_stores';
const FILES = `${BASE}/:store/files`;
const BATCHES = `${BASE}/:store/file_batches`;

export function vectorStoreRoutes(service: Collections): Route[] {
  const view = (collection: Collection) => storeView(collection, service.nowMs);
  return [
    {
      method: 'post',
      path: BASE,
      operation: 'store.create',
      async handle({ who, body, post }) {
        const input = read(createStore, body);
        const chunking = chunkingOf(input.chunking_strategy);
        const files = (input.file_ids ?? []).map((fileId) => ({ fileId, attributes: {}, chunking }));
        const { name, description, metadata, embedding_model: model, expires_after: expires } = input;
        const named = { name: name ?? '', description: description ?? '', metadata: metadata ?? {} };
        const made = { ...named, model: model ?? null, expiresDays: expires?.days ?? null, files };
        return view(await service.create(who, made, post));
      },
    },
    {
      method: 'get',
      path: BASE,
      operation: 'store.list',
      handle: async ({ who, query }) => pageView(await service.list(who, read(listQuery, query)), view),
    },
    {
      method: 'get',
      path: `${BASE}/:store`,
      operation: 'store.get',
      handle: async ({ who, params }) => view(await service.get(who, params.store!)),
    },
    {
      method: 'post',
      path: `${BASE}/:store`,
      operation: 'store.update',
      async handle({ who, params, body, post }) {
        const { name, description, metadata, expires_after: expires } = read(updateStore, body);
        const patch = {
          ...(name ? { name } : {}),
          ...(description === undefined ? {} : { description: description ?? '' }),
          ...(metadata ? { metadata } : {}),
          ...(expires === undefined ? {} : { expiresDays: expires?.days ?? null }),
        };
        return view(await service.update(who, params.store!, patch, post));
      },
    },
    {
      method: 'delete',
      path: `${BASE}/:store`,
      operation: 'store.delete',
      async handle({ who, params }) {
        await service.delete(who, params.store!);
        return { id: params.store, object: 'vector_store.deleted', deleted: true };
      },
    },
    {
      method: 'post',
      path: `${BASE}/:store/search`,
      operation: 'store.search',
      async handle({ who, params, body, post, signal }) {
        const input = read(searchInput, body);
        const asked = typeof input.query === 'string' ? [input.query] : input.query;
        const { passages, embeddingTokens } = await service.search(
          who,
          params.store!,
          {
            text: asked.join('\n'),
            mode: input.mode,
            limit: input.max_num_results,
            scoreThreshold: input.ranking_options?.score_threshold ?? 0,
            filter: parseFilter(input.filters, 'filters'),
          },
          post,
          signal,
        );
        return searchView(asked, passages, embeddingTokens);
      },
    },
    ...fileRoutes(service),
    ...batchRoutes(service),
  ];
}

function fileRoutes(service: Collections): Route[] {
  return [
    {
      method: 'post',
      path: FILES,
      operation: 'file.add',
      async handle({ who, params, body, post }) {
        const { file_id: fileId, attributes, chunking_strategy: chunking } = read(addFile, body);
        const file = { fileId, attributes: attributesOf(attributes), chunking: chunkingOf(chunking) };
        return fileView(await service.addFile(who, params.store!, file, post));
      },
    },
    {
      method: 'get',
      path: FILES,
      operation: 'file.list',
      async handle({ who, params, query }) {
        const { filter: status, ...page } = read(listFilesQuery, query);
        const files = await service.listFiles(who, params.store!, { ...page, ...(status ? { status } : {}) });
        return pageView(files, fileView);
      },
    },
    {
      method: 'get',
      path: `${FILES}/:file`,
      operation: 'file.get',
      handle: async ({ who, params }) => fileView(await service.file(who, params.store!, params.file!)),
    },
    {
      method: 'get',
      path: `${FILES}/:file/content`,
      operation: 'file.content',
      handle: async ({ who, params }) =>
        new StreamedJson(contentPieces(await service.content(who, params.store!, params.file!))),
    },
    {
      method: 'post',
      path: `${FILES}/:file`,
      operation: 'file.update',
      async handle({ who, params, body, post }) {
        const attributes = attributesOf(read(updateFile, body).attributes);
        return fileView(await service.setAttributes(who, params.store!, params.file!, attributes, post));
      },
    },
    {
      method: 'delete',
      path: `${FILES}/:file`,
      operation: 'file.remove',
      async handle({ who, params }) {
        await service.removeFile(who, params.store!, params.file!);
        return { id: params.file, object: 'vector_store.file.deleted', deleted: true };
      },
    },
  ];
}

function batchRoutes(service: Collections): Route[] {
  return [
    {
      method: 'post',
      path: BATCHES,
      operation: 'batch.create',
      async handle({ who, params, body, post }) {
        const batchId = await service.addBatch(who, params.store!, filesOf(read(addBatch, body)), post);
        return batchView(await service.batch(who, params.store!, batchId));
      },
    },
    {
      method: 'get',
      path: `${BATCHES}/:batch`,
      operation: 'batch.get',
      handle: async ({ who, params }) => batchView(await service.batch(who, params.store!, params.batch!)),
    },
    {
      method: 'post',
      path: `${BATCHES}/:batch/cancel`,
      operation: 'batch.cancel',
      handle: async ({ who, params, post }) =>
        batchView(await service.cancelBatch(who, params.store!, params.batch!, post)),
    },
    {
      method: 'get',
      path: `${BATCHES}/:batch/files`,
      operation: 'batch.files',
      async handle({ who, params, query }) {
        await service.batch(who, params.store!, params.batch!);
        const { filter: status, ...page } = read(listFilesQuery, query);
        const filter = { ...page, batchId: params.batch!, ...(status ? { status } : {}) };
        return pageView(await service.listFiles(who, params.store!, filter), fileView);
      },
    },
  ];
}
