/** The whole API of the console, as data. */
import { accountRoutes } from './http/accounts.ts';
import { authRoutes, meRoutes } from './http/auth.ts';
import { bodyRoutes } from './http/bodies.ts';
import { collectionRoutes } from './http/collections.ts';
import { creditRoutes } from './http/credits.ts';
import { keyRoutes } from './http/keys.ts';
import { ledgerRoutes } from './http/ledger.ts';
import { modelRoutes } from './http/models.ts';
import { organisationRoutes } from './http/organisations.ts';
import { platformRoutes } from './http/platform.ts';
import { priceRoutes } from './http/prices.ts';
import { receiptRoutes } from './http/receipts.ts';
import type { Route } from './http/route.ts';
import { topupRoutes } from './http/topup.ts';
import { usageRoutes } from './http/usage.ts';
import { screenRoutes } from './http/usage-screens.ts';
import { webhookRoutes } from './http/webhooks.ts';
import { workerRoutes } from './http/workers.ts';
import type { Services } from './services.ts';

export function allRoutes(services: Services): Route[] {
  return [
    ...authRoutes(services.signIn, services.sessions, services.oidc, services.resets),
    ...meRoutes(services.self),
    ...organisationRoutes(services.organisations),
    ...screenRoutes(services),
    ...collectionRoutes(services.collections),
    ...bodyRoutes(services.bodies),
    ...accountRoutes(services.accounts),
    ...keyRoutes(services.keys),
    ...creditRoutes(services.credits),
    ...topupRoutes(services.topup, services.codes),
    ...usageRoutes(services.usage),
    ...ledgerRoutes(services.credits),
    ...receiptRoutes(services.receipts),
    ...webhookRoutes(services.webhooks),
    ...modelRoutes(services.models),
    ...priceRoutes(services.models),
    ...workerRoutes(services.workers),
    ...platformRoutes(services.platform, services.fleet, services.settings),
  ];
}
