import { crc32 } from '../domain/key.ts';

/**
 * Every key name in Redis. This file is the map of what is there (docs/internals.md says who writes what).
 *
 * Redis Cluster safe: an account hashes to one of `bucketCount` buckets and all keys that one script touches carry that
 * bucket's hash tag. The bucket count is stored in Postgres; another value in a configuration is a start-up error.
 */
export const BUCKET_COUNT_DEFAULT = 256;

export function bucketOf(accountId: string, bucketCount: number): number {
  return crc32(accountId) % bucketCount;
}

/** Names within one bucket. */
export const bucketKeys = (bucket: number) => {
  const tag = `tg:{b${bucket}}`;
  return {
    /** Hash: `era` (random; renewed when missing = the bucket was flushed), `full` (memory flag), `made:<accountId>`. */
    state: `${tag}:state`,
    /** Hash: the account's present lease. No TTL. */
    lease: (accountId: string) => `${tag}:lease:${accountId}`,
    /** Hash: one request's hold; after its end a tombstone with TTL. */
    hold: (requestId: string) => `${tag}:hold:${requestId}`,
    /** Sorted set: ids of live holds by admission time (ms). */
    holds: `${tag}:holds`,
    /** Hash: GCRA and token bucket of one scope. */
    limit: (scope: string) => `${tag}:limit:${scope}`,
    /** Set: ids of the live holds of one scope; its size is the scope's concurrency. */
    live: (scope: string) => `${tag}:live:${scope}`,
    /** Hash: accountId -> nano-USD that an admission lacked; the keeper's to-do list. */
    need: `${tag}:need`,
    /** Hash: the keeper's last answer for an account: `version`, `text`. */
    verdict: (accountId: string) => `${tag}:verdict:${accountId}`,
    /** Stream: usage records not yet in Postgres. */
    outbox: `${tag}:outbox`,
    /** Hash: routerId -> `history|streamId`, the newest record of that router that Postgres holds. */
    confirm: `${tag}:confirm`,
    /** Hash: what runs or ran under an Idempotency-Key (by its digest). TTL. */
    repeat: (digest: string) => `${tag}:repeat:${digest}`,
    /** List: the sealed parts of that answer. TTL. */
    repeatParts: (digest: string) => `${tag}:repeat-parts:${digest}`,
    /** Sorted set: digests of an account's kept answers by the time they expire (ms). TTL. */
    repeatIndex: (accountId: string) => `${tag}:repeat-index:${accountId}`,
    /** Hash: digest -> bytes kept, and `total`. TTL. */
    repeatSizes: (accountId: string) => `${tag}:repeat-sizes:${accountId}`,
  };
};

/** Limit scopes inside a bucket: the key, the account, the account's use of one model. */
export const scopeNames = (keyId: string, accountId: string, model: string): [string, string, string] => [
  keyId,
  accountId,
  `${accountId}:${model}`,
];

/**
 * Names outside buckets: what the control plane publishes to routers. Keys, catalogue and drains carry one hash tag with the
 * mark that they are complete: the node of a cluster that lost them has lost the mark too, and all is published again.
 */
export const globalKeys = {
  /** String (JSON KeyRecord) by the key's HMAC digest. */
  key: (digest: string) => `tg:{keys}:${digest}`,
  /** String: the history into which all was published; missing = unknown keys are 503, not 401. */
  keysReady: 'tg:{keys}-ready',
  /** String: the history in which a publication began. TTL. */
  keysPublishing: (nonce: string) => `tg:{keys}-publishing:${nonce}`,
  /** String (JSON Catalog). */
  catalog: 'tg:{keys}-catalog',
  /** Hash: routerId -> JSON {atMs, workers: [...]}: each router's view of the fleet. */
  fleet: 'tg:fleet',
  /** Set: worker URLs that an operator is draining. */
  draining: 'tg:{keys}-draining',
  /** Hash: worker URL -> JSON registration {url, engine, models?, leaving?, atMs, ttlMs}; alive while atMs changes. */
  workers: 'tg:workers',
  /** Counter with TTL: attempts of one name (sign-in per e-mail digest and address). */
  throttle: (name: string) => `tg:throttle:${name}`,
  /** Stream: batches of refused requests (JSON lines) for the request log; bounded. */
  refusals: 'tg:refusals',
} as const;

/** Pub/sub channels: hints only; each has a slower path that works when messages are lost. */
export const channels = {
  /** Payload: digest of a key whose record changed. */
  keyChanged: 'tg:key-changed',
  catalogChanged: 'tg:catalog-changed',
  fleetChanged: 'tg:fleet-changed',
  /** Routers' bookkeeping for each other: `router/src/routing/replicas/protocol.ts`. */
  routers: 'tg:routers',
  /** Payload: accountId that needs a lease or a refill. */
  need: 'tg:need',
  /** Payload: accountId whose lease or verdict is new. */
  answer: 'tg:answer',
} as const;

/** Prefix of BullMQ's own keys. */
export const QUEUE_PREFIX = 'tg-queue';
