import { z } from 'zod';
import { isoTime, modelId, nusd, page, pageQuery, priceId, timeInput, usd } from './common.ts';

const MAX_PRICE_NUSD = 100_000n * 1_000_000_000n;
const unitPrice = usd
  .refine((amount) => amount <= MAX_PRICE_NUSD, { message: 'must be at most 100000 USD per 1,000,000 tokens' })
  .meta({ description: 'USD per 1,000,000 tokens.', example: '0.15' });

/** Prices as input. A cached input token is never dearer than a fresh one (MONEY.md 2.3). */
export const priceInput = z
  .strictObject({
    inputUsd: unitPrice,
    cachedInputUsd: unitPrice.optional().meta({ description: 'The input price when absent.' }),
    outputUsd: unitPrice,
    validFrom: timeInput.optional().meta({ description: 'Now when absent; never in the past.', format: 'date-time' }),
  })
  .refine((value) => value.cachedInputUsd === undefined || value.cachedInputUsd <= value.inputUsd, {
    path: ['cachedInputUsd'],
    message: 'must not be above inputUsd',
  })
  .meta({ id: 'PriceInput' });
export type PriceInput = z.output<typeof priceInput>;

export const price = z
  .object({
    priceId,
    model: z.string(),
    inputNusd: nusd.meta({ description: 'Nano-USD per 1,000,000 tokens.' }),
    cachedInputNusd: nusd,
    outputNusd: nusd,
    validFrom: isoTime,
  })
  .meta({ id: 'Price' });
export type PriceView = z.infer<typeof price>;

export const model = z
  .object({
    id: z.string(),
    ownedBy: z.string(),
    maxModelLen: z.int(),
    defaultMaxTokens: z.int().nullable(),
    templateTokens: z.int(),
    templateTokensPerMessage: z.int(),
    enabled: z.boolean(),
    createdAt: isoTime,
    price: price.nullable().meta({ description: 'The price in force now.' }),
  })
  .meta({ id: 'Model' });
export type ModelView = z.infer<typeof model>;

const tokens = (min: number, max: number) => z.int().min(min).max(max);
const settings = {
  ownedBy: z
    .string()
    .regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$/)
    .optional(),
  defaultMaxTokens: tokens(1, 10_000_000)
    .nullable()
    .optional()
    .meta({ description: 'Output limit when the client asks for none; null = the rest of the context.' }),
  templateTokens: tokens(0, 10_000).optional().meta({ description: 'Tokens that the chat template adds per request.' }),
  templateTokensPerMessage: tokens(0, 10_000).optional(),
  enabled: z.boolean().optional(),
};

export const createModel = z
  .strictObject({
    id: modelId,
    maxModelLen: tokens(1, 10_000_000).meta({ description: 'Context length its workers are started with.' }),
    ...settings,
    price: priceInput,
  })
  .meta({ id: 'CreateModel' });
export type CreateModel = z.output<typeof createModel>;

export const patchModel = z
  .strictObject({ maxModelLen: tokens(1, 10_000_000).optional(), ...settings })
  .meta({ id: 'PatchModel' });
export type PatchModel = z.output<typeof patchModel>;

export const listModelsQuery = z.strictObject(pageQuery);
export const modelPage = page('ModelPage', model);
export const listPricesQuery = z.strictObject(pageQuery);
export const pricePage = page('PricePage', price);
export const modelParams = z.strictObject({ id: modelId });
