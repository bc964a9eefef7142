/** What `GET /v1/key` says of a key: its limits and caps, what is left of them, the credit that Redis knows of. */
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { RateLimits } from '@tollgate/shared/domain/limits';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';

export type KeyViewPort = Pick<MoneyScripts, 'peekLimits' | 'readLease'>;

/** Money is nano-USD in decimal strings. Nothing is charged and no SQL runs. */
export async function keyView(record: KeyRecord, port: KeyViewPort): Promise<unknown> {
  const [peek, { lease }] = await Promise.all([port.peekLimits(record, ''), port.readLease(record.accountId)]);
  return {
    object: 'key',
    id: record.keyId,
    account_id: record.accountId,
    kind: record.kind,
    models: record.models,
    expires_at: record.expiresAtMs === null ? null : new Date(record.expiresAtMs).toISOString(),
    limits: { key: limitsOf(record.limits), account: limitsOf(record.accountLimits) },
    remaining: { requests: peek.limits.requests, tokens: peek.limits.tokens },
    running: { key: peek.live.key, account: peek.live.account },
    caps: {
      day: capOf(record.capDayNusd, peek.usedDayNusd),
      month: capOf(record.capMonthNusd, peek.usedMonthNusd),
    },
    /** The part of the balance that stands ready in Redis; more is fetched as it is needed. null = none yet. */
    credit:
      lease === null
        ? null
        : {
            ready_nusd: String(lease.freeNusd),
            held_nusd: String(lease.heldNusd),
            spent_nusd: String(lease.spentNusd),
          },
  };
}

function limitsOf(limits: RateLimits) {
  return {
    requests_per_minute: limits.requestsPerMinute,
    tokens_per_minute: limits.tokensPerMinute,
    concurrency: limits.concurrency,
  };
}

function capOf(cap: string | null, used: bigint | null) {
  if (cap === null) return null;
  const left = BigInt(cap) - (used ?? 0n);
  return { limit_nusd: cap, used_nusd: String(used ?? 0n), remaining_nusd: String(left > 0n ? left : 0n) };
}
