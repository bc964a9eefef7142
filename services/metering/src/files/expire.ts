/**
 * Deletes files whose time is over, through the console that owns them: row, bytes and what collections made of them go
 * together. To everybody else they were gone the moment they expired. Repeating any part is safe.
 */
import type { Db } from '@tollgate/shared/db/client';
import { FileRecordStore } from '@tollgate/shared/db/file-records';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { BatchFiles } from '../batches/files.ts';

export interface ExpireParts {
  db: Db;
  files: Pick<BatchFiles, 'remove'>;
  clock: Clock;
  logger: Logger;
}

const PAGE = 200;

/**
 * One round; answers how many were deleted. A file that cannot be deleted now (the console is away, a collection cannot be
 * reached) stays for the next round and keeps no other one back.
 */
export async function expireFiles({ db, files, clock, logger }: ExpireParts): Promise<number> {
  const records = new FileRecordStore(db);
  let deleted = 0;
  let left = 0;
  for (let after = ''; ; ) {
    const page = await records.expired(clock.nowMs(), after, PAGE);
    for (const { id, accountId, projectId, keyId } of page) {
      try {
        await files.remove({ accountId, projectId, keyId, userId: null }, id);
        deleted++;
      } catch (error) {
        left++;
        logger.warn({ err: error, fileId: id }, 'an expired file stays for the next round');
      }
    }
    if (page.length < PAGE) break;
    after = page.at(-1)!.id;
  }
  if (deleted > 0) logger.info({ deleted, left }, 'deleted files whose time was over');
  return deleted;
}
