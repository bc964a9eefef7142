/** The words for how a request ended, as a person would say them. */
import type { RequestLine } from '@tollgate/shared/contracts/console/requests';

export type OutcomeId = RequestLine['outcome'];

const NAMES: Record<OutcomeId, string> = {
  served: 'Served',
  replayed: 'Replayed',
  client_gone: 'Client left',
  worker_lost: 'Worker lost',
  worker_refused: 'Worker refused',
  worker_error: 'Worker error',
  timed_out: 'Timed out',
  slow_reader_cut: 'Reader too slow',
  drained: 'Cut at shutdown',
  router_lost: 'Router lost',
  refused_auth: 'Refused: key',
  refused_invalid: 'Refused: invalid',
  refused_model: 'Refused: model',
  refused_credit: 'Refused: credit',
  refused_rate: 'Refused: rate',
  refused_capacity: 'Refused: capacity',
  refused_unavailable: 'Refused: unavailable',
  failed_internal: 'Internal error',
};
const ids = Object.keys(NAMES) as OutcomeId[];

export const OUTCOME_CHOICES = ids.map((value) => ({ value, label: NAMES[value] }));
/** The name of an outcome; any other text (a model, a key) stays as it is. */
export const outcomeName = (id: string): string => NAMES[id as OutcomeId] ?? id;

export function outcomeTone(id: OutcomeId): 'ok' | 'warn' | 'bad' | 'plain' {
  if (id === 'served' || id === 'replayed') return 'ok';
  if (id === 'client_gone') return 'plain';
  return id.startsWith('refused_') ? 'warn' : 'bad';
}
