/**
 * Keeps Redis showing what Postgres says: key records, the catalogue, the workers being drained. Postgres is the truth;
 * every write here is "lock, read, write": the lock (of Postgres) makes an older reading never overwrite a newer one,
 * whichever console publishes.
 *
 * Crash windows: a process that dies after its commit and before its publication leaves an old record in Redis. The
 * next start publishes everything. A publication that failed (Redis away) makes `tick` publish everything as soon as Redis
 * answers; so does a `tg:{keys}-ready` that is missing (FLUSHALL) or of another history (a restart, a failover: the last
 * writes may be lost).
 */
import type { Db } from '@tollgate/shared/db/client';
import { WorkerDrainStore } from '@tollgate/shared/db/console-drains';
import { lockPublishing } from '@tollgate/shared/db/console-operations';
import { KeyStore, type PublishedKey } from '@tollgate/shared/db/key-store';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import type { ConsoleDirectory, DirectoryEntry } from '@tollgate/shared/redis/console-directory';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';

const PAGE = 500;
/** How often a publication that Redis lost underway (flushed again) is begun anew before the next tick takes over. */
const ATTEMPTS = 3;

export interface ProjectorOptions {
  db: Db;
  directory: ConsoleDirectory;
  clock: Clock;
  random: Random;
  logger: Logger;
}

export class Projector {
  readonly #options: ProjectorOptions;
  /** Everything is to be published again. */
  #dirty = true;
  #nextPriceChangeMs: number | null = null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: ProjectorOptions) {
    this.#options = options;
  }

  /** True once everything stands in Redis and nothing is known to be missing. */
  get complete(): boolean {
    return !this.#dirty;
  }

  /**
   * Throws when Redis does not answer. Asked before something is made whose answer is told only once (a key) or that a
   * blind retry would do twice (a credit): better nothing is done than done and not told.
   */
  async reachable(): Promise<void> {
    await this.#options.directory.isReady();
  }

  /** Publishes these keys as they are in Postgres now. On return routers refuse or obey within 1 s. */
  async keys(keyIds: readonly string[]): Promise<void> {
    await this.#publish(async () => {
      await tx(this.#options.db, async (trx) => {
        await lockPublishing(trx);
        const found: PublishedKey[] = [];
        for (const id of keyIds) {
          const key = await new KeyStore(trx).record(id);
          if (key) found.push(key);
        }
        await this.#options.directory.publishKeys(found.map(entryOf));
      });
    });
  }

  /** The same for all keys of an account, after its limits or its status changed. */
  async account(accountId: string): Promise<void> {
    await this.#publish(async () => {
      await tx(this.#options.db, async (trx) => {
        await lockPublishing(trx);
        const found = await new KeyStore(trx).recordsOfAccount(accountId);
        for (let i = 0; i < found.length; i += PAGE) {
          await this.#options.directory.publishKeys(found.slice(i, i + PAGE).map(entryOf));
        }
      });
    });
  }

  async catalog(): Promise<void> {
    await this.#publish(() => this.#catalog());
  }

  async draining(): Promise<void> {
    await this.#publish(() => this.#draining());
  }

  /** Everything, page by page. */
  async everything(): Promise<void> {
    const { db, directory, random, logger } = this.#options;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const nonce = random.uuid();
      await directory.beginPublishing(nonce);
      await this.#catalog();
      await this.#draining();
      let count = 0;
      let lastId: string | null = null;
      do {
        lastId = await tx(db, async (trx) => {
          await lockPublishing(trx);
          const page = await new KeyStore(trx).recordsAfter(lastId, PAGE);
          await directory.publishKeys(page.records.map(entryOf));
          count += page.records.length;
          return page.lastId;
        });
      } while (lastId !== null);
      if (await directory.finishPublishing(nonce)) {
        this.#dirty = false;
        logger.info({ keys: count }, 'published all keys and the catalogue');
        return;
      }
    }
    throw new AppError('store_unavailable', { internal: 'redis was emptied during each publication' });
  }

  /** Looks whether something is missing and publishes it. Called every second; never throws. */
  async tick(): Promise<void> {
    const { directory, clock, logger } = this.#options;
    try {
      if (this.#dirty || !(await directory.isReady())) await this.#serial(() => this.everything());
      const due = this.#nextPriceChangeMs;
      if (due !== null && clock.nowMs() >= due) await this.#serial(() => this.#catalog({ priceBegan: true }));
    } catch (error) {
      this.#dirty = true;
      logger.warn({ err: error }, 'publication failed; trying again');
    }
  }

  /** One after the other in this process; a failure marks everything as to be published and is told as 503. */
  async #publish(work: () => Promise<void>): Promise<void> {
    try {
      await this.#serial(work);
    } catch (error) {
      this.#dirty = true;
      throw new AppError('store_unavailable', {
        message: 'The change is saved, but routers could not be told yet; they will be as soon as Redis answers.',
        cause: error,
      });
    }
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#running.then(work, work);
    this.#running = next.catch(() => {});
    return next;
  }

  async #catalog({ priceBegan = false } = {}): Promise<void> {
    const { db, directory, clock } = this.#options;
    await tx(db, async (trx) => {
      await lockPublishing(trx);
      const models = new ModelStore(trx);
      const nowMs = clock.nowMs();
      if (priceBegan) await models.raiseVersion();
      await directory.publishCatalog(await models.catalog(nowMs));
      this.#nextPriceChangeMs = await models.nextPriceChangeMs(nowMs);
    });
  }

  async #draining(): Promise<void> {
    await tx(this.#options.db, async (trx) => {
      await lockPublishing(trx);
      await this.#options.directory.publishDraining(await new WorkerDrainStore(trx).list());
    });
  }
}

/** A revoked key leaves Redis: an unknown key is refused like any other. */
function entryOf({ digest, record }: PublishedKey): DirectoryEntry {
  return { digest, record: record.revokedAtMs === null ? record : null };
}
