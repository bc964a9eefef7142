/**
 * Choosing without knowing what other routers do (Redis is gone): rendezvous hashing with bounded loads. Routers agree
 * without talking where a prompt goes, and no worker gets more than its even share and a quarter by any one of them.
 */
import { crc32 } from '@tollgate/shared/domain/key';
import type { RoutingRequest, WorkerBook } from '../fleet-book.ts';
import { rendezvous } from '../policies/cost.ts';

const OVER_EVEN = 1.25;
/** A conversation keeps its place from its eighth block on; before, its first block says. */
const KEY_BLOCK = 7;

export function boundedHash(request: RoutingRequest, candidates: readonly WorkerBook[]): WorkerBook {
  const { blocks, session, id } = request;
  const key = session !== null ? crc32(session) : (blocks[KEY_BLOCK] ?? blocks[0] ?? crc32(id));
  let running = 1;
  for (const worker of candidates) running += worker.running;
  const most = Math.ceil((OVER_EVEN * running) / candidates.length);
  let best: WorkerBook | null = null;
  for (const worker of candidates) {
    if (worker.running >= most) continue;
    if (best === null || rendezvous(key, worker.hash) > rendezvous(key, best.hash)) best = worker;
  }
  // There is always one below the bound: not all can be above the mean.
  return best ?? candidates[0]!;
}
