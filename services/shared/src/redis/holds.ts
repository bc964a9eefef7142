import type { AccountId, KeyId, LeaseId, RequestId } from '../domain/ids.ts';
import { bucketKeys } from './keys.ts';
import { call, type MoneyContext, moneyArg, placesOf, scopeKeys } from './money-context.ts';
import {
  type Beat,
  type BeatResult,
  type HoldsRead,
  type HoldView,
  type ReapInput,
  type ReapResult,
  type SettleInput,
  type SettleResult,
  TOMBSTONE_MS,
  type VoidInput,
  type VoidResult,
} from './money-types.ts';

/** Beats per script call: a call stays well below a millisecond. */
const BEATS_PER_CALL = 64;

/** The KEYS of `settle` and of `reap`: whoever ends a hold with a bill touches the same things. */
function billingKeys(context: MoneyContext, input: SettleInput | ReapInput): string[] {
  const { keys, lease, limits, live } = placesOf(context, input);
  return [keys.state, lease, keys.hold(input.requestId), keys.holds, keys.outbox, ...limits, ...live];
}

export async function settle(context: MoneyContext, input: SettleInput): Promise<SettleResult> {
  const reply = (await call(context, 'settle', billingKeys(context, input), [
    input.requestId,
    input.routerId,
    input.leaseId,
    moneyArg(input.amountNusd),
    input.tokens,
    input.record,
    input.keyId,
    TOMBSTONE_MS,
    context.freshText(),
  ])) as [SettleResult['how'], string, string, string, number];
  return { how: reply[0], streamId: reply[1], history: `${reply[2]}:${reply[3]}`, confirmed: reply[4] === 1 };
}

export async function voidHold(context: MoneyContext, input: VoidInput): Promise<VoidResult> {
  const { keys, lease, limits, live } = placesOf(context, input);
  return (await call(
    context,
    'void',
    [lease, keys.hold(input.requestId), keys.holds, ...limits, ...live],
    [input.requestId, input.tokens, input.keyId, TOMBSTONE_MS],
  )) as VoidResult;
}

export async function reap(context: MoneyContext, input: ReapInput): Promise<ReapResult> {
  return (await call(context, 'reap', billingKeys(context, input), [
    input.requestId,
    input.routerId,
    input.leaseId,
    moneyArg(input.amountNusd),
    input.tokens,
    input.record ?? '',
    input.keyId,
    TOMBSTONE_MS,
    context.freshText(),
    input.history,
    input.expectedBeats,
  ])) as ReapResult;
}

/** All beats must belong to `bucket`. Answers in the same order. */
export async function heartbeat(context: MoneyContext, bucket: number, beats: readonly Beat[]): Promise<BeatResult[]> {
  const keys = bucketKeys(bucket);
  const calls: Promise<unknown>[] = [];
  for (let from = 0; from < beats.length; from += BEATS_PER_CALL) {
    const part = beats.slice(from, from + BEATS_PER_CALL);
    calls.push(
      call(
        context,
        'heartbeat',
        [
          keys.holds,
          ...part.flatMap((beat) => [
            keys.hold(beat.requestId),
            ...scopeKeys(bucket, beat.keyId, beat.accountId, beat.model).live,
          ]),
        ],
        part.flatMap((beat) => [
          beat.requestId,
          beat.accountId,
          beat.keyId,
          beat.model,
          beat.leaseId,
          beat.history,
          beat.admittedAtMs,
          moneyArg(beat.amountNusd),
          beat.intent,
          beat.progress,
        ]),
      ),
    );
  }
  return (await Promise.all(calls)).flat() as BeatResult[];
}

const HOLD_FIELDS = ['st', 'lease', 'hist', 'amt', 'at', 'beats', 're', 'acct', 'key', 'model', 'intent', 'progress'];

/** All live holds of a bucket, for the reaper. The history is read first: a change in between makes `reap` refuse. */
export async function readHolds(context: MoneyContext, bucket: number): Promise<HoldsRead> {
  const keys = bucketKeys(bucket);
  const reply = await call(context, 'read_holds', [keys.holds], []);
  const [history, nowMs, ids] = reply as [string, number, RequestId[]];
  const rows = await Promise.all(
    ids.map((id) => context.guard(() => context.client.hmget(keys.hold(id), ...HOLD_FIELDS))),
  );
  const holds: HoldView[] = [];
  const orphans: RequestId[] = [];
  ids.forEach((requestId, index) => {
    const row = rows[index]!;
    if (row[0] === 'held') holds.push(decodeHold(requestId, row));
    else if (row[0] === null) orphans.push(requestId);
  });
  return { history, nowMs, holds, orphans };
}

/** Takes ids whose hash is gone off the list of live holds. */
export async function dropOrphans(context: MoneyContext, bucket: number, ids: readonly RequestId[]): Promise<void> {
  const keys = bucketKeys(bucket);
  await Promise.all(ids.map((id) => call(context, 'drop_orphan', [keys.hold(id), keys.holds], [id])));
}

function decodeHold(requestId: RequestId, row: (string | null)[]): HoldView {
  return {
    requestId,
    leaseId: row[1] as LeaseId,
    history: row[2]!,
    amountNusd: BigInt(row[3]!),
    admittedAtMs: Number(row[4]),
    beats: Number(row[5]),
    recreated: row[6] !== null,
    accountId: row[7] as AccountId,
    keyId: row[8] as KeyId,
    model: row[9]!,
    intent: row[10] ?? null,
    progress: row[11] ?? null,
  };
}
