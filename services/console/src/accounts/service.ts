/** Accounts: decisions only; rows are the store's business. */
import type {
  AccountView,
  CreateAccount,
  ListAccountsQuery,
  PatchAccount,
} from '@tollgate/shared/contracts/console/accounts';
import type { LimitsView, Page } from '@tollgate/shared/contracts/console/common';
import { type Account, AccountStore } from '@tollgate/shared/db/account-store';
import type { Db, Executor } from '@tollgate/shared/db/client';
import { listAccounts } from '@tollgate/shared/db/console-lists';
import { tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import { NO_LIMITS, type RateLimits } from '@tollgate/shared/domain/limits';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Actor } from '../auth/actor.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';
import type { Projector } from '../projector/projector.ts';

export interface AccountServiceOptions {
  db: Db;
  projector: Projector;
  clock: Clock;
  random: Random;
}

export class AccountService {
  readonly #options: AccountServiceOptions;

  constructor(options: AccountServiceOptions) {
    this.#options = options;
  }

  async create(_actor: Actor, input: CreateAccount): Promise<AccountView> {
    const { db, random, clock } = this.#options;
    const account = await tx(db, async (trx) => {
      const store = new AccountStore(trx);
      const made = await store.create({
        id: newId('acct', random.bytes),
        name: input.name,
        email: input.email ?? null,
        ...(input.plan === undefined ? {} : { plan: input.plan }),
        ...(input.weight === undefined ? {} : { weight: input.weight }),
        limits: toLimits(input.limits),
        createdAtMs: clock.nowMs(),
      });
      await setModelLimits(store, made.id, input.modelLimits);
      return made;
    });
    return this.#view(account, db);
  }

  async get(_actor: Actor, id: string): Promise<AccountView> {
    const account = await new AccountStore(this.#options.db).get(id);
    if (!account) throw noAccount();
    return this.#view(account, this.#options.db);
  }

  async list(_actor: Actor, query: ListAccountsQuery): Promise<Page<AccountView>> {
    const { db } = this.#options;
    const page = await listAccounts(db, {
      ...pageRequest(query as PageInput),
      ...(query.status === undefined ? {} : { status: query.status }),
      ...(query.search === undefined ? {} : { search: query.search }),
    });
    const data: AccountView[] = [];
    for (const account of page.data) data.push(await this.#view(account, db));
    return { data, next: page.next };
  }

  /** Changes reach routers before this returns: a frozen account is refused within 1 s. */
  async patch(_actor: Actor, id: string, input: PatchAccount): Promise<AccountView> {
    const { db, projector } = this.#options;
    const account = await tx(db, async (trx) => {
      const store = new AccountStore(trx);
      const changed = await store.update(id, {
        ...(input.name === undefined ? {} : { name: input.name }),
        ...(input.email === undefined ? {} : { email: input.email }),
        ...(input.status === undefined ? {} : { status: input.status }),
        ...(input.plan === undefined ? {} : { plan: input.plan }),
        ...(input.weight === undefined ? {} : { weight: input.weight }),
        limits: toLimits(input.limits),
      });
      if (changed) await setModelLimits(store, id, input.modelLimits);
      return changed;
    });
    if (!account) throw noAccount();
    await projector.account(id);
    return this.#view(account, db);
  }

  async #view(account: Account, db: Executor): Promise<AccountView> {
    const modelLimits = await new AccountStore(db).modelLimits(account.id);
    return {
      accountId: account.id,
      name: account.name,
      email: account.email,
      status: account.status,
      plan: account.plan,
      weight: account.weight,
      limits: limitsView(account.limits),
      modelLimits: Object.fromEntries(
        Object.entries(modelLimits).map(([model, limits]) => [model, limitsView(limits)]),
      ),
      createdAt: isoTime(account.createdAtMs),
    };
  }
}

export const noAccount = () => new AppError('not_found', { message: 'There is no such account.' });

interface LimitsInput {
  rpm?: number | null | undefined;
  tpm?: number | null | undefined;
  concurrency?: number | null | undefined;
}

/** Only the limits that the input names. */
export function toLimits(input: LimitsInput | undefined): Partial<RateLimits> {
  return {
    ...(input?.rpm === undefined ? {} : { requestsPerMinute: input.rpm }),
    ...(input?.tpm === undefined ? {} : { tokensPerMinute: input.tpm }),
    ...(input?.concurrency === undefined ? {} : { concurrency: input.concurrency }),
  };
}

export function limitsView(limits: RateLimits): LimitsView {
  return { rpm: limits.requestsPerMinute, tpm: limits.tokensPerMinute, concurrency: limits.concurrency };
}

async function setModelLimits(
  store: AccountStore,
  accountId: string,
  modelLimits: Readonly<Record<string, LimitsInput>> | undefined,
): Promise<void> {
  if (modelLimits === undefined) return;
  for (const [model, limits] of Object.entries(modelLimits)) {
    await store.setModelLimits(accountId, model, { ...NO_LIMITS, ...toLimits(limits) });
  }
}
