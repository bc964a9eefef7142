/**
 * PGlite (Postgres as WebAssembly) behind a socket, so that every service speaks plain `pg` to it.
 * Exactly one process may own a data folder; PGlite itself does not refuse a second one.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import type { ListenAddress } from './config.ts';
import { createPgliteWireServer } from './pglite-wire.ts';

export interface PgliteServer {
  /** Connection URL for `pg`. */
  url: string;
  port: number;
  /** Ends connections and closes the database cleanly. */
  close(): Promise<void>;
}

/** Twice the default: an index of 100,000 vectors fits, and is not read from the folder again for each search. */
const BUFFERS = 'shared_buffers=256MB';

/**
 * Opens `dataDir` (in memory when absent, and then begun from `loadDataDir`, a dump of another) and serves it. Port 0
 * takes a free one. All connections share PGlite's one session: their statements queue, their transactions exclude each
 * other. Rejects with the system's error when the port is taken.
 */
export async function openPgliteServer(options: {
  dataDir?: string;
  loadDataDir?: Blob;
  listen: ListenAddress;
}): Promise<PgliteServer> {
  const { dataDir, loadDataDir, listen } = options;
  // Offered to whoever asks with CREATE EXTENSION; costs nothing until then.
  const extensions = { vector };
  const db = await (dataDir === undefined
    ? PGlite.create({ extensions, ...(loadDataDir === undefined ? {} : { loadDataDir }) })
    : PGlite.create(dataDir, { extensions, startParams: [...PGlite.defaultStartParams, '-c', BUFFERS] }));
  const server = createPgliteWireServer(db);
  try {
    const listening = once(server, 'listening');
    server.listen(listen.port, listen.host);
    await listening;
  } catch (error) {
    await db.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `postgres://postgres:postgres@${listen.host}:${port}/postgres?sslmode=disable`,
    port,
    async close() {
      server.close();
      await server.endConnections();
      await db.close();
    },
  };
}
