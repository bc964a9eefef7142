/** Where workers come from, as configured. */
import type { RouterConfig } from '../config.ts';
import type { DiscoveryOptions } from './sources.ts';

export function discoveryOptions(config: RouterConfig, redisEveryMs: number): DiscoveryOptions {
  return {
    listed: config.TOLLGATE_WORKERS.map(({ url, engine }) => ({ url, engine, models: null, leaving: false })),
    sources: config.TOLLGATE_DISCOVERY,
    redisEveryMs,
    kubernetes: {
      kubeconfig: config.TOLLGATE_KUBECONFIG ?? null,
      namespace: config.TOLLGATE_KUBERNETES_NAMESPACE ?? null,
      selector: config.TOLLGATE_KUBERNETES_SELECTOR,
      portName: config.TOLLGATE_KUBERNETES_PORT_NAME,
    },
  };
}
