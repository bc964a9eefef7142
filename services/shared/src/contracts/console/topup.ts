/** Paying in: checkout, auto-recharge, redemption codes. */
import { z } from 'zod';
import { accountId, isoTime, nusd, page, pageQuery, plainText, timeInput, usd } from './common.ts';

export const PAYMENT_STATES = ['open', 'paid', 'failed', 'expired', 'refunded', 'disputed'] as const;

const wholeCents = usd.refine((amount) => amount % 10_000_000n === 0n, { message: 'must be whole cents' });

export const topup = z
  .object({
    card: z.boolean().meta({ description: 'Whether paying by card is set up here.' }),
    currency: z.literal('usd'),
    minNusd: nusd,
    maxNusd: nusd,
    presetsNusd: z.array(nusd),
    autoRecharge: z.object({
      enabled: z.boolean(),
      thresholdNusd: nusd.nullable(),
      amountNusd: nusd.nullable(),
      paymentMethod: z.object({ brand: z.string(), last4: z.string() }).nullable().meta({
        description: 'Saved by the first checkout; auto-recharge needs it.',
      }),
      failure: z
        .string()
        .nullable()
        .meta({ description: 'Why the last charge failed; auto-recharge rests until saved again.' }),
    }),
  })
  .meta({ id: 'Topup' });
export type TopupView = z.infer<typeof topup>;

export const checkout = z
  .strictObject({
    usd: wholeCents.meta({ description: 'USD, whole cents, from 5 to 10000 unless the operator says else.' }),
  })
  .meta({ id: 'Checkout' });
export type Checkout = z.output<typeof checkout>;
export const checkoutStarted = z
  .object({
    paymentId: z.string(),
    url: z.string().meta({ description: 'Send the browser there; it returns to /credits?payment=<id>.' }),
  })
  .meta({ id: 'CheckoutStarted' });
export type CheckoutStarted = z.infer<typeof checkoutStarted>;

export const autoRecharge = z
  .strictObject({
    enabled: z.boolean(),
    thresholdUsd: wholeCents.optional(),
    amountUsd: wholeCents.optional(),
  })
  .meta({ id: 'AutoRecharge' });
export type AutoRecharge = z.output<typeof autoRecharge>;

export const payment = z
  .object({
    paymentId: z.string(),
    kind: z.enum(['checkout', 'auto_recharge']),
    state: z.enum(PAYMENT_STATES),
    amountNusd: nusd,
    refundedNusd: nusd,
    createdAt: isoTime,
    updatedAt: isoTime,
    receiptUrl: z.string().nullable(),
    transactionId: z.string().nullable(),
  })
  .meta({ id: 'Payment' });
export type PaymentView = z.infer<typeof payment>;
export const paymentPage = page('PaymentPage', payment);
export const paymentParams = z.strictObject({ id: accountId, paymentId: z.string().regex(/^pay_[0-9A-Za-z]{1,40}$/) });

export const redeem = z.strictObject({ code: z.string().min(4).max(64) }).meta({ id: 'Redeem' });
export type Redeem = z.output<typeof redeem>;
export const redeemed = z
  .object({ amountNusd: nusd, transactionId: z.string(), repeated: z.boolean() })
  .meta({ id: 'Redeemed' });
export type Redeemed = z.infer<typeof redeemed>;

export const createCode = z
  .strictObject({
    usd,
    uses: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .meta({ description: 'How many organisations may redeem it; 1 when absent.' }),
    expiresAt: timeInput.nullable().optional().meta({ format: 'date-time' }),
    note: plainText(200).optional(),
  })
  .meta({ id: 'CreateRedemptionCode' });
export type CreateCode = z.output<typeof createCode>;
export const redemptionCode = z
  .object({
    codeId: z.string(),
    last4: z.string(),
    amountNusd: nusd,
    uses: z.int(),
    used: z.int(),
    note: z.string().nullable(),
    createdAt: isoTime,
    expiresAt: isoTime.nullable(),
    disabledAt: isoTime.nullable(),
  })
  .meta({ id: 'RedemptionCode' });
export type RedemptionCodeView = z.infer<typeof redemptionCode>;
export const createdCode = redemptionCode
  .extend({ code: z.string().meta({ description: 'Shown this once.' }) })
  .meta({ id: 'CreatedRedemptionCode' });
export type CreatedCodeView = z.infer<typeof createdCode>;
export const redemptionCodePage = page('RedemptionCodePage', redemptionCode);
export const codeParams = z.strictObject({ id: z.string().regex(/^code_[0-9A-Za-z]{1,40}$/) });
export const paymentsQuery = z.strictObject(pageQuery);
