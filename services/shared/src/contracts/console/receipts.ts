import { z } from 'zod';
import { invoice } from '../receipt.ts';

export const receiptsQuery = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional()
    .describe('Place in the chain of the last receipt you have; 0 when absent.'),
  limit: z.coerce.number().int().min(1).max(1_000).default(200),
});
export const receiptsPage = z.object({
  data: z.array(z.object({ seq: z.string(), requestId: z.string(), jws: z.string() })),
  next: z.string().nullable(),
});
export type ReceiptsPage = z.output<typeof receiptsPage>;

export const invoiceQuery = z.strictObject({
  month: z
    .string()
    .regex(/^20\d{2}-(0[1-9]|1[0-2])$/)
    .describe('YYYY-MM, UTC'),
});
export const invoiceView = invoice;
