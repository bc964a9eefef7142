import { z } from 'zod';
import { pageQuery } from './common.ts';

export const worker = z
  .object({
    url: z.string(),
    engine: z.string(),
    model: z.string(),
    models: z.array(z.string()),
    state: z.enum(['joining', 'ready', 'draining', 'gone']),
    running: z.int().meta({ description: 'Requests that all routers have sent it and that have not ended.' }),
    waiting: z.int().meta({ description: 'Of these, those without a first token.' }),
    kvUsage: z.number().nullable().meta({ description: 'Share of its KV cache in use, 0 to 1.' }),
    routers: z.int().meta({ description: 'Routers that see it.' }),
    breakerOpen: z.boolean().meta({ description: 'True when every router that sees it avoids it.' }),
    seenAt: z.string().nullable(),
  })
  .meta({ id: 'Worker' });
export type WorkerView = z.infer<typeof worker>;

export const listWorkersQuery = z.strictObject(pageQuery);
export const workerPage = z.object({ data: z.array(worker), next: z.string().nullable() }).meta({ id: 'WorkerPage' });

/** A worker's base URL as routers know it: scheme and host, no credentials, query or trailing slash. */
export const workerUrl = z
  .string()
  .max(500)
  .transform((text, context): string => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
      context.addIssue({ code: 'custom', message: 'must be the base URL of a worker, such as http://10.0.0.7:8000' });
      return z.NEVER;
    }
    return text.replace(/\/+$/, '');
  });

export const drainWorker = z
  .strictObject({ url: workerUrl.meta({ example: 'http://10.0.0.7:8000' }) })
  .meta({ id: 'DrainWorker' });
export type DrainWorker = z.output<typeof drainWorker>;
export const drainedWorker = z.object({ url: z.string(), draining: z.boolean() }).meta({ id: 'DrainedWorker' });
export type DrainedWorker = z.infer<typeof drainedWorker>;
