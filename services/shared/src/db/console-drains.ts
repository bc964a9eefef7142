/** Workers that an operator is draining. */
import { sql } from 'kysely';
import type { Executor } from './client.ts';

export class WorkerDrainStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async add(url: string, actor: string): Promise<void> {
    await sql`INSERT INTO worker_drains (url, actor) VALUES (${url}, ${actor}) ON CONFLICT DO NOTHING`.execute(
      this.#db,
    );
  }

  async remove(url: string): Promise<void> {
    await sql`DELETE FROM worker_drains WHERE url = ${url}`.execute(this.#db);
  }

  async list(): Promise<string[]> {
    const { rows } = await sql<{ url: string }>`SELECT url FROM worker_drains ORDER BY url`.execute(this.#db);
    return rows.map((row) => row.url);
  }
}
