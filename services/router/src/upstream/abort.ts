import type { Ticket } from '../fleet/worker.ts';
import { workerRequestId } from './body.ts';
import type { Pools } from './pools.ts';

const ABORT_TIMEOUT_MS = 2_000;

/**
 * Tells a worker whose connection was cut to stop generating, where the cut alone does not: SGLang looks up to 4
 * seconds later (facts/engines.md 3.4). Best effort; the cut itself is done.
 */
export function abortAtWorker(pools: Pick<Pools, 'call'>, { worker, dialect }: Ticket, requestId: string): void {
  if (dialect.engine !== 'sglang') return;
  // All ids have one length, so SGLang's match by prefix finds this one alone.
  const body = JSON.stringify({ rid: workerRequestId(requestId) });
  pools.call(worker, { method: 'POST', path: '/abort_request', body }, ABORT_TIMEOUT_MS).catch(() => {});
}
