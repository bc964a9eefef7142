import { z } from 'zod';
import { OUTCOMES } from '../../domain/outcome.ts';
import { isoTime, keyId, modelId, nusd, page, pageQuery, requestId, timeInput } from './common.ts';

/** One finished request as billed. */
export const usageLine = z
  .object({
    requestId,
    model: z.string(),
    outcome: z.enum(OUTCOMES),
    promptTokens: z.int(),
    cachedTokens: z.int(),
    completionTokens: z.int(),
    amountNusd: nusd,
    keyId: z.string(),
    state: z.enum(['estimated', 'final']).meta({ description: 'Estimated = billed from heartbeats of a lost router.' }),
    status: z.int().meta({ description: 'HTTP status that the client got.' }),
    finishReason: z.string().nullable(),
    stream: z.boolean(),
    admittedAt: isoTime,
    finishedAt: isoTime,
    queueMs: z.int().nullable(),
    firstTokenMs: z.int().nullable(),
    durationMs: z.int(),
  })
  .meta({ id: 'UsageLine' });
export type UsageLine = z.infer<typeof usageLine>;

const range = {
  from: timeInput.optional().meta({ format: 'date-time' }),
  to: timeInput.optional().meta({ format: 'date-time' }),
  model: modelId.optional(),
  keyId: keyId.optional(),
};

export const usageQuery = z.strictObject({ ...pageQuery, ...range });
export type UsageQuery = z.output<typeof usageQuery>;
export const usagePage = page('UsagePage', usageLine);

export const rollupLine = z
  .object({
    start: isoTime.meta({ description: 'Start of the hour or UTC day.' }),
    model: z.string(),
    keyId: z.string(),
    requests: z.int(),
    promptTokens: z.int(),
    cachedTokens: z.int(),
    completionTokens: z.int(),
    amountNusd: nusd,
  })
  .meta({ id: 'RollupLine' });
export type RollupLine = z.infer<typeof rollupLine>;

export const rollupQuery = z.strictObject({ ...pageQuery, ...range, by: z.enum(['hour', 'day']).optional() });
export type RollupQuery = z.output<typeof rollupQuery>;
export const rollupPage = page('RollupPage', rollupLine);
