/**
 * Plain SQL files, applied once each in the order of their names, all in one transaction. A file that was applied may
 * never change afterwards: its checksum stands beside its name.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { listSharedAssets, readSharedAsset } from '../runtime/assets.ts';
import type { Db } from './client.ts';
import { lock, tx } from './tx.ts';

export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

export interface MigrationResult {
  /** File names applied by this call. */
  applied: string[];
  /** File names that had been applied before. */
  before: string[];
}

/** A folder of migrations (under `services/shared/src`), and the Postgres schema that they build; null = the usual one. */
export interface MigrationSet {
  folder: string;
  schema: string | null;
}

const MAIN: MigrationSet = { folder: 'db/migrations/', schema: null };

/**
 * Brings the schema up to date. Safe to call from several processes at once: one does it, the others wait and find it
 * done. A database that knows a file this version does not have (a newer version ran) is accepted, so that
 * versions N and N+1 can run side by side.
 * @throws {MigrationError} when an applied file's text has changed since.
 */
export async function migrate(db: Db, { folder, schema }: MigrationSet = MAIN): Promise<MigrationResult> {
  const table = schema === null ? sql.id('schema_migrations') : sql.id(schema, 'schema_migrations');
  return tx(db, async (trx) => {
    await lock(trx, 'migrate', 0);
    if (schema !== null) await sql`CREATE SCHEMA IF NOT EXISTS ${sql.id(schema)}`.execute(trx);
    await sql`CREATE TABLE IF NOT EXISTS ${table} (
      name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz(3) NOT NULL DEFAULT now())`.execute(trx);
    const { rows } = await sql<{ name: string; checksum: string }>`SELECT name, checksum FROM ${table}`.execute(trx);
    const known = new Map(rows.map((row) => [row.name, row.checksum]));
    const applied: string[] = [];
    for (const name of listSharedAssets(folder, '.sql')) {
      const text = readSharedAsset(folder + name);
      const checksum = createHash('sha256').update(text).digest('hex');
      const old = known.get(name);
      if (old === checksum) continue;
      if (old !== undefined) throw new MigrationError(`migration ${name} was changed after it had been applied`);
      await sql.raw(text).execute(trx);
      await sql`INSERT INTO ${table} (name, checksum) VALUES (${name}, ${checksum})`.execute(trx);
      applied.push(name);
    }
    return { applied, before: [...known.keys()].sort() };
  });
}

/** Names of files that `migrate` would apply; for readiness checks and `doctor`. Reads only. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const { rows: table } = await sql<{
    found: boolean;
  }>`SELECT to_regclass('schema_migrations') IS NOT NULL AS found`.execute(db);
  const all = listSharedAssets(MAIN.folder, '.sql');
  if (!table[0]?.found) return all;
  const { rows } = await sql<{ name: string }>`SELECT name FROM schema_migrations`.execute(db);
  const done = new Set(rows.map((row) => row.name));
  return all.filter((name) => !done.has(name));
}
