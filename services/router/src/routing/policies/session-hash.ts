import { crc32 } from '@tollgate/shared/domain/key';
import type { Policy } from '../policy.ts';
import { rendezvous } from './cost.ts';

/** Rendezvous hash of the session, else of the prompt's first block: no load term at all. */
export function sessionHash(): Policy {
  return {
    name: 'session-hash',
    pick(request, _book, candidates) {
      const key = request.session !== null ? crc32(request.session) : (request.blocks[0] ?? crc32(request.id));
      let best = candidates[0]!;
      for (const worker of candidates) {
        if (rendezvous(key, worker.hash) > rendezvous(key, best.hash)) best = worker;
      }
      return best;
    },
  };
}
