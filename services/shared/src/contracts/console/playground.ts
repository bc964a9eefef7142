/** Requests to the models' API that the dashboard sends for a person. */
import { z } from 'zod';
import { projectQuery } from './collections.ts';

/** Any path of the host under OpenAI's contract; a query may follow. What a server might resolve is refused. */
const hostPath = z
  .string()
  .max(2_000)
  .regex(/^(\/v1\/[\x21-\x7e]+|\/\.well-known\/jwks\.json)$/, 'must be a path such as /v1/models')
  .refine((path) => !/(?:^|\/)(?:\.|%2e){1,2}(?:\/|\?|$)|[\\#]/i.test(path), { message: 'must not hold dots or #' })
  .meta({ example: '/v1/key' });

export const playgroundCallQuery = projectQuery.extend({
  method: z.enum(['GET', 'POST', 'DELETE']),
  path: hostPath,
});
export type PlaygroundCallQuery = z.output<typeof playgroundCallQuery>;
