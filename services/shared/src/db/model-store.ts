/** Models and their prices. A price never changes; a new one is a new row that applies from `validFrom` on. */
import { type Selectable, sql } from 'kysely';
import type { Catalog } from '../domain/catalog.ts';
import type { PriceId } from '../domain/ids.ts';
import type { UnitPrices } from '../domain/money.ts';
import type { Executor } from './client.ts';
import type { Schema } from './schema.ts';
import { inTx } from './tx.ts';

export interface Model {
  id: string;
  ownedBy: string;
  maxModelLen: number;
  defaultMaxTokens: number | null;
  templateTokens: number;
  templateTokensPerMessage: number;
  enabled: boolean;
  createdAtMs: number;
}

export interface NewModel {
  id: string;
  ownedBy: string;
  maxModelLen: number;
  defaultMaxTokens?: number | null;
  templateTokens?: number;
  templateTokensPerMessage?: number;
  enabled?: boolean;
  createdAtMs: number;
}

export type ModelPatch = Partial<Omit<NewModel, 'id' | 'createdAtMs'>>;

export interface Price {
  id: PriceId;
  model: string;
  prices: UnitPrices;
  validFromMs: number;
}

const CATALOG_VERSION = 'catalog_version';

/** Every change raises the catalogue's version in the same transaction. */
export class ModelStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  create(model: NewModel): Promise<Model> {
    return inTx(this.#db, async (trx) => {
      const row = await trx
        .insertInto('models')
        .values({
          id: model.id,
          owned_by: model.ownedBy,
          max_model_len: model.maxModelLen,
          default_max_tokens: model.defaultMaxTokens ?? null,
          template_tokens: model.templateTokens ?? 0,
          template_tokens_per_message: model.templateTokensPerMessage ?? 0,
          enabled: model.enabled ?? true,
          created_at: new Date(model.createdAtMs),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await raiseVersion(trx);
      return view(row);
    });
  }

  async get(id: string): Promise<Model | null> {
    const row = await this.#db.selectFrom('models').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? view(row) : null;
  }

  async list(): Promise<Model[]> {
    return (await this.#db.selectFrom('models').selectAll().orderBy('id').execute()).map(view);
  }

  /** The model after the change, or null when there is none. */
  update(id: string, patch: ModelPatch): Promise<Model | null> {
    return inTx(this.#db, async (trx) => {
      const changes = {
        ...(patch.ownedBy === undefined ? {} : { owned_by: patch.ownedBy }),
        ...(patch.maxModelLen === undefined ? {} : { max_model_len: patch.maxModelLen }),
        ...(patch.defaultMaxTokens === undefined ? {} : { default_max_tokens: patch.defaultMaxTokens }),
        ...(patch.templateTokens === undefined ? {} : { template_tokens: patch.templateTokens }),
        ...(patch.templateTokensPerMessage === undefined
          ? {}
          : { template_tokens_per_message: patch.templateTokensPerMessage }),
        ...(patch.enabled === undefined ? {} : { enabled: patch.enabled }),
      };
      if (Object.keys(changes).length === 0) return new ModelStore(trx).get(id);
      const row = await trx.updateTable('models').set(changes).where('id', '=', id).returningAll().executeTakeFirst();
      if (!row) return null;
      await raiseVersion(trx);
      return view(row);
    });
  }

