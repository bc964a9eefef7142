/** Takes usage records out of the outboxes and confirms them, as metering's drain does once Postgres has them. */
import { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { Redis } from 'ioredis';
import { serve } from './ipc.ts';
import { BUCKETS } from './stores.ts';

const BATCH = 500;

let drained = 0;
let problem: string | null = null;

async function drainAll(money: MoneyScripts, buckets: readonly number[]): Promise<void> {
  for (const bucket of buckets) {
    for (;;) {
      const { history, entries } = await money.drainRead(bucket, BATCH);
      if (entries.length === 0) break;
      if ((await money.drainAck(bucket, history, entries)) !== 'acked') throw new Error('the history changed');
      drained += entries.length;
      if (entries.length < BATCH) break;
    }
  }
}

serve({
  start({ url, buckets, everyMs }: { url: string; buckets: number[]; everyMs: number }) {
    const redis = new Redis(url, { connectionName: 'bench-drain' });
    const money = new MoneyScripts(redis, BUCKETS);
    const round = () => {
      drainAll(money, buckets)
        .catch((error: unknown) => {
          problem = String(error);
        })
        .finally(() => setTimeout(round, everyMs));
    };
    round();
  },
  read: () => ({ drained, problem }),
});
