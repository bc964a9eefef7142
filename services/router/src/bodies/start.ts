/** Builds the courier of kept bodies from the router's configuration. */
import { KEPT_BODIES_PATH } from '@tollgate/shared/contracts/kept-body';
import { createBodyBox } from '@tollgate/shared/runtime/body-box';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { RouterConfig } from '../config.ts';
import type { Pools } from '../upstream/pools.ts';
import { BodyCourier, type BodyMetrics, COURIER_DEFAULTS, type SendBodies } from './courier.ts';

const CALL_MS = 5_000;

export interface CourierWorld {
  pools: Pick<Pools, 'call'>;
  clock: Clock;
  random: Random;
  logger: Logger;
  metrics: BodyMetrics;
}

/** Null: this router knows no metering, so bodies cannot be kept, whatever an account wishes. */
export function startCourier(config: RouterConfig, world: CourierWorld): BodyCourier | null {
  const { TOLLGATE_METERING_URL: url, TOLLGATE_SERVICE_TOKEN: token } = config;
  if (url === undefined || token === undefined) return null;
  return new BodyCourier({
    box: createBodyBox(config.TOLLGATE_KEY_PEPPER, world.random),
    send: toMetering(url, token, world.pools, world.logger),
    clock: world.clock,
    metrics: world.metrics,
    options: {
      ...COURIER_DEFAULTS,
      maxBodyBytes: config.TOLLGATE_KEPT_BODY_BYTES,
      maxBufferBytes: config.TOLLGATE_KEPT_BUFFER_BYTES,
    },
  });
}

function toMetering(url: string, token: string, pools: Pick<Pools, 'call'>, logger: Logger): SendBodies {
  const base = new URL(url);
  const path = base.pathname.replace(/\/$/, '') + KEPT_BODIES_PATH;
  const headers = { authorization: `Bearer ${token}` };
  return async (bodies) => {
    const body = JSON.stringify({ bodies });
    const { status } = await pools.call(base.origin, { method: 'POST', path, body, headers }, CALL_MS);
    if (status === 200) return 'taken';
    logger.debug({ status, bodies: bodies.length }, 'metering did not take kept bodies');
    // A metering of an older version answers 404: there it will be taken after its upgrade, or not at all.
    return status === 400 || status === 413 ? 'refused' : 'later';
  };
}
