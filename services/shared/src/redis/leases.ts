import type { AccountId } from '../domain/ids.ts';
import { MAX_LEASE_NUSD } from '../domain/money.ts';
import { bucketKeys, channels } from './keys.ts';
import { bucketFor, call, capFields, decodeLease, type MoneyContext, moneyArg } from './money-context.ts';
import type {
  CloseResult,
  EraRead,
  ExtendInput,
  GrantInput,
  GrantResult,
  LeaseRead,
  ReclaimInput,
  ReclaimResult,
} from './money-types.ts';

/** How long verdicts older than a credit are refused: longer than any keeper's call can be under way. */
const VERDICT_FLOOR_MS = 600_000;

export async function grant(context: MoneyContext, input: GrantInput): Promise<GrantResult> {
  const keys = bucketKeys(bucketFor(context, input.accountId));
  const [how, lease] = (await call(
    context,
    'grant',
    [keys.state, keys.lease(input.accountId), keys.need],
    [
      input.accountId,
      input.leaseId,
      moneyArg(input.seq),
      input.history,
      input.era,
      moneyArg(input.grantedNusd),
      input.expMs,
      input.create ? 1 : 0,
      input.notAfterMs,
      `made:${input.accountId}`,
      channels.answer,
      ...input.caps.flatMap((cap) => {
        const [dayField, dayDate, monthField, monthDate] = capFields(cap.keyId);
        return [
          dayField,
          moneyArg(cap.dayNusd),
          dayDate,
          cap.day,
          monthField,
          moneyArg(cap.monthNusd),
          monthDate,
          cap.month,
        ];
      }),
    ],
  )) as [GrantResult['how'], unknown];
  return { how, lease: decodeLease(lease) };
}

export async function extend(context: MoneyContext, input: ExtendInput): Promise<'extended' | 'stale'> {
  return (await call(
    context,
    'extend',
    [leaseKey(context, input.accountId)],
    [input.leaseId, input.history, input.expMs],
  )) as 'extended' | 'stale';
}

export async function reclaim(context: MoneyContext, input: ReclaimInput): Promise<ReclaimResult> {
  const [how, lease] = (await call(
    context,
    'reclaim',
    [leaseKey(context, input.accountId)],
    [input.leaseId, input.history, moneyArg(input.returnedNusd)],
  )) as [ReclaimResult['how'], unknown];
  return { how, lease: decodeLease(lease) };
}

export async function closeLease(
  context: MoneyContext,
  input: Omit<ReclaimInput, 'returnedNusd'>,
): Promise<CloseResult> {
  const [how, lease] = (await call(
    context,
    'close_lease',
    [leaseKey(context, input.accountId)],
    [input.leaseId, input.history],
  )) as [CloseResult['how'], unknown];
  return { how, lease: decodeLease(lease) };
}

export async function discardLease(
  context: MoneyContext,
  input: { accountId: AccountId; leaseId: string },
): Promise<'discarded' | 'absent'> {
  return (await call(context, 'discard_lease', [leaseKey(context, input.accountId)], [input.leaseId])) as
    | 'discarded'
    | 'absent';
}

export async function readLease(context: MoneyContext, accountId: AccountId): Promise<LeaseRead> {
  const keys = bucketKeys(bucketFor(context, accountId));
  const reply = (await call(context, 'read_lease', [keys.state, keys.lease(accountId)], [])) as unknown[];
  return {
    role: reply[0] as LeaseRead['role'],
    history: reply[1] as string,
    nowMs: reply[2] as number,
    era: (reply[3] as string | null) ?? null,
    lease: decodeLease(reply[4]),
  };
}

export async function ensureEra(context: MoneyContext, bucket: number, freshEra: string): Promise<EraRead> {
  const reply = (await call(context, 'ensure_era', [bucketKeys(bucket).state], [freshEra])) as unknown[];
  if (reply[4] !== 'master' || typeof reply[0] !== 'string') throw new Error('READONLY this Redis is not a master');
  return { era: reply[0], created: reply[1] === 1, history: reply[2] as string, nowMs: reply[3] as number };
}

export async function setVerdict(
  context: MoneyContext,
  input: { accountId: AccountId; version: bigint; text: string; ttlMs: number },
): Promise<boolean> {
  const keys = bucketKeys(bucketFor(context, input.accountId));
  const args = [moneyArg(input.version), input.text, input.ttlMs, input.accountId, channels.answer];
  return (await call(context, 'set_verdict', [keys.verdict(input.accountId)], args)) === 1;
}

export async function clearVerdict(context: MoneyContext, accountId: AccountId, minVersion: bigint): Promise<void> {
  const keys = bucketKeys(bucketFor(context, accountId));
  const args = [moneyArg(minVersion), VERDICT_FLOOR_MS, accountId, channels.answer];
  await call(context, 'clear_verdict', [keys.verdict(accountId)], args);
}

export async function takeNeeds(context: MoneyContext, bucket: number): Promise<Map<AccountId, bigint>> {
  const reply = (await call(context, 'take_needs', [bucketKeys(bucket).need], [])) as string[];
  const needs = new Map<AccountId, bigint>();
  for (let at = 0; at + 1 < reply.length; at += 2) {
    const asked = BigInt(reply[at + 1]!);
    // No lease covers more; the router lowers such a request by itself.
    needs.set(reply[at] as AccountId, asked > MAX_LEASE_NUSD ? MAX_LEASE_NUSD : asked);
  }
  return needs;
}

export async function setFull(context: MoneyContext, bucket: number, full: boolean): Promise<void> {
  await call(context, 'set_full', [bucketKeys(bucket).state], [full ? 1 : 0]);
}

function leaseKey(context: MoneyContext, accountId: AccountId): string {
  return bucketKeys(bucketFor(context, accountId)).lease(accountId);
}
