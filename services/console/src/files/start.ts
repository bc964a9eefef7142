/** Builds the file store and its sweep from the console's configuration. */
import type { Db } from '@tollgate/shared/db/client';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { FolderFileStore } from '@tollgate/shared/runtime/file-store';
import type { Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import { FileService } from './service.ts';

export interface FileSettings {
  /** Folder of the bytes. Several consoles share it. */
  folder: string;
  maxFileBytes: number;
  maxAccountBytes: number;
  /** Retrieval's base URL; null where it is not installed. */
  retrievalUrl: string | null;
  serviceToken: string;
}

export interface FileParts {
  db: Db;
  lifecycle: Lifecycle;
  logger: Logger;
  clock: Clock;
  random: Random;
}

const SWEEP_MS = 3_600_000;

export function startFiles(settings: FileSettings, { db, lifecycle, logger, clock, random }: FileParts): FileService {
  const { folder, retrievalUrl, serviceToken, maxFileBytes, maxAccountBytes } = settings;
  const files = new FileService({
    db,
    store: new FolderFileStore(folder),
    maxFileBytes,
    maxAccountBytes,
    retrieval: retrievalUrl === null ? null : { url: retrievalUrl.replace(/\/+$/, ''), serviceToken },
    clock,
    random,
  });
  const timer = clock.setInterval(() => {
    files.sweep().then(
      (swept) => {
        if (swept > 0) logger.info({ swept }, 'deleted bytes of uploads that were cut');
      },
      (error: unknown) => logger.warn({ err: error }, 'cut uploads stay for now'),
    );
  }, SWEEP_MS);
  lifecycle.defer('file sweep', () => timer.cancel());
  return files;
}
