/**
 * How a request ended. A closed union: it is the metric label, the access log's word and the usage record's column.
 * `refused_*` never reached a worker; the others did.
 */
export const OUTCOMES = [
  'served',
  /** Answered from what was kept of the first request under the same Idempotency-Key; not billed. */
  'replayed',
  'client_gone',
  'worker_lost',
  'worker_refused',
  'worker_error',
  'timed_out',
  'slow_reader_cut',
  'drained',
  'router_lost',
  'refused_auth',
  'refused_invalid',
  'refused_model',
  'refused_credit',
  'refused_rate',
  'refused_capacity',
  'refused_unavailable',
  'failed_internal',
] as const;
export type Outcome = (typeof OUTCOMES)[number];
