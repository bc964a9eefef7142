/**
 * Worker endpoints that an operator opens: rerank, transcriptions, tokenize. Each is sold as a model of the catalogue whose
 * input price is that of one million calls, so that the ledger knows the price of a call as it knows any other.
 */
import { z } from 'zod';
import { ENDPOINTS } from '../endpoints/index.ts';

export interface PassThroughRoute {
  /** At the router, below no contract: `/v1/rerank`. */
  path: string;
  methods: readonly string[];
  workerPath: string;
  /** The model that a worker must serve to get the call. */
  model: string;
  /** The catalogue's model that the call is billed as: one call = one input token. */
  soldAs: string;
  scope: string;
}

/** Paths of workers that are billed by their tokens, or that must never be reached from outside. */
const METERED = new Set(Object.values(ENDPOINTS).map(({ workerPath }) => workerPath));
const CONTROL =
  /^\/(?:health|metrics|load\b|loads|v1\/load|sleep|wake_up|is_sleeping|pause|resume|update|abort|flush|reset|start_|stop_|server_info|get_|set_|collective|open_session|close_session|release_|generate|inference|invocations|vertex|v1\/(?:un)?load_lora|(?:un)?load_lora|dev|v1\/messages|v1\/responses)/;

const path = z
  .string()
  .max(200)
  .regex(/^(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)+$/, 'must be a plain path such as /v1/rerank');

const route = z.strictObject({
  path: path.refine((value) => value.startsWith('/v1/'), 'must begin with /v1/'),
  methods: z
    .array(z.enum(['GET', 'POST']))
    .min(1)
    .default(['POST']),
  workerPath: path
    .refine((value) => !METERED.has(value), 'is billed by its tokens already')
    .refine((value) => !CONTROL.test(value), 'controls the worker: it is never opened'),
  model: z.string().min(1).max(256),
  soldAs: z.string().min(1).max(256),
  scope: z.string().regex(/^[a-z_]{1,40}$/, 'must be lower case letters'),
});

/** JSON list, as configured. */
export function passThroughList() {
  return z.string().transform((text, context): PassThroughRoute[] => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JSON list' });
      return z.NEVER;
    }
    const parsed = z.array(route).max(32).safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      context.addIssue({ code: 'custom', message: `${issue.path.join('.')}: ${issue.message}` });
    }
    return z.NEVER;
  });
}
