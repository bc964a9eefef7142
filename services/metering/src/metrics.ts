/** Metering's own figures. No label names an account, a key or a request. */
import { Counter, Gauge, Histogram, type Registry } from '@tollgate/shared/runtime/metrics';

export interface MeteringMetrics {
  recordsTotal: Counter<'result'>;
  findingsTotal: Counter<'finding'>;
  uncollectedNusdTotal: Counter;
  outboxLength: Gauge;
  drainSeconds: Histogram;
  drainErrorsTotal: Counter;
  grantsTotal: Counter<'kind'>;
  grantedNusdTotal: Counter;
  needsTotal: Counter<'answer'>;
  needSeconds: Histogram;
  quarantinesTotal: Counter<'why'>;
  quarantinedLeases: Gauge;
  openLeases: Gauge;
  redisFull: Gauge;
  reapedTotal: Counter<'how'>;
  liveHolds: Gauge;
  leakedTotal: Counter;
  driftNusd: Gauge;
  reconcileFindings: Gauge<'check'>;
  engineDifferenceTokens: Gauge<'worker' | 'kind' | 'cause'>;
  batchLinesTotal: Counter<'state'>;
  loopErrorsTotal: Counter<'loop'>;
}

export function createMetrics(registry: Registry): MeteringMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Counter<L>({ name: `tollgate_${name}`, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge<L>({ name: `tollgate_${name}`, help, labelNames, registers });
  return {
    recordsTotal: counter('usage_records_total', 'Usage records read: posted, repeated, dead_letter.', ['result']),
    findingsTotal: counter('usage_findings_total', 'Usage records that need a look, by what is odd.', ['finding']),
    uncollectedNusdTotal: counter('uncollected_nusd_total', 'Billed work that no credit covered (nano-USD).'),
    outboxLength: gauge('outbox_records', 'Usage records in Redis that are not in Postgres yet.'),
    drainSeconds: new Histogram({
      name: 'tollgate_drain_batch_seconds',
      help: 'Time to post one batch of usage records.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    drainErrorsTotal: counter('drain_errors_total', 'Batches that were put back because a store did not work.'),
    grantsTotal: counter('lease_grants_total', 'Leases opened and topped up.', ['kind']),
    grantedNusdTotal: counter('lease_granted_nusd_total', 'Money moved into leases (nano-USD).'),
    needsTotal: counter('lease_needs_total', 'Needs answered: covered, short, failed.', ['answer']),
    needSeconds: new Histogram({
      name: 'tollgate_lease_need_seconds',
      help: 'Time from taking a need to its answer.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    }),
    quarantinesTotal: counter('lease_quarantines_total', 'Leases taken out of use, by cause.', ['why']),
    quarantinedLeases: gauge('quarantined_leases', 'Leases whose rest waits to be released.'),
    openLeases: gauge('open_leases', 'Leases in use.'),
    redisFull: gauge('redis_full', '1 while Redis is near its memory limit and admissions are refused.'),
    reapedTotal: counter('reaped_holds_total', 'Holds of routers that are gone: reaped (billed), voided.', ['how']),
    liveHolds: gauge('live_holds', 'Requests that hold credit at present.'),
    leakedTotal: counter('leaked_concurrency_total', 'Entries taken off concurrency sets that no hold stood for.'),
    driftNusd: gauge('ledger_drift_nusd', 'Sum of all differences that the last reconciliation found; 0 is right.'),
    reconcileFindings: gauge('reconcile_findings', 'Differences of the last reconciliation, by check.', ['check']),
    engineDifferenceTokens: gauge(
      'engine_tokens_difference',
      'Tokens of the last 24 whole hours that an engine counted and nobody was billed for (negative: the other way round), by cause.',
      ['worker', 'kind', 'cause'],
    ),
    batchLinesTotal: counter('batch_lines_total', 'Lines of batches that have ended: done, failed.', ['state']),
    loopErrorsTotal: counter('loop_errors_total', 'Rounds of a background loop that failed and are repeated.', [
      'loop',
    ]),
  };
}
