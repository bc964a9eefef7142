/**
 * PGlite (Postgres as WebAssembly) behind a socket, so that every service speaks plain `pg` to it.
 * Exactly one process may own a data folder; PGlite itself does not refuse a second one.
 */
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import type { ListenAddress } from './config.ts';

export interface PgliteServer {
  /** Connection URL for `pg`. */
  url: string;
  port: number;
  /** Ends connections and closes the database cleanly. */
  close(): Promise<void>;
}

/** Sockets are cheap, but all of them share PGlite's one session: statements queue, transactions exclude each other. */
const MAX_CONNECTIONS = 200;

/**
 * Opens `dataDir` (in memory when absent) and serves it. Port 0 takes a free one.
 * Rejects with the system's error when the port is taken.
 */
export async function openPgliteServer(options: { dataDir?: string; listen: ListenAddress }): Promise<PgliteServer> {
  const { dataDir, listen } = options;
  const db = await (dataDir === undefined ? PGlite.create() : PGlite.create(dataDir));
  const server = new PGLiteSocketServer({ db, host: listen.host, port: listen.port, maxConnections: MAX_CONNECTIONS });
  try {
    await server.start();
  } catch (error) {
    await db.close();
    throw error;
  }
  const port = Number(server.getServerConn().split(':').at(-1));
  return {
    url: `postgres://postgres:postgres@${listen.host}:${port}/postgres?sslmode=disable`,
    port,
    async close() {
      await server.stop();
      await db.close();
    },
  };
}
