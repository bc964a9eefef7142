/** What operators may change while everything runs; kept in Postgres, so that every console and metering agree. */
import type { PatchSettings, SettingsView } from '@tollgate/shared/contracts/console/platform';
import type { Db } from '@tollgate/shared/db/client';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { PlanStore } from '@tollgate/shared/db/plan-store';
import { REQUEST_LOG_MONTHS, REQUEST_LOG_MONTHS_DEFAULT } from '@tollgate/shared/db/settings';
import { AppError } from '@tollgate/shared/domain/errors';

export interface SettingsDefaults {
  signUp: 'open' | 'invite';
  signUpCreditNusd: bigint;
  card: boolean;
  oidc: string[];
  mail: 'log' | 'http';
}

export interface Settings {
  signUp: 'open' | 'invite';
  signUpCreditNusd: bigint;
  signUpPlan: string;
  requestLogMonths: number;
}

const SIGN_UP = 'setting_sign_up';
const SIGN_UP_CREDIT = 'setting_sign_up_credit_nusd';
const SIGN_UP_PLAN = 'setting_sign_up_plan';

export class SettingsService {
  readonly #db: Db;
  readonly #defaults: SettingsDefaults;

  constructor(db: Db, defaults: SettingsDefaults) {
    this.#db = db;
    this.#defaults = defaults;
  }

  async get(): Promise<Settings> {
    const meta = new MetaStore(this.#db);
    const signUp = await meta.get(SIGN_UP);
    const credit = await meta.get(SIGN_UP_CREDIT);
    const months = await meta.get(REQUEST_LOG_MONTHS);
    return {
      signUp: signUp === 'open' || signUp === 'invite' ? signUp : this.#defaults.signUp,
      signUpCreditNusd: credit === null ? this.#defaults.signUpCreditNusd : BigInt(credit),
      signUpPlan: (await meta.get(SIGN_UP_PLAN)) ?? 'standard',
      requestLogMonths: months === null ? REQUEST_LOG_MONTHS_DEFAULT : Number(months),
    };
  }

  async show(): Promise<SettingsView> {
    const { card, oidc, mail } = this.#defaults;
    const settings = await this.get();
    return { ...settings, signUpCreditNusd: String(settings.signUpCreditNusd), card, oidc, mail };
  }

  async patch(input: PatchSettings): Promise<SettingsView> {
    const meta = new MetaStore(this.#db);
    if (input.signUpPlan !== undefined && !(await new PlanStore(this.#db).get(input.signUpPlan))) {
      throw new AppError('invalid_request', { message: 'signUpPlan: there is no such plan', param: 'signUpPlan' });
    }
    if (input.signUp !== undefined) await meta.set(SIGN_UP, input.signUp);
    if (input.signUpCreditUsd !== undefined) await meta.set(SIGN_UP_CREDIT, String(input.signUpCreditUsd));
    if (input.signUpPlan !== undefined) await meta.set(SIGN_UP_PLAN, input.signUpPlan);
    if (input.requestLogMonths !== undefined) await meta.set(REQUEST_LOG_MONTHS, String(input.requestLogMonths));
    return this.show();
  }
}
