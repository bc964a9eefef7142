/** Screens of those who run the installation: search, plans, the audit log. */
import type { AccountView } from '@tollgate/shared/contracts/console/accounts';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  AuditLine,
  AuditQuery,
  AuditVerified,
  AuditVerifyQuery,
  FoundView,
  PlanView,
  SavePlan,
} from '@tollgate/shared/contracts/console/platform';
import { AccountStore } from '@tollgate/shared/db/account-store';
import { AuditStore } from '@tollgate/shared/db/audit-store';
import type { Db } from '@tollgate/shared/db/client';
import { listAccounts, listKeys } from '@tollgate/shared/db/console-lists';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { OrganisationStore } from '@tollgate/shared/db/organisation-store';
import { PlanStore } from '@tollgate/shared/db/plan-store';
import { RequestStore } from '@tollgate/shared/db/request-store';
import { UserStore } from '@tollgate/shared/db/user-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { NO_LIMITS } from '@tollgate/shared/domain/limits';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { type AccountService, limitsView, noAccount, toLimits } from '../accounts/service.ts';
import type { Actor } from '../auth/actor.ts';
import { pageOf } from '../http/in-memory-page.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';
import type { KeyService } from '../keys/service.ts';
import type { Projector } from '../projector/projector.ts';
import type { RequestService } from '../requests/service.ts';

const MOST = 20;

export interface PlatformParts {
  db: Db;
  clock: Clock;
  accounts: AccountService;
  keys: KeyService;
  requests: RequestService;
  projector: Projector;
}

export class PlatformService {
  readonly #parts: PlatformParts;

  constructor(parts: PlatformParts) {
    this.#parts = parts;
  }

  /** By whatever a person has in hand: an e-mail, the start of a key, a request id, a name. */
  async search(actor: Actor, text: string): Promise<FoundView> {
    const { db, clock, accounts, keys, requests } = this.#parts;
    const like = `%${text.toLowerCase().replace(/[\\%_]/g, (char) => `\\${char}`)}%`;
    const found = await listAccounts(db, { search: text, limit: MOST });
    const ids = new Set<string>(found.data.map(({ id }) => id));
    for (const id of await new OrganisationStore(db).accountsOfMembers(like)) ids.add(id);
    const views: AccountView[] = [];
    for (const id of [...ids].slice(0, MOST)) views.push(await accounts.get(actor, id));
    const named = text.startsWith('key_') ? await new KeyStore(db).get(text) : null;
    const listed = await listKeys(db, { search: text, nowMs: clock.nowMs(), limit: MOST });
    const request = text.startsWith('req_') ? await new RequestStore(db).get(text, null) : null;
    const [line] = request ? await requests.lines([request]) : [];
    const users = await new UserStore(db).search(like);
    return {
      accounts: views,
      keys: await keys.views(named ? [named] : listed.data),
      request: line && request ? { ...line, accountId: request.account_id as AccountView['accountId'] } : null,
      users: users.map(({ id, email, name, operator }) => ({ userId: id, email, name, operator })),
    };
  }

  async plans(query: PageInput): Promise<Page<PlanView>> {
    const plans = await new PlanStore(this.#parts.db).list();
    return pageOf(
      plans.map(({ id, name, weight, limits, accounts }) => ({
        planId: id,
        name,
        weight,
        limits: limitsView(limits),
        accounts,
      })),
      pageRequest(query),
      (plan) => plan.planId,
    );
  }

  async savePlan(input: SavePlan): Promise<PlanView> {
    const store = new PlanStore(this.#parts.db);
    const { planId, name } = input;
    await store.save({
      id: planId,
      name,
      weight: input.weight ?? 1,
      limits: { ...NO_LIMITS, ...toLimits(input.limits) },
    });
    const { id, weight, limits, accounts } = (await store.get(planId))!;
    return { planId: id, name, weight, limits: limitsView(limits), accounts };
  }

  /** The account gets the plan's limits and weight; routers obey within 1 s. */
  async setPlan(actor: Actor, accountId: string, planId: string): Promise<AccountView> {
    const { db, accounts, projector } = this.#parts;
    const plan = await new PlanStore(db).get(planId);
    if (!plan) throw new AppError('invalid_request', { message: 'planId: there is no such plan', param: 'planId' });
    const changed = await new AccountStore(db).update(accountId, {
      plan: plan.id,
      weight: plan.weight,
      limits: plan.limits,
    });
    if (!changed) throw noAccount();
    await projector.account(accountId);
    return accounts.get(actor, accountId);
  }

  async audit(accountId: string | null, query: AuditQuery): Promise<Page<AuditLine>> {
    const page = await new AuditStore(this.#parts.db).page({
      ...pageRequest(query as PageInput),
      ...(accountId === null ? {} : { accountId }),
      ...(query.from === undefined ? {} : { fromMs: query.from }),
      ...(query.to === undefined ? {} : { toMs: query.to }),
      ...(query.action === undefined ? {} : { action: query.action }),
      ...(query.actor === undefined ? {} : { actor: query.actor }),
    });
    return {
      data: page.data.map(({ atMs, ...line }) => ({ ...line, at: isoTime(atMs) })),
      next: page.next,
    };
  }

  verifyAudit({ after, hash, limit }: AuditVerifyQuery): Promise<AuditVerified> {
    return new AuditStore(this.#parts.db).verify({
      ...(after === undefined ? {} : { after }),
      ...(hash === undefined ? {} : { hash }),
      ...(limit === undefined ? {} : { limit }),
    });
  }
}
