/** Plans: named sets of limits that an account is put on. The account's own columns stay what is enforced. */
import { sql } from 'kysely';
import type { RateLimits } from '../domain/limits.ts';
import { limitsOf } from './account-store.ts';
import type { Executor } from './client.ts';

export interface Plan {
  id: string;
  name: string;
  weight: number;
  limits: RateLimits;
  /** Accounts on it. */
  accounts: number;
}

interface PlanRow {
  id: string;
  name: string;
  weight: number;
  rpm: number | null;
  tpm: number | null;
  concurrency: number | null;
  accounts: bigint;
}

const view = (row: PlanRow): Plan => ({
  id: row.id,
  name: row.name,
  weight: row.weight,
  limits: limitsOf(row),
  accounts: Number(row.accounts),
});

export class PlanStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async list(): Promise<Plan[]> {
    const { rows } = await sql<PlanRow>`
      SELECT p.*, (SELECT count(*) FROM accounts a WHERE a.plan = p.id) AS accounts FROM plans p ORDER BY p.id`.execute(
      this.#db,
    );
    return rows.map(view);
  }

  async get(id: string): Promise<Plan | null> {
    return (await this.list()).find((plan) => plan.id === id) ?? null;
  }

  /** Makes or replaces; accounts that are on it keep the limits they have until they are put on it again. */
  async save(plan: Omit<Plan, 'accounts'>): Promise<void> {
    const { requestsPerMinute, tokensPerMinute, concurrency } = plan.limits;
    await sql`INSERT INTO plans (id, name, weight, rpm, tpm, concurrency)
      VALUES (${plan.id}, ${plan.name}, ${plan.weight}, ${requestsPerMinute}, ${tokensPerMinute}, ${concurrency})
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, weight = excluded.weight, rpm = excluded.rpm,
        tpm = excluded.tpm, concurrency = excluded.concurrency`.execute(this.#db);
  }
}
