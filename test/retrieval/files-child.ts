/** The console's file routes as a process of their own, to be killed: `files-child.ts <database URL> <folder> <token>`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FileService } from '@tollgate/console/files/service';
import { errorHandler } from '@tollgate/console/http/errors';
import { fileRoutes } from '@tollgate/console/http/files';
import { openDatabase } from '@tollgate/shared/db/client';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { FolderFileStore } from '@tollgate/shared/runtime/file-store';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import express from 'express';

const [url, folder, token] = process.argv.slice(2) as [string, string, string];
const files = new FileService({
  db: openDatabase({ url, poolMax: 2, applicationName: 'files-child' }),
  store: new FolderFileStore(folder),
  maxFileBytes: 20_000_000,
  maxAccountBytes: 100_000_000,
  retrieval: null,
  clock: systemClock,
  random: systemRandom,
});
const logger = createLogger({ service: 'console', level: 'silent' });
const server = createServer(express().use(fileRoutes(files, token), errorHandler(logger)));
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
