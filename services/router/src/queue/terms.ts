/** What a client says of waiting, in headers of its request. */
import { AppError } from '@tollgate/shared/domain/errors';
import type { HeaderOf } from '../contract/profile.ts';
import type { Lane } from './fair-queue.ts';

export interface QueueTerms {
  /** The longest wait for a worker, milliseconds; null = the operator's. 0 = now or not at all. */
  maxQueueMs: number | null;
  lane: Exclude<Lane, 'resumed'>;
  /** The client wants to hear of its place from the beginning. */
  wantsUpdates: boolean;
}

export const NO_TERMS: QueueTerms = { maxQueueMs: null, lane: 'interactive', wantsUpdates: false };

const MAX_QUEUE = 'x-tollgate-max-queue-ms';
const PRIORITY = 'x-tollgate-priority';
const UPDATES = 'x-tollgate-queue-updates';

/** Throws 400 for a header that means nothing: a client that asks for a deadline must not wait without one. */
export function readQueueTerms(header: HeaderOf): QueueTerms {
  const maxQueue = header(MAX_QUEUE);
  const priority = header(PRIORITY);
  const updates = header(UPDATES);
  if (maxQueue === undefined && priority === undefined && updates === undefined) return NO_TERMS;
  if (maxQueue !== undefined && !/^\d{1,9}$/.test(maxQueue)) throw bad(MAX_QUEUE, 'a number of milliseconds');
  if (priority !== undefined && priority !== 'batch' && priority !== 'interactive') {
    throw bad(PRIORITY, "'interactive' or 'batch'");
  }
  if (updates !== undefined && updates !== '0' && updates !== '1') throw bad(UPDATES, "'0' or '1'");
  return {
    maxQueueMs: maxQueue === undefined ? null : Number(maxQueue),
    lane: priority ?? 'interactive',
    wantsUpdates: updates === '1',
  };
}

function bad(name: string, expected: string): AppError {
  return new AppError('invalid_request', { param: name, message: `The header '${name}' must be ${expected}.` });
}
