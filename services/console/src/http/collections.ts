import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { done } from '@tollgate/shared/contracts/console/auth';
import * as wire from '@tollgate/shared/contracts/console/collections';
import type { CollectionService } from '../collections/service.ts';
import { type Call, type Route, route } from './route.ts';

const ok = { ok: true } as const;
type ForWhom = Call<{ id: string }, { projectId?: string | undefined }, unknown>;
const whoseOf = ({ actor, params, query, exchange }: ForWhom) => ({
  actor,
  accountId: params.id,
  projectId: query.projectId ?? null,
  signal: exchange.signal,
});

/** Collections work by a key of the caller's own, so they take the right to send requests. */
export function collectionRoutes(collections: CollectionService): Route[] {
  const common = {
    tag: 'collections',
    audience: 'account',
    permission: 'playground:use',
    errors: ['retrieval_unavailable'],
  } as const;
  const one = { ...common, params: wire.collectionParams } as const;
  return [
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/collections',
      operation: 'collections.list',
      summary: 'Collections of documents, newest first',
      params: accountParams,
      query: wire.collectionsQuery,
      response: wire.collectionPage,
      handle: (call) => collections.list(whoseOf(call), call.query),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/accounts/{id}/collections',
      operation: 'collections.create',
      summary: 'Make a collection',
      params: accountParams,
      query: wire.projectQuery,
      body: wire.createCollection,
      status: 201,
      response: wire.collection,
      errors: [...common.errors, 'conflict'],
      handle: (call) => collections.create(whoseOf(call), call.body),
    }),
    route({
      ...one,
      method: 'get',
      path: '/api/accounts/{id}/collections/{collectionId}',
      operation: 'collections.get',
      summary: 'One collection',
      query: wire.projectQuery,
      response: wire.collection,
      handle: (call) => collections.get(whoseOf(call), call.params.collectionId),
    }),
    route({
      ...one,
      method: 'patch',
      path: '/api/accounts/{id}/collections/{collectionId}',
      operation: 'collections.patch',
      summary: 'Rename a collection, or say when it ends',
      query: wire.projectQuery,
      body: wire.patchCollection,
      response: wire.collection,
      handle: (call) => collections.patch(whoseOf(call), call.params.collectionId, call.body),
    }),
    route({
      ...one,
      method: 'post',
      path: '/api/accounts/{id}/collections/{collectionId}/remove',
      operation: 'collections.remove',
      summary: 'Remove a collection with its passages and vectors; the files stay',
      query: wire.projectQuery,
      response: done,
      handle: async (call) => {
        await collections.remove(whoseOf(call), call.params.collectionId);
        return ok;
      },
    }),
    route({
      ...one,
      method: 'get',
      path: '/api/accounts/{id}/collections/{collectionId}/files',
      operation: 'collections.files',
      summary: 'Files of a collection and how far each was read, newest first',
      query: wire.collectionsQuery,
      response: wire.collectionFilePage,
      handle: (call) => collections.listFiles(whoseOf(call), call.params.collectionId, call.query),
    }),
    route({
      ...one,
      method: 'post',
      path: '/api/accounts/{id}/collections/{collectionId}/files',
      operation: 'collections.upload',
      summary: 'Upload a file into a collection: its bytes are the body',
      description: 'It is read afterwards; its line among the files says how far that is, or why it failed.',
      query: wire.uploadQuery,
      bytes: true,
      status: 201,
      response: wire.collectionFile,
      errors: [...common.errors, 'body_too_large'],
      handle: (call) =>
        collections.upload(whoseOf(call), call.params.collectionId, call.query.filename, call.exchange.content()),
    }),
    route({
      ...one,
      method: 'post',
      path: '/api/accounts/{id}/collections/{collectionId}/files/{fileId}/remove',
      operation: 'collections.remove_file',
      summary: 'Delete a file everywhere: its bytes, and its passages in every collection',
      params: wire.collectionFileParams,
      query: wire.projectQuery,
      response: done,
      handle: async (call) => {
        await collections.removeFile(whoseOf(call), call.params.collectionId, call.params.fileId);
        return ok;
      },
    }),
    route({
      ...one,
      method: 'post',
      path: '/api/accounts/{id}/collections/{collectionId}/search',
      operation: 'collections.search',
      summary: 'Passages that fit a question, best first, with their scores',
      unaudited: true,
      query: wire.projectQuery,
      body: wire.searchCollection,
      response: wire.passages,
      handle: (call) => collections.search(whoseOf(call), call.params.collectionId, call.body),
    }),
  ];
}
