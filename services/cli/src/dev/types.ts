import type { Environment, ListenAddress } from '@tollgate/shared/runtime/config';

/** What a local start was asked for, from options and environment. */
export interface DevOptions {
  env: Environment;
  router: ListenAddress;
  console: ListenAddress;
  /** Null: the usual port, or any free one. */
  metrics: ListenAddress | null;
  /** Free ports everywhere instead of the usual ones, so that several local starts fit on one machine. */
  anyPort: boolean;
  /** Null: start our own. */
  redisUrl: string | null;
  databaseUrl: string | null;
  /** How many devworkers. */
  workers: number;
  speed: number;
  reset: boolean;
  /** Empties the home folder; called once nothing runs in it any more. */
  wipe(): void;
}
