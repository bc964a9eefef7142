import type { Beat } from '@tollgate/shared/redis/money-scripts';
import type { RequestContext } from './context.ts';
import type { Stop } from './relay/deliver.ts';
import { beatOf } from './settlement/beat.ts';
import type { Heartbeats, LiveHold } from './settlement/heartbeats.ts';
import type { Running } from './shutdown.ts';

/**
 * A request from its first dispatch to its end, on the lists of those whose holds are renewed and of those that a
 * shutdown ends. A class and no closures: V8 puts a function that is written straight into a property (`a.b = () => ...`)
 * into the old generation, where it keeps all that it sees until the next full collection.
 */
export class RunningRequest implements LiveHold {
  private readonly ctx: RequestContext;
  private readonly stop: Stop;
  private readonly places: readonly { leave(): void }[];

  constructor(ctx: RequestContext, stop: Stop, running: Running, heartbeats: Heartbeats) {
    this.ctx = ctx;
    this.stop = stop;
    this.places = [running.stoppable(stop), heartbeats.add(this)];
  }

  get accountId(): string {
    return this.ctx.admission!.intent.accountId;
  }

  beat(): Beat {
    return beatOf(this.ctx);
  }

  cut(): void {
    const { stop } = this;
    stop('hold_lost');
  }

  /** Idempotent. */
  end(): void {
    for (const place of this.places) place.leave();
  }
}
