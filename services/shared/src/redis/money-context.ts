import type { LeaseId } from '../domain/ids.ts';
import { bucketKeys, bucketOf, scopeNames } from './keys.ts';
import { type LeaseView, MAX_SCRIPT_INTEGER } from './money-types.ts';
import { type LuaScript, runScript, type ScriptClient } from './script-loader.ts';

/** What the money scripts need of a Redis client; ioredis's `Redis` and `Cluster` have it. */
export interface MoneyClient extends ScriptClient {
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  hget(key: string, field: string): Promise<string | null>;
}

/** Puts a deadline, a breaker or a fault around one call. */
export type CallGuard = <T>(call: () => Promise<T>) => Promise<T>;

export interface MoneyContext {
  client: MoneyClient;
  bucketCount: number;
  guard: CallGuard;
  script(name: string): LuaScript;
  /** See `placesOf`. */
  places: Map<string, Places>;
  /** Text never used before, for the id of an outbox that has to be begun. */
  freshText(): string;
}

export function bucketFor(context: MoneyContext, accountId: string): number {
  return bucketOf(accountId, context.bucketCount);
}

export function call(
  context: MoneyContext,
  name: string,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  return context.guard(() => runScript(context.client, context.script(name), keys, args));
}

/** Names of the key's counters in the lease hash: spent on a day, that day, spent in a month, that month. */
export function capFields(keyId: string): [string, string, string, string] {
  return [`cd:${keyId}`, `cdd:${keyId}`, `cm:${keyId}`, `cmm:${keyId}`];
}

export function scopeKeys(bucket: number, keyId: string, accountId: string, model: string) {
  const keys = bucketKeys(bucket);
  const scopes = scopeNames(keyId, accountId, model);
  return { limits: scopes.map(keys.limit), live: scopes.map(keys.live) };
}

type Places = {
  keys: ReturnType<typeof bucketKeys>;
  lease: string;
  verdict: string;
  limits: string[];
  live: string[];
};

const MAX_PLACES = 20_000;

/** The keys that requests of one API key for one model touch: their names are made once, not with every call. */
export function placesOf(
  context: MoneyContext,
  { accountId, keyId, model }: { accountId: string; keyId: string; model: string },
): Places {
  const name = `${accountId} ${keyId} ${model}`;
  let places = context.places.get(name);
  if (places === undefined) {
    const bucket = bucketFor(context, accountId);
    const keys = bucketKeys(bucket);
    places = {
      keys,
      lease: keys.lease(accountId),
      verdict: keys.verdict(accountId),
      ...scopeKeys(bucket, keyId, accountId, model),
    };
    if (context.places.size >= MAX_PLACES) context.places.clear();
    context.places.set(name, places);
  }
  return places;
}

/** Money as script argument. Throws RangeError when Lua could not count it exactly. */
export function moneyArg(amount: bigint): string {
  if (amount < 0n || amount > MAX_SCRIPT_INTEGER) throw new RangeError('amount outside what a script can count');
  return amount.toString();
}

const LEASE_FIELDS = 9;

/** The answer of `lease_view` in Lua. */
export function decodeLease(reply: unknown): LeaseView | null {
  if (!Array.isArray(reply) || reply.length < LEASE_FIELDS) return null;
  const f = reply as string[];
  return {
    leaseId: f[0] as LeaseId,
    seq: BigInt(f[1]!),
    history: f[2]!,
    expMs: Number(f[3]),
    grantedNusd: BigInt(f[4]!),
    freeNusd: BigInt(f[5]!),
    heldNusd: BigInt(f[6]!),
    spentNusd: BigInt(f[7]!),
    returnedNusd: BigInt(f[8]!),
  };
}
