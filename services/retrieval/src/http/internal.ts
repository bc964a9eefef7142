/** What other services ask: the router for passages, the console to forget a deleted file. */
import { GROUND_LIMITS, type GroundRequest, RETRIEVAL_MODES } from '@tollgate/shared/contracts/retrieval';
import { z } from 'zod';
import type { Collections } from '../service/collections.ts';
import { read } from './input.ts';
import type { Route } from './route.ts';

const groundRequest = z.object({
  vector_store_ids: z.array(z.string().max(64)).min(1).max(GROUND_LIMITS.collections),
  question: z
    .string()
    .min(1)
    .transform((value) => value.slice(0, GROUND_LIMITS.questionChars).replaceAll('\0', '').toWellFormed()),
  mode: z.enum(RETRIEVAL_MODES),
  top_k: z.int().min(1).max(GROUND_LIMITS.topK),
  score_threshold: z.number().min(0).max(1),
  filters: z.unknown().optional(),
  max_context_tokens: z.int().min(1).max(GROUND_LIMITS.contextTokens),
  acting_key: z.string(),
});

export function internalRoutes(service: Collections): Route[] {
  return [
    {
      method: 'post',
      path: '/internal/ground',
      operation: 'ground',
      handle: ({ who, body, signal }) => service.ground(who, read(groundRequest, body) as GroundRequest, signal),
    },
    {
      method: 'delete',
      path: '/internal/files/:file',
      operation: 'file.forget',
      async handle({ who, params }) {
        await service.forgetFile(who, params.file!);
        return { id: params.file, deleted: true };
      },
    },
  ];
}
