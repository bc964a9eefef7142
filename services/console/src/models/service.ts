/** Models as sold and their prices. A price never changes: a new one is a new row, from a moment on. */
import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  CreateModel,
  ModelView,
  PatchModel,
  PriceInput,
  PriceView,
} from '@tollgate/shared/contracts/console/models';
import type { Db, Tx } from '@tollgate/shared/db/client';
import { type Model, ModelStore, type Price } from '@tollgate/shared/db/model-store';
import { sqlState, tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Actor } from '../auth/actor.ts';
import { pageOf } from '../http/in-memory-page.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';
import type { Projector } from '../projector/projector.ts';

/** A price may be said to begin this long ago: the clocks of client and console differ. */
const PAST_TOLERANCE_MS = 60_000;
const UNIQUE_VIOLATION = '23505';

export interface ModelServiceOptions {
  db: Db;
  projector: Projector;
  clock: Clock;
  random: Random;
}

export class ModelService {
  readonly #options: ModelServiceOptions;

  constructor(options: ModelServiceOptions) {
    this.#options = options;
  }

  /** A model with its first price: nothing is ever sold unpriced. Routers know it when this returns. */
  async create(_actor: Actor, input: CreateModel): Promise<ModelView> {
    const { db, projector, clock } = this.#options;
    if (input.defaultMaxTokens && input.defaultMaxTokens > input.maxModelLen) throw tooLong();
    try {
      await tx(db, async (trx) => {
        await new ModelStore(trx).create({
          id: input.id,
          ownedBy: input.ownedBy ?? 'tollgate',
          maxModelLen: input.maxModelLen,
          defaultMaxTokens: input.defaultMaxTokens ?? null,
          ...(input.templateTokens === undefined ? {} : { templateTokens: input.templateTokens }),
          ...(input.templateTokensPerMessage === undefined
            ? {}
            : { templateTokensPerMessage: input.templateTokensPerMessage }),
          enabled: input.enabled ?? true,
          createdAtMs: clock.nowMs(),
        });
        await this.#addPrice(trx, input.id, input.price);
      });
    } catch (error) {
      if (sqlState(error) === UNIQUE_VIOLATION)
        throw new AppError('conflict', { message: 'This model exists already.' });
      throw error;
    }
    await projector.catalog();
    return this.#view(await this.#get(input.id));
  }

  async list(_actor: Actor, query: PageInput): Promise<Page<ModelView>> {
    const page = pageOf(await new ModelStore(this.#options.db).list(), pageRequest(query), (model) => model.id);
    const data: ModelView[] = [];
    for (const model of page.data) data.push(await this.#view(model));
    return { data, next: page.next };
  }

  async get(_actor: Actor, id: string): Promise<ModelView> {
    return this.#view(await this.#get(id));
  }

  async patch(_actor: Actor, id: string, input: PatchModel): Promise<ModelView> {
    const { db, projector } = this.#options;
    await tx(db, async (trx) => {
      const changed = await new ModelStore(trx).update(id, {
        ...(input.ownedBy === undefined ? {} : { ownedBy: input.ownedBy }),
        ...(input.maxModelLen === undefined ? {} : { maxModelLen: input.maxModelLen }),
        ...(input.defaultMaxTokens === undefined ? {} : { defaultMaxTokens: input.defaultMaxTokens }),
        ...(input.templateTokens === undefined ? {} : { templateTokens: input.templateTokens }),
        ...(input.templateTokensPerMessage === undefined
          ? {}
          : { templateTokensPerMessage: input.templateTokensPerMessage }),
        ...(input.enabled === undefined ? {} : { enabled: input.enabled }),
      });
      if (!changed) throw noModel();
      if (changed.defaultMaxTokens !== null && changed.defaultMaxTokens > changed.maxModelLen) throw tooLong();
    });
    await projector.catalog();
    return this.#view(await this.#get(id));
  }

  /** A new price from `validFrom` (now) on; requests that are running keep the price of their admission. */
  async addPrice(_actor: Actor, id: string, input: PriceInput): Promise<PriceView> {
    const { db, projector } = this.#options;
    const price = await tx(db, async (trx) => {
      if (!(await new ModelStore(trx).get(id))) throw noModel();
      return this.#addPrice(trx, id, input);
    });
    await projector.catalog();
    return priceView(price);
  }

  async prices(_actor: Actor, id: string, query: PageInput): Promise<Page<PriceView>> {
    await this.#get(id);
    const all = await new ModelStore(this.#options.db).prices(id);
    const page = pageOf(
      all,
      pageRequest(query),
      (price) => price.id,
      (price) => price.validFromMs,
    );
    return { data: page.data.map(priceView), next: page.next };
  }

  async #addPrice(trx: Tx, model: string, input: PriceInput): Promise<Price> {
    const { clock, random } = this.#options;
    const nowMs = clock.nowMs();
    if (input.validFrom !== undefined && input.validFrom < nowMs - PAST_TOLERANCE_MS) {
      throw new AppError('invalid_request', {
        message: 'validFrom: must not be in the past; what was admitted keeps its price',
        param: 'validFrom',
      });
    }
    const store = new ModelStore(trx);
    const wantedMs = Math.max(input.validFrom ?? nowMs, nowMs);
    // Of two prices that begin at the same moment, chance (their ids) would decide; so this one begins a little later.
    const taken = new Set((await store.prices(model)).map((price) => price.validFromMs));
    let validFromMs = wantedMs;
    while (taken.has(validFromMs)) validFromMs++;
    return store.addPrice({
      id: newId('price', random.bytes),
      model,
      prices: {
        inputNusd: input.inputUsd,
        cachedInputNusd: input.cachedInputUsd ?? input.inputUsd,
        outputNusd: input.outputUsd,
      },
      validFromMs,
    });
  }

  async #get(id: string): Promise<Model> {
    const model = await new ModelStore(this.#options.db).get(id);
    if (!model) throw noModel();
    return model;
  }

  async #view(model: Model): Promise<ModelView> {
    const nowMs = this.#options.clock.nowMs();
    const prices = await new ModelStore(this.#options.db).prices(model.id);
    const current = prices.find((price) => price.validFromMs <= nowMs);
    return {
      id: model.id,
      ownedBy: model.ownedBy,
      maxModelLen: model.maxModelLen,
      defaultMaxTokens: model.defaultMaxTokens,
      templateTokens: model.templateTokens,
      templateTokensPerMessage: model.templateTokensPerMessage,
      enabled: model.enabled,
      createdAt: isoTime(model.createdAtMs),
      price: current ? priceView(current) : null,
    };
  }
}

const noModel = () => new AppError('model_not_found', { message: 'There is no such model.' });
const tooLong = () =>
  new AppError('invalid_request', {
    message: 'defaultMaxTokens: must not be above maxModelLen',
    param: 'defaultMaxTokens',
  });

function priceView(price: Price): PriceView {
  return {
    priceId: price.id,
    model: price.model,
    inputNusd: String(price.prices.inputNusd),
    cachedInputNusd: String(price.prices.cachedInputNusd),
    outputNusd: String(price.prices.outputNusd),
    validFrom: isoTime(price.validFromMs),
  };
}
