/** The request log's partitions: made ahead, and dropped whole when their month is no longer kept. */
import type { Db } from '@tollgate/shared/db/client';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { dropRequestLogBefore } from '@tollgate/shared/db/request-store';
import { REQUEST_LOG_MONTHS, REQUEST_LOG_MONTHS_DEFAULT } from '@tollgate/shared/db/settings';
import { UsageStore } from '@tollgate/shared/db/usage-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';

/** Names of partitions made and dropped now. Settlements, roll-ups and the ledger stay: only what people look at goes. */
export async function keepPartitions(
  db: Db,
  clock: Clock,
  logger: Logger,
): Promise<{ made: string[]; dropped: string[] }> {
  const nowMs = clock.nowMs();
  const made = await new UsageStore(db).ensurePartitions(nowMs);
  const months = Number((await new MetaStore(db).get(REQUEST_LOG_MONTHS)) ?? REQUEST_LOG_MONTHS_DEFAULT);
  const now = new Date(nowMs);
  const before = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1);
  const dropped = await dropRequestLogBefore(db, before);
  if (dropped.length > 0) logger.info({ dropped }, 'months of the request log dropped');
  return { made, dropped };
}
