/**
 * Words that every console endpoint shares. The schemas of this folder are the one source of the admin API: the console
 * validates with them, `/openapi.json` is generated from them, and browsers may import them (nothing here touches Node).
 * Money leaves as decimal strings of nano-USD (`*Nusd`) and enters as decimal USD (`*Usd`); times are ISO 8601 in UTC.
 */
import { z } from 'zod';
import { ERRORS } from '../../domain/errors.ts';
import { usdToNusd } from '../../domain/money.ts';

/** Largest amount in one operation: 9,000,000 USD, so that every number that reaches a Redis script is below 2^53. */
export const MAX_USD = 9_000_000n;
const MAX_NUSD = MAX_USD * 1_000_000_000n;

/** Text that Postgres, logs and terminals can hold: no control characters (a NUL is an error there), no lone surrogates. */
export const plainText = (maxLength: number) =>
  z
    .string()
    .min(1)
    .max(maxLength)
    .refine((text) => !/\p{Cc}/u.test(text) && !/\p{Cs}/u.test(text), { message: 'must not hold control characters' });

export const nusd = z
  .string()
  .regex(/^-?\d{1,30}$/)
  .meta({ id: 'Nusd', description: 'Nano-USD (1 USD = 1,000,000,000) as a decimal string.', example: '1500000000' });

function usdAmount(minNusd: bigint) {
  return z.union([z.string().max(40), z.number()]).transform((value, context): bigint => {
    let amount: bigint;
    try {
      amount = usdToNusd(String(value));
    } catch {
      context.addIssue({
        code: 'custom',
        message: 'must be an amount in USD with at most 9 decimals, such as "12.50"',
      });
      return z.NEVER;
    }
    if (amount < minNusd || amount > MAX_NUSD) {
      const low = minNusd < 0n ? `-${MAX_USD}` : minNusd === 0n ? '0' : 'more than 0';
      context.addIssue({ code: 'custom', message: `must be from ${low} to ${MAX_USD} USD` });
      return z.NEVER;
    }
    return amount;
  });
}

/** A decimal amount in USD, >= 0; parsed to nano-USD. Strings are exact; numbers are read by their shortest decimal form. */
export const usd = usdAmount(0n).meta({ description: 'USD, at most 9 decimals, 0 or more.', example: '12.50' });
/** The same, negative allowed. */
export const signedUsd = usdAmount(-MAX_NUSD).meta({
  description: 'USD, at most 9 decimals; negative takes credit away.',
  example: '-3.25',
});

export const isoTime = z.iso
  .datetime({ offset: true })
  .meta({ description: 'ISO 8601 time.', example: '2026-11-21T09:30:00.000Z' });

/** A time as input: parsed to milliseconds since 1970. */
export const timeInput = z.iso.datetime({ offset: true }).transform((text, context): number => {
  const ms = Date.parse(text);
  // Postgres and Date agree on this range; years such as 0000 parse in one and not in the other.
  if (!Number.isFinite(ms) || ms < 0 || ms > 4_102_444_800_000) {
    context.addIssue({ code: 'custom', message: 'must be a time between 1970 and 2100' });
    return z.NEVER;
  }
  return ms;
});

const idOf = <P extends string>(prefix: P, example: string) =>
  z.templateLiteral([`${prefix}_`, z.string().regex(/^[0-9A-Za-z]{1,40}$/)]).meta({ example });

export const accountId = idOf('acct', 'acct_3nQvT0dYp2KxWmB8sLhA');
export const keyId = idOf('key', 'key_7RfUj1oZc5NbEy4tVgXq');
export const requestId = z.string().meta({ example: 'req_9WsDk6iMa0PxHz3vCuLe' });
export const transactionId = z.string().meta({ example: 'txn_2JgYr8eQb4TnFx7mKwOd' });
export const priceId = z.string().meta({ example: 'price_5LhVt1aSc9ReGp6yNiUz' });

/** Model ids may hold slashes (`Qwen/Qwen3-30B-A3B-FP8`); what would make an address ambiguous is refused. */
export const modelId = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[0-9A-Za-z][0-9A-Za-z._:@+-]*(\/[0-9A-Za-z][0-9A-Za-z._:@+-]*){0,4}$/, 'must be a model id such as org/name')
  .refine((text) => !text.endsWith('/prices'), { message: 'must not end in /prices' })
  .meta({ example: 'Qwen/Qwen3-30B-A3B-FP8' });

const limit = (max: number, description: string) => z.int().min(1).max(max).nullable().optional().meta({ description });

/** Limits as input: null lifts a limit, absent leaves it as it is (or without limit on create). */
export const limitsInput = {
  rpm: limit(10_000_000, 'Requests per minute; null = no limit.'),
  tpm: limit(1_000_000_000, 'Tokens per minute; null = no limit.'),
  concurrency: limit(1_000_000, 'Requests running at the same time; null = no limit.'),
};

export const limits = z
  .object({
    rpm: z.int().nullable(),
    tpm: z.int().nullable(),
    concurrency: z.int().nullable(),
  })
  .meta({ id: 'Limits' });
export type LimitsView = z.infer<typeof limits>;

/** `?limit&cursor` of every list. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(1).max(1000))
    .optional()
    .meta({ description: 'Rows per page, 1 to 1000; 50 when absent.', type: 'integer', minimum: 1, maximum: 1000 }),
  cursor: z.string().min(1).max(500).optional().meta({ description: '`next` of the page before.' }),
};
export const PAGE_LIMIT_DEFAULT = 50;

/** `{data, next}`: pages are stable under inserts; `next` is null on the last page. */
export function page<T extends z.ZodType>(id: string, item: T) {
  return z
    .object({ data: z.array(item), next: z.string().nullable().meta({ description: 'Cursor of the next page.' }) })
    .meta({ id });
}

export interface Page<T> {
  data: T[];
  next: string | null;
}

/** An optional header that makes a repeated POST give the first one's answer. */
export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
  .meta({ description: 'Repeats with the same value within 24 h get the first answer; nothing is done twice.' });

export const errorBody = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable().meta({ description: 'Path of the field at fault, such as `limits.rpm`.' }),
      code: z.enum(Object.keys(ERRORS) as [string, ...string[]]),
      metadata: z.record(z.string(), z.unknown()).optional(),
    }),
  })
  .meta({ id: 'Error' });
export type ErrorBody = z.infer<typeof errorBody>;
