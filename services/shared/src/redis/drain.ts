import type { RouterId } from '../domain/ids.ts';
import type { KeyRecord } from '../domain/key.ts';
import { LIMIT_SCOPES, NO_LIMITS } from '../domain/limits.ts';
import { decodeLimitStates, rateArgs } from './admit.ts';
import { bucketKeys } from './keys.ts';
import { bucketFor, call, capFields, type MoneyContext, scopeKeys } from './money-context.ts';
import type { Confirmation, DrainRead, LimitsPeek, OutboxEntry } from './money-types.ts';

/** The oldest `count` records. On a replica: none. */
export async function drainRead(context: MoneyContext, bucket: number, count: number): Promise<DrainRead> {
  const keys = bucketKeys(bucket);
  const [role, history, outbox, length, rows] = (await call(
    context,
    'drain_read',
    [keys.state, keys.outbox],
    [count],
  )) as [string, string, string | null, number, [string, string[]][]];
  // Without an outbox id there was no settlement here: nothing that could be confirmed.
  const readable = role === 'master' && outbox !== null;
  return { history: `${history}:${outbox ?? ''}`, length, entries: readable ? rows.map(decodeEntry) : [] };
}

function decodeEntry([id, fields]: [string, string[]]): OutboxEntry {
  const value = (name: string) => {
    const at = fields.indexOf(name);
    return at < 0 ? '' : (fields[at + 1] ?? '');
  };
  return { id, text: value('r'), routerId: value('w') };
}

/**
 * Call after the commit, with exactly what `drainRead` gave or the first part of it: a confirmation covers all older
 * records of its router.
 */
export async function drainAck(
  context: MoneyContext,
  bucket: number,
  history: string,
  entries: readonly OutboxEntry[],
): Promise<'acked' | 'history_changed'> {
  const keys = bucketKeys(bucket);
  const newest = new Map<RouterId, string>();
  for (const entry of entries) newest.set(entry.routerId, entry.id);
  const split = history.lastIndexOf(':');
  return (await call(
    context,
    'drain_ack',
    [keys.state, keys.outbox, keys.confirm],
    [
      history.slice(0, split),
      history.slice(split + 1),
      newest.size,
      ...[...newest].flatMap(([routerId, id]) => [routerId, id, `${history}|${id}`]),
      ...entries.map((entry) => entry.id),
    ],
  )) as 'acked' | 'history_changed';
}

/** Per bucket the newest record of this router that Postgres holds; buckets without one are absent. */
export async function readConfirmations(
  context: MoneyContext,
  routerId: RouterId,
  buckets: readonly number[],
): Promise<Map<number, Confirmation>> {
  const texts = await Promise.all(
    buckets.map((bucket) => context.guard(() => context.client.hget(bucketKeys(bucket).confirm, routerId))),
  );
  const confirmations = new Map<number, Confirmation>();
  texts.forEach((text, index) => {
    const split = text?.lastIndexOf('|') ?? -1;
    if (text && split >= 0) {
      confirmations.set(buckets[index]!, { history: text.slice(0, split), streamId: text.slice(split + 1) });
    }
  });
  return confirmations;
}

/** Negative, 0 or positive, as stream id `a` is older than, equal to or newer than `b`. Never compare them as text. */
export function compareStreamIds(a: string, b: string): number {
  const [aMs, aSeq] = a.split('-').map(BigInt) as [bigint, bigint];
  const [bMs, bSeq] = b.split('-').map(BigInt) as [bigint, bigint];
  const difference = aMs === bMs ? aSeq - bSeq : aMs - bMs;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export async function peekLimits(context: MoneyContext, record: KeyRecord, model: string): Promise<LimitsPeek> {
  const bucket = bucketFor(context, record.accountId);
  const scopes = scopeKeys(bucket, record.keyId, record.accountId, model);
  const limits = [record.limits, record.accountLimits, record.modelLimits[model] ?? NO_LIMITS];
  const reply = (await call(
    context,
    'peek',
    [bucketKeys(bucket).lease(record.accountId), ...scopes.limits, ...scopes.live],
    [...capFields(record.keyId), ...limits.flatMap(rateArgs)],
  )) as unknown[];
  const live = Object.fromEntries(LIMIT_SCOPES.map((scope, index) => [scope, reply[6 + index]])) as LimitsPeek['live'];
  const used = (at: number) => (typeof reply[at] === 'string' ? BigInt(reply[at]) : null);
  return { limits: decodeLimitStates(reply, 0), live, usedDayNusd: used(9), usedMonthNusd: used(10) };
}
