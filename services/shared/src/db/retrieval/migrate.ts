/** Retrieval's own tables: a migration set and a Postgres schema apart, because they need the extension pgvector. */
import { sql } from 'kysely';
import type { Db } from '../client.ts';
import { type MigrationResult, migrate } from '../migrate.ts';

/** The database has no pgvector. `message` says what to install. */
export class VectorExtensionMissing extends Error {
  override readonly name = 'VectorExtensionMissing';
}

const HOW =
  'the extension pgvector is not available in this PostgreSQL: install it on the database server (Debian: package ' +
  'postgresql-<version>-pgvector, version 0.5 or newer), or let an administrator run CREATE EXTENSION vector';

/**
 * Brings retrieval's tables up to date; safe to call from several processes at once.
 * @throws {VectorExtensionMissing} where pgvector is not installed or may not be created by this role.
 */
export async function migrateRetrieval(db: Db): Promise<MigrationResult> {
  const { rows } = await sql<{ installed: string | null; offered: string | null }>`
    SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS installed,
           (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS offered`.execute(db);
  const version = rows[0]?.installed ?? rows[0]?.offered ?? null;
  if (version === null || isBefore(version, 0, 5)) throw new VectorExtensionMissing(HOW);
  if (!rows[0]?.installed) {
    try {
      await sql`CREATE EXTENSION IF NOT EXISTS vector`.execute(db);
    } catch (cause) {
      throw new VectorExtensionMissing(HOW, { cause });
    }
  }
  return migrate(db, { folder: 'db/retrieval/migrations/', schema: 'retrieval' });
}

function isBefore(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}
