/** What starts a router, and what a started one is to those who started it. */
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { RouterConfig } from './config.ts';

export interface RouterOptions {
  config: RouterConfig;
  logger: Logger;
  version?: string;
  clock?: Clock;
  random?: Random;
  /** Where stop steps go; a lifecycle of its own when absent. */
  lifecycle?: Lifecycle;
}

export interface RunningRouter {
  url: string;
  metricsUrl: string | null;
  routerId: string;
  lifecycle: Lifecycle;
  stop(): Promise<void>;
  /** For tests and `/readyz`. */
  readiness(): { ready: boolean; reasons: string[] };
  /** Figures that must return to 0. */
  counters(): {
    running: number;
    queued: number;
    heldBeats: number;
    unconfirmed: number;
    pendingVoids: number;
    workers: number[];
  };
  /** Other routers that are heard, and their requests in this one's books. */
  others(): { routers: number; inFlight: number };
  /** How far prefix hits were predicted from what the workers reported: mean difference in points of the prompt. */
  hitErrorPoints(): number;
}
