import type { AccountId, KeyId } from '../domain/ids.ts';
import type { KeyRecord } from '../domain/key.ts';
import { NO_LIMITS } from '../domain/limits.ts';

/** A plain key without limits, caps or expiry; `change` is what the test is about. */
export function keyRecord(keyId: KeyId, accountId: AccountId, change: Partial<KeyRecord> = {}): KeyRecord {
  return {
    keyId,
    accountId,
    projectId: null,
    userId: null,
    kind: 'api',
    models: null,
    scopes: [],
    allowGrammars: false,
    limits: NO_LIMITS,
    accountLimits: NO_LIMITS,
    modelLimits: {},
    capDayNusd: null,
    capMonthNusd: null,
    expiresAtMs: null,
    revokedAtMs: null,
    accountFrozen: false,
    weight: 1,
    ...change,
  };
}
