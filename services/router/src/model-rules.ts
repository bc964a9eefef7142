/** What an operator says of single models: their times, and whether a request may wait for a worker to be started. */
import { z } from 'zod';
import type { RouterConfig } from './config.ts';
import type { ModelTerms } from './relay/deliver.ts';
import type { RelayLimits } from './relay/relay.ts';

const ms = z.int().min(1);

/** `TOLLGATE_MODEL_RULES`: `{"<model id>": {"firstTokenMs": 300000, "scaleFromZero": true}}`. */
const rulesSchema = z.record(
  z.string().min(1),
  z.strictObject({
    firstTokenMs: ms.optional(),
    idleMs: ms.optional(),
    plainMs: ms.optional(),
    totalMs: ms.optional(),
    maxQueueMs: z.int().min(0).optional(),
    scaleFromZero: z.boolean().optional(),
  }),
);

export type ModelRules = z.output<typeof rulesSchema>;

/** A variable that holds them as JSON. */
export function modelRules() {
  return z.string().transform((text, context): ModelRules => {
    try {
      return rulesSchema.parse(JSON.parse(text));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : 'it is not JSON';
      context.addIssue({ code: 'custom', message: `must be {"<model id>": {"firstTokenMs": 300000}}: ${why}` });
      return z.NEVER;
    }
  });
}

/** The terms of every model; those without rules share one object. */
export function modelTerms(base: ModelTerms, rules: ModelRules): (model: string) => ModelTerms {
  const byModel = new Map<string, ModelTerms>();
  for (const [model, { maxQueueMs, scaleFromZero, ...times }] of Object.entries(rules)) {
    const own = Object.fromEntries(Object.entries(times).filter(([, value]) => value !== undefined));
    byModel.set(model, {
      limits: { ...base.limits, ...own },
      maxQueueMs: maxQueueMs ?? base.maxQueueMs,
      scaleFromZero: scaleFromZero ?? base.scaleFromZero,
    });
  }
  return (model) => byModel.get(model) ?? base;
}

/** Times of an answer as configured; a model may have its own. */
export function relayLimits(config: RouterConfig): RelayLimits {
  return {
    firstTokenMs: config.TOLLGATE_FIRST_TOKEN_TIMEOUT_MS,
    idleMs: config.TOLLGATE_IDLE_TIMEOUT_MS,
    plainMs: config.TOLLGATE_PLAIN_TIMEOUT_MS,
    totalMs: config.TOLLGATE_TOTAL_TIMEOUT_MS,
    earlyAnswerMs: config.TOLLGATE_EARLY_ANSWER_MS,
    pingMs: config.TOLLGATE_PING_MS,
    slowReaderMs: config.TOLLGATE_SLOW_READER_MS,
    clientBufferBytes: config.TOLLGATE_CLIENT_BUFFER_BYTES,
    plainAnswerBytes: 64 * 1024 * 1024,
  };
}
