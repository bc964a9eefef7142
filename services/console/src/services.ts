/** Every service of the console, built once from its parts; `app.ts` starts them, `routes.ts` shows them. */
import { KEPT_ACCOUNT_BYTES, KEPT_BODY_BYTES } from '@tollgate/shared/contracts/kept-body';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db } from '@tollgate/shared/db/client';
import { KeyStore } from '@tollgate/shared/db/key-store';
import type { RedisClient } from '@tollgate/shared/redis/client';
import type { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import type { CallGuard } from '@tollgate/shared/redis/money-context';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { Throttle } from '@tollgate/shared/redis/throttle';
import { createBodyBox } from '@tollgate/shared/runtime/body-box';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import { createSealer } from '@tollgate/shared/runtime/seal';
import { AccountService } from './accounts/service.ts';
import { Oidc, type OidcProvider } from './auth/oidc.ts';
import { PasswordResets } from './auth/password-reset.ts';
import { Passwords } from './auth/passwords.ts';
import { SelfService } from './auth/self.ts';
import { Sessions } from './auth/sessions.ts';
import { SignInService } from './auth/sign-in.ts';
import { SecondFactor } from './auth/totp.ts';
import { type BodyLimits, BodyService } from './bodies/service.ts';
import { CollectionService } from './collections/service.ts';
import { CreditService } from './credits/service.ts';
import type { FileService } from './files/service.ts';
import { FleetService } from './fleet/service.ts';
import type { AccessParts } from './http/access.ts';
import { LimitReader } from './insights/limits.ts';
import { InsightService } from './insights/service.ts';
import { StatusService } from './insights/status.ts';
import { KeyService } from './keys/service.ts';
import { ModelService } from './models/service.ts';
import { httpOutbox, logOutbox } from './organisations/mail.ts';
import { OrganisationService } from './organisations/service.ts';
import { PlatformService } from './platform/service.ts';
import { OwnKeys } from './playground/own-keys.ts';
import { PlaygroundService } from './playground/service.ts';
import type { Projector } from './projector/projector.ts';
import { ReceiptService } from './receipts/service.ts';
import { RequestService } from './requests/service.ts';
import { SettingsService } from './settings/service.ts';
import { CodeService } from './topup/codes.ts';
import { TopupService } from './topup/service.ts';
import type { StripeGate, StripeSettings } from './topup/stripe.ts';
import { UsageService } from './usage/service.ts';
import { WebhookService } from './webhooks/service.ts';
import { WorkerService } from './workers/service.ts';

/** What an operator decides in the environment; everything has a safe value of its own. */
export interface PeopleSettings {
  /** Key of what is sealed in Postgres; derived from the pepper when absent. */
  sealKey?: string | undefined;
  /** Where browsers reach this console, without a slash at the end; its own address when absent. */
  publicUrl?: string | undefined;
  /** Base of the inference API as this console reaches it, for the playground. */
  routerUrl?: string | undefined;
  /** The same as clients reach it: what people are shown; `routerUrl` when absent. */
  apiUrl?: string | undefined;
  signUp?: 'open' | 'invite';
  signUpCreditNusd?: bigint;
  oidc?: OidcProvider | null;
  mail?: { url: string; token: string | null } | null;
  stripe?: StripeSettings | null;
  topupMinNusd?: bigint;
  topupMaxNusd?: bigint;
  allowPrivateWebhooks?: boolean;
  /** What routers and metering keep of bodies; here only told. */
  bodyLimits?: BodyLimits;
}

const USD = 1_000_000_000n;

export interface ServiceParts {
  db: Db;
  redis: RedisClient;
  guard: CallGuard;
  directory: ConsoleDirectory;
  money: MoneyScripts;
  projector: Projector;
  pepper: string;
  allowGrammarsDefault: boolean;
  clock: Clock;
  random: Random;
  logger: Logger;
  version: string;
  settings: PeopleSettings;
  /** Null: payment by card is not set up. */
  stripe: StripeGate | null;
  /** Absent: no files can be uploaded. */
  files: FileService | undefined;
  /** Null where retrieval is not installed. */
  retrieval: { url: string; serviceToken: string } | null;
  /** This console's own address, known once it listens. */
  ownUrl(): string;
}

export type Services = ReturnType<typeof buildServices>;

export function buildServices(parts: ServiceParts) {
  const { db, directory, money, projector, clock, random, logger, settings: given } = parts;
  const publicUrl = () => given.publicUrl ?? parts.ownUrl();
  const sealer = createSealer(given.sealKey ?? parts.pepper, random);
  const cookies = { secure: given.publicUrl?.startsWith('https:') ?? false };
  const throttle = new Throttle(parts.redis, parts.guard, clock);
  const oidcProvider = given.oidc ?? null;
  const settings = new SettingsService(db, {
    signUp: given.signUp ?? 'invite',
    signUpCreditNusd: given.signUpCreditNusd ?? 0n,
    card: Boolean(given.stripe),
    oidc: oidcProvider ? [oidcProvider.name] : [],
    mail: given.mail ? 'http' : 'log',
  });
  const accounts = new AccountService({ db, projector, clock, random });
  const { pepper, allowGrammarsDefault } = parts;
  const keys = new KeyService({ db, projector, money, pepper, allowGrammarsDefault, clock, random });
  const ownKeys = new OwnKeys(keys, clock);
  const credits = new CreditService({ db, money, projector, random, logger });
  const passwords = new Passwords(random);
  const sessions = new Sessions({ db, clock, random, sealer, cookies });
  const secondFactor = new SecondFactor({ db, clock, random, sealer });
  const outbox = given.mail ? httpOutbox(given.mail.url, given.mail.token, logger) : logOutbox(logger);
  const signIn = new SignInService({
    ...{ db, clock, random, logger, sealer, passwords, sessions, secondFactor, throttle, settings },
    oidc: oidcProvider
      ? [{ id: oidcProvider.id, name: oidcProvider.name, startUrl: `/api/auth/oidc/${oidcProvider.id}/start` }]
      : [],
    passwordReset: given.mail ? 'mail' : 'operator',
    routerUrl: given.apiUrl ?? given.routerUrl ?? '',
    version: parts.version,
  });
  const oidc = oidcProvider
    ? new Oidc({ db, clock, logger, sealer, cookies, signIn, settings, provider: oidcProvider, publicUrl })
    : null;
  const resets = new PasswordResets({
    ...{ db, clock, random, logger, sealer, passwords, throttle, outbox, publicUrl },
  });
  const fleet = new FleetService({ db, directory, clock });
  const limits = new LimitReader({ db, money, clock, logger });
  const bodies = new BodyService({
    ...{ db, clock, projector },
    box: createBodyBox(parts.pepper, random),
    limits: given.bodyLimits ?? { maxBodyBytes: KEPT_BODY_BYTES, maxStoredBytes: KEPT_ACCOUNT_BYTES },
  });
  const requests = new RequestService({ db, clock, limits, bodies });
  const access: AccessParts = {
    accountOfKey: async (id) => (await new KeyStore(db).get(id))?.accountId ?? null,
    accountExists: async (id) => (await new AccountStore(db).get(id)) !== null,
    nowMs: () => clock.nowMs(),
  };
  return {
    ...{ accounts, keys, credits, settings, signIn, sessions, oidc, resets, fleet, limits, requests, bodies, access },
    self: new SelfService({ db, clock, passwords, sessions, secondFactor, signIn, keys }),
    organisations: new OrganisationService({ db, clock, random, outbox, signIn, settings, publicUrl }),
    usage: new UsageService(db),
    receipts: new ReceiptService(db),
    models: new ModelService({ db, projector, clock, random }),
    workers: new WorkerService({ db, directory, projector, clock }),
    insights: new InsightService({ db, clock, credits, requests, routerUrl: given.apiUrl ?? given.routerUrl ?? '' }),
    status: new StatusService({ db, clock, fleet }),
    playground: new PlaygroundService({ db, ownKeys, pepper, routerUrl: given.routerUrl ?? null }),
    collections: new CollectionService({ ownKeys, clock, files: parts.files, retrieval: parts.retrieval }),
    topup: new TopupService({
      ...{ db, clock, random, logger, credits, publicUrl },
      stripe: parts.stripe,
      minNusd: given.topupMinNusd ?? 5n * USD,
      maxNusd: given.topupMaxNusd ?? 10_000n * USD,
    }),
    codes: new CodeService({ db, clock, random, sealer, throttle, credits }),
    webhooks: new WebhookService({
      db,
      clock,
      random,
      sealer,
      allowPrivateTargets: given.allowPrivateWebhooks ?? false,
    }),
    platform: new PlatformService({ db, clock, accounts, keys, requests, projector }),
  };
}
