/** Builds repeats from the router's configuration. */
import type { RedisClient } from '@tollgate/shared/redis/client';
import type { CallGuard } from '@tollgate/shared/redis/money-context';
import { RepeatStore } from '@tollgate/shared/redis/repeat-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { RouterConfig } from '../config.ts';
import { RECORDING_DEFAULTS } from './recording.ts';
import { createRepeats, type Repeats } from './repeats.ts';
import { createSeal } from './seal.ts';

/** A recorded request gives a sign of life every second; silent for so long, its router is taken for dead. */
const STALE_MS = 5_000;
/** A tombstone of a settled request lives 10 min: later nobody can tell whether it ran. */
const LOST_MS = 480_000;
const POLL_MS = 50;

export interface RepeatsWorld {
  redis: RedisClient;
  guard: CallGuard;
  random: Random;
  clock: Clock;
  routerId: string;
}

export function startRepeats(config: RouterConfig, { redis, guard, random, clock, routerId }: RepeatsWorld): Repeats {
  const limits = {
    ttlMs: config.TOLLGATE_REPEAT_TTL_MS,
    staleAfterMs: STALE_MS,
    // And before the hold can have been reaped (H).
    lostAfterMs: Math.min(LOST_MS, config.TOLLGATE_HOLD_LOST_MS * 0.8),
    bytesPerAnswer: config.TOLLGATE_REPEAT_ANSWER_BYTES,
    bytesPerAccount: config.TOLLGATE_REPEAT_ACCOUNT_BYTES,
  };
  return createRepeats({
    store: new RepeatStore(redis, config.TOLLGATE_BUCKETS, limits, guard),
    seal: createSeal(config.TOLLGATE_KEY_PEPPER, random),
    clock,
    recording: RECORDING_DEFAULTS,
    routerId,
    pollMs: POLL_MS,
    staleAfterMs: STALE_MS,
    slowReaderMs: config.TOLLGATE_SLOW_READER_MS,
  });
}
