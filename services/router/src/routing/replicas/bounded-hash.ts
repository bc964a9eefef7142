/**
 * Choosing without knowing what other routers do (Redis is gone): rendezvous hashing with bounded loads. Routers agree
 * without talking where a prompt goes, and no worker gets more than its even share and a quarter by any one of them.
 */
import { crc32 } from '@tollgate/shared/domain/key';
import { type RoutingRequest, tokensAt, type WorkerBook } from '../fleet-book.ts';
import { rendezvous } from '../policies/cost.ts';

const OVER_EVEN = 1.25;
/** A conversation keeps its place from so many tokens on; before, its first block says. */
const KEY_TOKENS = 2_048;

export function boundedHash(request: RoutingRequest, candidates: readonly WorkerBook[]): WorkerBook {
  const { session, id } = request;
  const key = session !== null ? crc32(session) : (keyBlock(request) ?? crc32(id));
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

/** The block in which a prompt's first `KEY_TOKENS` end; of a shorter prompt the first. */
function keyBlock(request: RoutingRequest): number | undefined {
  const { blocks } = request;
  for (let i = 0; i < blocks.length; i++) if (tokensAt(request, i + 1) >= KEY_TOKENS) return blocks[i];
  return blocks[0];
}
