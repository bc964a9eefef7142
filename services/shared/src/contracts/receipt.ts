/**
 * What a receipt says, inside its signature. Compact JWS (RFC 7515), EdDSA over Ed25519 (RFC 8037); keys at
 * `/.well-known/jwks.json`. Money in decimal strings of nano-USD, times ISO 8601 UTC.
 */
import { z } from 'zod';

const nusd = z.string().regex(/^-?\d{1,19}$/);

export const RECEIPT_TYPE = 'tollgate-receipt+jws';

export const receiptPayload = z.object({
  v: z.literal(1),
  account: z.string(),
  /** Place in the account's chain: 1, 2, 3, ... */
  seq: z.string().regex(/^\d{1,19}$/),
  /** SHA-256 (base64url) of the receipt before, as its compact JWS; null for the first. */
  prev: z.string().nullable(),
  request: z.string(),
  /** A bill that was estimated and became final has two receipts; the one of the later revision counts. */
  revision: z.number().int(),
  state: z.enum(['estimated', 'final']),
  key: z.string(),
  /** SHA-256 (base64url) of the request body as it was received; null where nobody saw the whole of it. */
  requestDigest: z.string().nullable(),
  endpoint: z.string().nullable(),
  model: z.string(),
  /** Engine and version of the worker that answered, such as `vllm 0.32`. */
  engine: z.string().nullable(),
  outcome: z.string(),
  tokens: z.object({ prompt: z.number().int(), cached: z.number().int(), completion: z.number().int() }),
  /** The price book's entry; `percent` of it was charged. Prices per 1,000,000 tokens. */
  price: z.object({
    id: z.string(),
    percent: z.number().int(),
    input: nusd.nullable(),
    cachedInput: nusd.nullable(),
    output: nusd.nullable(),
  }),
  amountNusd: nusd,
  ledger: z.array(
    z.object({
      transaction: z.string(),
      kind: z.string(),
      entries: z.array(z.object({ bucket: z.string(), amountNusd: nusd })),
    }),
  ),
  admittedAt: z.string(),
  finishedAt: z.string(),
});
export type ReceiptPayload = z.output<typeof receiptPayload>;

/** A month as it was billed, from the ledger: what the receipts of that month must add up to. */
export const invoice = z.object({
  account: z.string(),
  /** `YYYY-MM`, UTC, by the end of the request. */
  month: z.string().regex(/^\d{4}-\d{2}$/),
  totalNusd: nusd,
  requests: z.string(),
  models: z.array(z.object({ model: z.string(), requests: z.string(), amountNusd: nusd })),
});
export type Invoice = z.output<typeof invoice>;
