/** Facts about the installation itself: values that every process must agree on. */
import type { Executor } from './client.ts';

export class MetaMismatch extends Error {
  override readonly name = 'MetaMismatch';
  readonly key: string;
  readonly stored: string;
  readonly given: string;

  constructor(key: string, stored: string, given: string) {
    super(`the database was set up with ${key} = ${stored}; this process is configured with ${given}`);
    this.key = key;
    this.stored = stored;
    this.given = given;
  }
}

export class MetaStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /**
   * Stores `value` when the key is new; otherwise it must be the same.
   * @throws {MetaMismatch} when another value is stored. A configuration error (exit 78) for the caller.
   */
  async agree(key: string, value: string): Promise<void> {
    await this.#db
      .insertInto('meta')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .execute();
    const row = await this.#db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirstOrThrow();
    if (row.value !== value) throw new MetaMismatch(key, row.value, value);
  }

  /** The bucket count decides which Redis key an account's money has: another value would see no leases (MONEY.md 3.6). */
  agreeOnBucketCount(bucketCount: number): Promise<void> {
    return this.agree('bucket_count', String(bucketCount));
  }

  async get(key: string): Promise<string | null> {
    const row = await this.#db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst();
    return row?.value ?? null;
  }

  /** What stands there; `value` where nothing did: of several callers all get the same. */
  async first(key: string, value: string): Promise<string> {
    await this.#db
      .insertInto('meta')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .execute();
    return (await this.get(key)) ?? value;
  }

  async set(key: string, value: string): Promise<void> {
    await this.#db
      .insertInto('meta')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  }

  /** Empties a value that may be used once. False when another one stands there: of two callers one gets true. */
  async take(key: string, value: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('meta')
      .set({ value: '' })
      .where('key', '=', key)
      .where('value', '=', value)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }
}
