/**
 * Bodies that an account has kept, on their way from the router to metering (`POST /internal/bodies`). What was said is
 * in `sealed` alone; the rest says whose it is and how large it was.
 */
import { z } from 'zod';

/** Defaults of what is kept: of each body, and of one account in all (sealed). */
export const KEPT_BODY_BYTES = 262_144;
export const KEPT_ACCOUNT_BYTES = 2_147_483_648;

export const KEPT_BODIES_PATH = '/internal/bodies';
/** Of one call. */
export const KEPT_BODIES_MOST = 200;
/** Of one call's JSON. */
export const KEPT_BODIES_BYTES = 16 * 1024 * 1024;

const id = (prefix: string) => z.string().regex(new RegExp(`^${prefix}_[0-9A-Za-z]{1,40}$`));

export const keptBodySchema = z.strictObject({
  requestId: id('req'),
  accountId: id('acct'),
  keyId: id('key'),
  /** ms since 1970, by the router's clock. */
  admittedAtMs: z.int().min(0).max(4_102_444_800_000),
  /** Base64 of `runtime/body-box.ts`. */
  sealed: z.base64().min(1),
  requestBytes: z.int().min(0),
  answerBytes: z.int().min(0),
  requestTruncated: z.boolean(),
  answerTruncated: z.boolean(),
});
export type KeptBody = z.infer<typeof keptBodySchema>;
export const keptBodiesSchema = z.strictObject({ bodies: z.array(keptBodySchema).max(KEPT_BODIES_MOST) });
