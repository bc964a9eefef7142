/**
 * An acting key: what a service of Tollgate shows the router to work for an account (retrieval making embeddings). No
 * record of it exists anywhere: it says whom it acts for and until when, and an HMAC under the service token vouches for it.
 * It is good for embeddings alone unless it says otherwise (a batch's lines), bills the account and counts against the key's spend caps, and stands outside the
 * rate and concurrency limits: a grounded request would otherwise wait for itself.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type AccountId, isId, type KeyId } from '../domain/ids.ts';
import type { KeyRecord } from '../domain/key.ts';
import { NO_LIMITS, UNCOUNTED } from '../domain/limits.ts';

export const ACTING_PREFIX = 'tga_';
/** The only scope of an acting key. */
export const ACTING_SCOPE = 'embeddings';

export type ActingFor = Pick<
  KeyRecord,
  'accountId' | 'keyId' | 'projectId' | 'userId' | 'models' | 'allowGrammars' | 'capDayNusd' | 'capMonthNusd' | 'weight'
>;

/** What an acting key is good for, beyond embeddings at the full price. */
export interface ActingTerms {
  scopes?: readonly string[];
  /** Of the price, 1 to 100. */
  pricePercent?: number;
}

interface Payload extends ActingFor, ActingTerms {
  expMs: number;
}

export function mintActingKey(acting: ActingFor, expMs: number, secret: string, terms: ActingTerms = {}): string {
  const { accountId, keyId, projectId, userId, models, allowGrammars, capDayNusd, capMonthNusd, weight } = acting;
  const whom = { accountId, keyId, projectId, userId, models, allowGrammars, capDayNusd, capMonthNusd, weight };
  const payload: Payload = { ...whom, ...terms, expMs };
  const body = Buffer.from(JSON.stringify(payload)).toString('base64url');
  return `${ACTING_PREFIX}${body}.${sign(body, secret).toString('base64url')}`;
}

/** The record that the router works with; null for what is no acting key, is forged, or is over. */
export function readActingKey(text: string, secret: string, nowMs: number): KeyRecord | null {
  const match = /^tga_([\w-]{1,2000})\.([\w-]{43})$/.exec(text);
  if (match === null) return null;
  const told = Buffer.from(match[2]!, 'base64url');
  const right = sign(match[1]!, secret);
  if (told.length !== right.length || !timingSafeEqual(told, right)) return null;
  const payload = JSON.parse(Buffer.from(match[1]!, 'base64url').toString()) as Payload;
  if (!(payload.expMs > nowMs) || !isId('acct', payload.accountId) || !isId('key', payload.keyId)) return null;
  return {
    accountId: payload.accountId as AccountId,
    keyId: payload.keyId as KeyId,
    projectId: payload.projectId,
    userId: payload.userId,
    kind: 'service',
    // Retrieval's model of embeddings is the collection's, whatever the key may use itself.
    models: payload.scopes === undefined ? null : payload.models,
    scopes: payload.scopes ?? [ACTING_SCOPE],
    allowGrammars: payload.allowGrammars,
    limits: NO_LIMITS,
    accountLimits: { ...NO_LIMITS, concurrency: UNCOUNTED },
    modelLimits: {},
    capDayNusd: payload.capDayNusd,
    capMonthNusd: payload.capMonthNusd,
    expiresAtMs: payload.expMs,
    revokedAtMs: null,
    accountFrozen: false,
    weight: payload.weight,
    ...(payload.pricePercent === undefined ? {} : { pricePercent: payload.pricePercent }),
  };
}

const sign = (body: string, secret: string): Buffer =>
  createHmac('sha256', secret).update(`tollgate acting key, v1|${body}`).digest();