  /** Adds a price that applies from `validFromMs` on. Throws (check violation) when cached > input. */
  addPrice(price: Price): Promise<Price> {
    return inTx(this.#db, async (trx) => {
      const row = await trx
        .insertInto('prices')
        .values({
          id: price.id,
          model: price.model,
          input_nusd: price.prices.inputNusd,
          cached_input_nusd: price.prices.cachedInputNusd,
          output_nusd: price.prices.outputNusd,
          valid_from: new Date(price.validFromMs),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await raiseVersion(trx);
      return priceView(row);
    });
  }

  /** Prices of a model, newest first. */
  async prices(model: string): Promise<Price[]> {
    const rows = await this.#db
      .selectFrom('prices')
      .selectAll()
      .where('model', '=', model)
      .orderBy('valid_from', 'desc')
      .orderBy('id', 'desc')
      .execute();
    return rows.map(priceView);
  }

  /** Prices by id, for checking records. */
  async pricesById(ids: readonly string[]): Promise<Map<string, Price>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#db
      .selectFrom('prices')
      .selectAll()
      .where(sql<boolean>`id = ANY(${[...ids]}::text[])`)
      .execute();
    return new Map(rows.map((row) => [row.id, priceView(row)]));
  }

  /** All models that have a price at `nowMs`, with it: what is published to routers. */
  async catalog(nowMs: number): Promise<Catalog> {
    const { rows } = await sql<Selectable<Schema['models']> & PriceColumns>`
      SELECT m.*, p.id AS price_id, p.input_nusd, p.cached_input_nusd, p.output_nusd
      FROM models m
      JOIN LATERAL (SELECT * FROM prices WHERE model = m.id AND valid_from <= ${new Date(nowMs)}
                    ORDER BY valid_from DESC, id DESC LIMIT 1) p ON true
      ORDER BY m.id`.execute(this.#db);
    const version = await this.#db
      .selectFrom('meta')
      .select('value')
      .where('key', '=', CATALOG_VERSION)
      .executeTakeFirst();
    return {
      version: Number(version?.value ?? 0),
      models: rows.map((row) => ({
        id: row.id,
        createdAt: Math.floor(row.created_at.getTime() / 1000),
        ownedBy: row.owned_by,
        maxModelLen: row.max_model_len,
        defaultMaxTokens: row.default_max_tokens,
        templateTokens: row.template_tokens,
        templateTokensPerMessage: row.template_tokens_per_message,
        priceId: row.price_id as PriceId,
        prices: { inputNusd: row.input_nusd, cachedInputNusd: row.cached_input_nusd, outputNusd: row.output_nusd },
        enabled: row.enabled,
      })),
    };
  }

  /** For a planned price that has begun to apply: the catalogue is another although no row changed. */
  raiseVersion(): Promise<void> {
    return raiseVersion(this.#db);
  }

  /** The next time after `nowMs` at which a price starts to apply; null when none is planned. */
  async nextPriceChangeMs(nowMs: number): Promise<number | null> {
    const row = await this.#db
      .selectFrom('prices')
      .select('valid_from')
      .where('valid_from', '>', new Date(nowMs))
      .orderBy('valid_from')
      .limit(1)
      .executeTakeFirst();
    return row?.valid_from.getTime() ?? null;
  }
}

interface PriceColumns {
  price_id: string;
  input_nusd: bigint;
  cached_input_nusd: bigint;
  output_nusd: bigint;
}

async function raiseVersion(db: Executor): Promise<void> {
  await sql`INSERT INTO meta (key, value) VALUES (${CATALOG_VERSION}, '1')
    ON CONFLICT (key) DO UPDATE SET value = (meta.value::bigint + 1)::text`.execute(db);
}

function view(row: Selectable<Schema['models']>): Model {
  return {
    id: row.id,
    ownedBy: row.owned_by,
    maxModelLen: row.max_model_len,
    defaultMaxTokens: row.default_max_tokens,
    templateTokens: row.template_tokens,
    templateTokensPerMessage: row.template_tokens_per_message,
    enabled: row.enabled,
    createdAtMs: row.created_at.getTime(),
  };
}

function priceView(row: Selectable<Schema['prices']>): Price {
  return {
    id: row.id as PriceId,
    model: row.model,
    prices: { inputNusd: row.input_nusd, cachedInputNusd: row.cached_input_nusd, outputNusd: row.output_nusd },
    validFromMs: row.valid_from.getTime(),
  };
}
