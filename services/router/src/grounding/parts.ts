import type { Clock } from '@tollgate/shared/runtime/clock';
import type { RouterConfig } from '../config.ts';
import { createRetrievalClient } from './client.ts';
import type { GroundParts } from './ground.ts';

/** `url`: of retrieval, where it is installed and a service token is there to show to it. */
export function groundParts(config: RouterConfig, url: string | undefined, clock: Clock): GroundParts {
  const serviceToken = config.TOLLGATE_SERVICE_TOKEN ?? '';
  return {
    ask:
      url === undefined
        ? null
        : createRetrievalClient({
            url: url.replace(/\/+$/, ''),
            serviceToken,
            timeoutMs: config.TOLLGATE_GROUND_TIMEOUT_MS,
            concurrency: config.TOLLGATE_GROUND_CONCURRENCY,
            perAccount: config.TOLLGATE_GROUND_PER_ACCOUNT,
          }),
    serviceToken,
    secret: config.TOLLGATE_KEY_PEPPER,
    nowMs: () => clock.nowMs(),
  };
}
