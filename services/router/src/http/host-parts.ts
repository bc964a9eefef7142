/** What of the host's routes is no generation: quotes, paths of other services, worker endpoints that are opened. */
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { RouterConfig } from '../config.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { ServiceName } from '../service-paths.ts';
import { sendError } from './error-response.ts';
import { createPassThroughProxy } from './pass-through-proxy.ts';
import type { RouteParts } from './routes.ts';
import { createServiceProxy } from './service-proxy.ts';

/** Services that this installation has; all of them want the token. */
export function serviceUrls(config: RouterConfig): ReadonlyMap<ServiceName, string> {
  const urls: [ServiceName, string | undefined][] = [
    ['console', config.TOLLGATE_CONSOLE_URL],
    ['metering', config.TOLLGATE_METERING_URL],
    ['retrieval', config.TOLLGATE_RETRIEVAL_URL],
  ];
  if (config.TOLLGATE_SERVICE_TOKEN === undefined) return new Map();
  return new Map(urls.filter((entry): entry is [ServiceName, string] => entry[1] !== undefined));
}

export function hostParts(
  config: RouterConfig,
  services: ReadonlyMap<ServiceName, string>,
  parts: { money: MoneyScripts; fleet: Fleet; cacheSalt: (accountId: string) => string },
): Pick<RouteParts, 'passThrough' | 'services' | 'quoting'> {
  const { money, fleet, cacheSalt } = parts;
  return {
    passThrough: {
      routes: config.TOLLGATE_PASS_THROUGH,
      carry: createPassThroughProxy(config.TOLLGATE_PLAIN_TIMEOUT_MS),
    },
    services: {
      urls: services,
      pass: createServiceProxy({
        serviceToken: config.TOLLGATE_SERVICE_TOKEN ?? '',
        timeoutMs: config.TOLLGATE_SERVICE_TIMEOUT_MS,
        sendError,
      }),
    },
    quoting: {
      money,
      outboxBound: config.TOLLGATE_OUTBOX_BOUND,
      expectedFirstTokenMs: (ctx, maxOutputTokens) => {
        const { requestId: id, promptBytes } = ctx;
        const { accountId } = ctx.key!;
        const asked = { id, model: ctx.model!.id, accountId, text: ctx.text!, promptBytes, maxOutputTokens };
        return fleet.expectedFirstTokenMs(fleet.route({ ...asked, salt: cacheSalt(accountId) }, ctx.generation!));
      },
    },
  };
}
