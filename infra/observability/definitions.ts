/**
 * What an operator watches, in one place: scrape jobs, recording rules, alerts with a firing and a quiet case each, and
 * dashboards. `generate.ts` writes the files that Prometheus and Grafana read from it; a test keeps them current and
 * checks that every metric and label named here is exported by a service.
 */

export interface ScrapeJob {
  name: string;
  targets: string[];
  /** Other than `/metrics`. */
  path?: string;
  /** Only a profile starts it: asked while its name resolves, and not missed otherwise. */
  optional?: true;
}

/** One time series of a rule test, in promtool's notation: `{ 'up{job="x"}': '1x10 0x10' }`. */
export type Series = Record<string, string>;

export interface Alert {
  name: string;
  /** `page`: money or service is being lost now. `ticket`: look within a day. */
  severity: 'page' | 'ticket';
  expr: string;
  /** Minutes for which the expression must hold. */
  forMinutes: number;
  /** May use `{{ $labels.x }}`. */
  summary: string;
  /** A case in which it fires at minute `at` with these labels, and one in which it stays quiet. */
  fires: { series: Series; at: number; labels: Record<string, string> };
  quiet: { series: Series; at: number };
}

export interface Recording {
  record: string;
  expr: string;
}

type Unit = 'short' | 's' | 'percentunit' | 'reqps' | 'bytes' | 'currencyUSD' | 'cps';

export interface Panel {
  title: string;
  /** What to read from it. */
  about: string;
  unit: Unit;
  kind?: 'timeseries' | 'stat';
  queries: { expr: string; legend: string }[];
}

export interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
}

export const scrapeJobs: ScrapeJob[] = [
  { name: 'tollgate-router', targets: ['router:9100'] },
  { name: 'tollgate-console', targets: ['console:9100'] },
  { name: 'tollgate-metering', targets: ['metering:9100'] },
  { name: 'tollgate-retrieval', targets: ['retrieval:9100'], optional: true },
  { name: 'vllm', targets: ['vllm:8000'] },
];

/** Ends that are nobody's wish: the fleet's or ours, not the client's. */
const FAILED =
  'worker_lost|worker_error|timed_out|drained|router_lost|failed_internal|refused_capacity|refused_unavailable';

export const recordings: Recording[] = [
  { record: 'tollgate:requests:rate5m', expr: 'sum by (model, outcome) (rate(tollgate_requests_total[5m]))' },
  {
    record: 'tollgate:requests_failed:share5m',
    expr: `sum(rate(tollgate_requests_total{outcome=~"${FAILED}"}[5m])) / sum(rate(tollgate_requests_total[5m]))`,
  },
  {
    record: 'tollgate:time_to_first_token_seconds:p95_5m',
    expr: 'histogram_quantile(0.95, sum by (model, le) (rate(tollgate_time_to_first_token_seconds_bucket[5m])))',
  },
];

export const alerts: Alert[] = [
  {
    name: 'TollgateTargetDown',
    severity: 'page',
    expr: 'up{job=~"tollgate-.*"} == 0',
    forMinutes: 2,
    summary: '{{ $labels.job }} at {{ $labels.instance }} does not answer its metrics port.',
    fires: {
      series: { 'up{job="tollgate-router",instance="router:9100"}': '1x5 0x10' },
      at: 10,
      labels: { job: 'tollgate-router', instance: 'router:9100' },
    },
    quiet: { series: { 'up{job="vllm",instance="vllm:8000"}': '0x20' }, at: 15 },
  },
  {
    name: 'TollgateNoWorker',
    severity: 'page',
    expr: 'sum by (instance) (tollgate_worker_up) == 0',
    forMinutes: 1,
    summary: 'Router {{ $labels.instance }} has no worker: every request is answered 503.',
    fires: {
      series: {
        'tollgate_worker_up{instance="r1",worker="w1"}': '1x3 0x10',
        'tollgate_worker_up{instance="r1",worker="w2"}': '0x20',
      },
      at: 10,
      labels: { instance: 'r1' },
    },
    quiet: {
      series: {
        'tollgate_worker_up{instance="r1",worker="w1"}': '1x20',
        'tollgate_worker_up{instance="r1",worker="w2"}': '0x20',
      },
      at: 10,
    },
  },
  {
    name: 'TollgateModelWithoutWorker',
    severity: 'page',
    expr: 'sum(rate(tollgate_rejections_total{reason="no_worker"}[5m])) > 0.05',
    forMinutes: 2,
    summary: 'Requests are refused with no_worker: a model that is on sale has no worker.',
    fires: { series: { 'tollgate_rejections_total{reason="no_worker"}': '0+60x30' }, at: 15, labels: {} },
    quiet: {
      series: {
        'tollgate_rejections_total{reason="no_worker"}': '0x5 2x30',
        'tollgate_rejections_total{reason="model_not_found"}': '0+600x30',
      },
      at: 8,
    },
  },
  {
    name: 'TollgateWorkerDown',
    severity: 'ticket',
    expr: 'max by (worker) (tollgate_worker_up) == 0',
    forMinutes: 5,
    summary: 'No router reaches worker {{ $labels.worker }}.',
    fires: { series: { 'tollgate_worker_up{instance="r1",worker="w1"}': '0x20' }, at: 10, labels: { worker: 'w1' } },
    quiet: {
      series: {
        'tollgate_worker_up{instance="r1",worker="w1"}': '0x20',
        'tollgate_worker_up{instance="r2",worker="w1"}': '1x20',
      },
      at: 10,
    },
  },
  {
    name: 'TollgateRequestsFail',
    severity: 'page',
    expr: 'tollgate:requests_failed:share5m > 0.02 and sum(rate(tollgate_requests_total[5m])) > 0.1',
    forMinutes: 5,
    summary: "More than 2 % of requests fail for reasons that are not the client's.",
    fires: {
      series: {
        'tollgate_requests_total{model="m",outcome="served",code="200"}': '0+600x30',
        'tollgate_requests_total{model="m",outcome="worker_lost",code="502"}': '0+60x30',
      },
      at: 20,
      labels: {},
    },
    quiet: {
      series: {
        'tollgate_requests_total{model="m",outcome="served",code="200"}': '0+600x30',
        'tollgate_requests_total{model="m",outcome="refused_rate",code="429"}': '0+600x30',
      },
      at: 20,
    },
  },
  {
    name: 'TollgateFirstTokenSlow',
    severity: 'ticket',
    expr: 'tollgate:time_to_first_token_seconds:p95_5m > 5',
    forMinutes: 10,
    summary: 'One request in 20 to {{ $labels.model }} waits more than 5 s for its first token.',
    fires: {
      series: {
        'tollgate_time_to_first_token_seconds_bucket{model="m",le="5"}': '0+50x40',
        'tollgate_time_to_first_token_seconds_bucket{model="m",le="10"}': '0+100x40',
        'tollgate_time_to_first_token_seconds_bucket{model="m",le="+Inf"}': '0+100x40',
      },
      at: 30,
      labels: { model: 'm' },
    },
    quiet: {
      series: {
        'tollgate_time_to_first_token_seconds_bucket{model="m",le="5"}': '0+100x40',
        'tollgate_time_to_first_token_seconds_bucket{model="m",le="+Inf"}': '0+100x40',
      },
      at: 30,
    },
  },
  {
    name: 'TollgateQueueWaits',
    severity: 'ticket',
    expr: 'histogram_quantile(0.95, sum by (model, le) (rate(tollgate_queue_wait_seconds_bucket{lane="interactive"}[5m]))) > 10',
    forMinutes: 10,
    summary: 'Requests to {{ $labels.model }} wait more than 10 s for a worker: there are too few.',
    fires: {
      series: {
        'tollgate_queue_wait_seconds_bucket{model="m",lane="interactive",le="10"}': '0+50x40',
        'tollgate_queue_wait_seconds_bucket{model="m",lane="interactive",le="30"}': '0+100x40',
        'tollgate_queue_wait_seconds_bucket{model="m",lane="interactive",le="+Inf"}': '0+100x40',
      },
      at: 30,
      labels: { model: 'm' },
    },
    quiet: {
      series: {
        'tollgate_queue_wait_seconds_bucket{model="m",lane="batch",le="10"}': '0+0x40',
        'tollgate_queue_wait_seconds_bucket{model="m",lane="batch",le="120"}': '0+100x40',
        'tollgate_queue_wait_seconds_bucket{model="m",lane="batch",le="+Inf"}': '0+100x40',
        'tollgate_queue_wait_seconds_bucket{model="m",lane="interactive",le="10"}': '0+100x40',
        'tollgate_queue_wait_seconds_bucket{model="m",lane="interactive",le="+Inf"}': '0+100x40',
      },
      at: 30,
    },
  },
  {
    name: 'TollgateRouterDeaf',
    severity: 'ticket',
    expr: 'max by (instance) (tollgate_replica_blind) == 1',
    forMinutes: 5,
    summary: 'Router {{ $labels.instance }} does not hear the others: it chooses workers by hash.',
    fires: { series: { 'tollgate_replica_blind{instance="r1"}': '0x3 1x20' }, at: 12, labels: { instance: 'r1' } },
    quiet: { series: { 'tollgate_replica_blind{instance="r1"}': '0x3 1x2 0x20' }, at: 12 },
  },
  {
    name: 'TollgateStoreUnavailable',
    severity: 'page',
    expr: 'sum by (reason) (rate(tollgate_rejections_total{reason=~"store_unavailable|credit_unavailable"}[5m])) > 0.1',
    forMinutes: 2,
    summary: 'Requests are refused with {{ $labels.reason }}: Redis or the lease keeper does not answer.',
    fires: {
      series: { 'tollgate_rejections_total{reason="store_unavailable"}': '0+60x30' },
      at: 15,
      labels: { reason: 'store_unavailable' },
    },
    quiet: { series: { 'tollgate_rejections_total{reason="insufficient_credits"}': '0+600x30' }, at: 15 },
  },
  {
    name: 'TollgateMeteringBehind',
    severity: 'page',
    expr: 'sum(tollgate_outbox_records) > 20000 or sum(rate(tollgate_rejections_total{reason="metering_behind"}[5m])) > 0',
    forMinutes: 5,
    summary: 'Usage records pile up in Redis; at the bound, requests are refused.',
    fires: { series: { tollgate_outbox_records: '0 30000x20' }, at: 15, labels: {} },
    quiet: { series: { tollgate_outbox_records: '0 1000x20' }, at: 15 },
  },
  {
    name: 'TollgateDrainErrors',
    severity: 'ticket',
    expr: 'sum(increase(tollgate_drain_errors_total[10m])) > 3',
    forMinutes: 5,
    summary: 'Batches of usage records are put back again and again.',
    fires: { series: { tollgate_drain_errors_total: '0+1x40' }, at: 30, labels: {} },
    quiet: { series: { tollgate_drain_errors_total: '0x10 1x40' }, at: 30 },
  },
  {
    name: 'TollgateRedisFull',
    severity: 'page',
    expr: 'max(tollgate_redis_full) == 1',
    forMinutes: 1,
    summary: 'Redis is near its memory limit: new requests are refused.',
    fires: { series: { tollgate_redis_full: '0x3 1x10' }, at: 8, labels: {} },
    quiet: { series: { tollgate_redis_full: '0x20' }, at: 8 },
  },
  {
    name: 'TollgateLedgerDrift',
    severity: 'page',
    expr: 'max(abs(tollgate_ledger_drift_nusd)) > 0',
    forMinutes: 0,
    summary: 'The last reconciliation found books that do not agree.',
    fires: { series: { tollgate_ledger_drift_nusd: '0x3 -5x10' }, at: 8, labels: {} },
    quiet: { series: { tollgate_ledger_drift_nusd: '0x20' }, at: 8 },
  },
  {
    name: 'TollgateBillsAboveEngine',
    severity: 'page',
    expr: 'sum by (worker) (tollgate_engine_tokens_difference{cause="overbilled"}) < 0',
    forMinutes: 0,
    summary: 'More tokens were billed than {{ $labels.worker }} counted itself.',
    fires: {
      series: { 'tollgate_engine_tokens_difference{worker="w",kind="prompt",cause="overbilled"}': '0x3 -5x10' },
      at: 8,
      labels: { worker: 'w' },
    },
    quiet: {
      series: { 'tollgate_engine_tokens_difference{worker="w",kind="prompt",cause="foreign"}': '900x20' },
      at: 8,
    },
  },
  {
    name: 'TollgateForeignTraffic',
    severity: 'ticket',
    expr: 'sum by (worker) (tollgate_engine_tokens_difference{cause="foreign"}) > 10000',
    forMinutes: 0,
    summary: '{{ $labels.worker }} did work that came past the routers: nobody pays for it.',
    fires: {
      series: { 'tollgate_engine_tokens_difference{worker="w",kind="completion",cause="foreign"}': '20000x20' },
      at: 8,
      labels: { worker: 'w' },
    },
    quiet: {
      series: { 'tollgate_engine_tokens_difference{worker="w",kind="prompt",cause="aborted"}': '90000x20' },
      at: 8,
    },
  },
  {
    name: 'TollgateDeadLetters',
    severity: 'ticket',
    expr: 'sum(increase(tollgate_usage_records_total{result="dead_letter"}[1h])) > 0',
    forMinutes: 0,
    summary: 'Usage records could not be read and wait for a person.',
    fires: { series: { 'tollgate_usage_records_total{result="dead_letter"}': '0x5 1x30' }, at: 20, labels: {} },
    quiet: { series: { 'tollgate_usage_records_total{result="posted"}': '0+500x30' }, at: 20 },
  },
  {
    name: 'TollgateUncollected',
    severity: 'ticket',
    expr: 'sum(increase(tollgate_uncollected_nusd_total[1h])) > 1e9',
    forMinutes: 0,
    summary: 'More than 1 USD of work within an hour was covered by no credit.',
    fires: { series: { tollgate_uncollected_nusd_total: '0+100000000x60' }, at: 50, labels: {} },
    quiet: { series: { tollgate_uncollected_nusd_total: '0+1000x60' }, at: 50 },
  },
  {
    name: 'TollgateLeaseAnswersSlow',
    severity: 'ticket',
    expr: 'histogram_quantile(0.99, sum by (le) (rate(tollgate_lease_need_seconds_bucket[5m]))) > 0.25',
    forMinutes: 5,
    summary: 'The lease keeper takes long; at 500 ms requests are answered 503.',
    fires: {
      series: {
        'tollgate_lease_need_seconds_bucket{le="0.25"}': '0+50x30',
        'tollgate_lease_need_seconds_bucket{le="0.5"}': '0+100x30',
        'tollgate_lease_need_seconds_bucket{le="+Inf"}': '0+100x30',
      },
      at: 20,
      labels: {},
    },
    quiet: {
      series: {
        'tollgate_lease_need_seconds_bucket{le="0.1"}': '0+100x30',
        'tollgate_lease_need_seconds_bucket{le="0.25"}': '0+100x30',
        'tollgate_lease_need_seconds_bucket{le="+Inf"}': '0+100x30',
      },
      at: 20,
    },
  },
  {
    name: 'TollgateLeasesQuarantined',
    severity: 'ticket',
    expr: 'sum by (why) (increase(tollgate_lease_quarantines_total[15m])) > 0',
    forMinutes: 0,
    summary: 'Leases were taken out of use: {{ $labels.why }}.',
    fires: {
      series: { 'tollgate_lease_quarantines_total{why="history"}': '0x5 3x20' },
      at: 10,
      labels: { why: 'history' },
    },
    quiet: { series: { 'tollgate_lease_quarantines_total{why="history"}': '3x30' }, at: 20 },
  },
  {
    name: 'TollgateHoldsReaped',
    severity: 'ticket',
    expr: 'sum(increase(tollgate_reaped_holds_total[15m])) > 10',
    forMinutes: 0,
    summary: 'Holds of routers that are gone were ended by the reaper.',
    fires: { series: { 'tollgate_reaped_holds_total{how="reaped"}': '0x5 40x20' }, at: 10, labels: {} },
    quiet: { series: { 'tollgate_reaped_holds_total{how="voided"}': '0x5 2x20' }, at: 10 },
  },
  {
    name: 'TollgateSpoolUnsafe',
    severity: 'page',
    expr: 'sum by (instance) (increase(tollgate_spool_fsync_failed_total[10m])) > 0',
    forMinutes: 0,
    summary: 'The disk of router {{ $labels.instance }} refuses the spool: bills rest on Redis alone.',
    fires: {
      series: { 'tollgate_spool_fsync_failed_total{instance="r1"}': '0x5 2x20' },
      at: 10,
      labels: { instance: 'r1' },
    },
    quiet: { series: { 'tollgate_spool_fsync_failed_total{instance="r1"}': '2x30' }, at: 20 },
  },
  {
    name: 'TollgateSpoolGrows',
    severity: 'ticket',
    expr: 'max by (instance) (tollgate_spool_bytes) > 1e8',
    forMinutes: 10,
    summary: 'Router {{ $labels.instance }} keeps more than 100 MB of bills that Postgres has not confirmed.',
    fires: { series: { 'tollgate_spool_bytes{instance="r1"}': '2e8x30' }, at: 20, labels: { instance: 'r1' } },
    quiet: { series: { 'tollgate_spool_bytes{instance="r1"}': '1e6x30' }, at: 20 },
  },
  {
    name: 'TollgateEventLoopSlow',
    severity: 'ticket',
    expr: 'nodejs_eventloop_lag_p99_seconds{job=~"tollgate-.*"} > 0.05',
    forMinutes: 5,
    summary: '{{ $labels.job }} at {{ $labels.instance }} is short of CPU: its event loop stalls.',
    fires: {
      series: { 'nodejs_eventloop_lag_p99_seconds{job="tollgate-router",instance="r1"}': '0.2x20' },
      at: 10,
      labels: { job: 'tollgate-router', instance: 'r1' },
    },
    quiet: { series: { 'nodejs_eventloop_lag_p99_seconds{job="tollgate-router",instance="r1"}': '0.012x20' }, at: 10 },
  },
  {
    name: 'TollgateBackgroundLoopFails',
    severity: 'ticket',
    expr: 'sum by (loop) (increase(tollgate_loop_errors_total[10m])) > 5',
    forMinutes: 5,
    summary: "Metering's {{ $labels.loop }} loop fails and is repeated.",
    fires: { series: { 'tollgate_loop_errors_total{loop="reaper"}': '0+2x40' }, at: 30, labels: { loop: 'reaper' } },
    quiet: { series: { 'tollgate_loop_errors_total{loop="reaper"}': '0x10 1x40' }, at: 30 },
  },
  {
    name: 'TollgateRetrievalFails',
    severity: 'ticket',
    expr: 'sum(rate(tollgate_retrieval_request_seconds_count{status=~"5.."}[5m])) > 0.05 * sum(rate(tollgate_retrieval_request_seconds_count[5m])) and sum(rate(tollgate_retrieval_request_seconds_count{status=~"5.."}[5m])) > 0.02',
    forMinutes: 5,
    summary: 'More than 5 % of requests to retrieval fail: requests with rag_params are answered 503.',
    fires: {
      series: {
        'tollgate_retrieval_request_seconds_count{operation="ground",status="200"}': '0+60x30',
        'tollgate_retrieval_request_seconds_count{operation="ground",status="503"}': '0+10x30',
      },
      at: 20,
      labels: {},
    },
    quiet: {
      series: {
        'tollgate_retrieval_request_seconds_count{operation="ground",status="200"}': '0+600x30',
        'tollgate_retrieval_request_seconds_count{operation="ground",status="404"}': '0+600x30',
        'tollgate_retrieval_request_seconds_count{operation="ground",status="503"}': '0x5 1x25',
      },
      at: 20,
    },
  },
  {
    name: 'TollgateFilesFail',
    severity: 'ticket',
    expr: 'sum(increase(tollgate_retrieval_files_total{end="failed"}[1h])) > 20 and sum(increase(tollgate_retrieval_files_total{end="failed"}[1h])) > 0.5 * sum(increase(tollgate_retrieval_files_total[1h]))',
    forMinutes: 0,
    summary: 'More than half of the files that customers gave to collections could not be read.',
    fires: {
      series: {
        'tollgate_retrieval_files_total{end="failed"}': '0+1x60',
        'tollgate_retrieval_files_total{end="completed"}': '0x60',
      },
      at: 50,
      labels: {},
    },
    quiet: {
      series: {
        'tollgate_retrieval_files_total{end="failed"}': '0+1x60',
        'tollgate_retrieval_files_total{end="completed"}': '0+9x60',
      },
      at: 50,
    },
  },
  {
    name: 'TollgateBatchLinesFail',
    severity: 'ticket',
    expr: 'sum(increase(tollgate_batch_lines_total{state="failed"}[30m])) > 100 and sum(increase(tollgate_batch_lines_total{state="failed"}[30m])) > 0.5 * sum(increase(tollgate_batch_lines_total[30m]))',
    forMinutes: 0,
    summary: 'More than half of the lines of batches end with an error.',
    fires: {
      series: {
        'tollgate_batch_lines_total{state="failed"}': '0+20x60',
        'tollgate_batch_lines_total{state="done"}': '0+5x60',
      },
      at: 40,
      labels: {},
    },
    quiet: {
      series: {
        'tollgate_batch_lines_total{state="failed"}': '0+20x60',
        'tollgate_batch_lines_total{state="done"}': '0+100x60',
      },
      at: 40,
    },
  },
];

const p95 = (metric: string, by: string) =>
  `histogram_quantile(0.95, sum by (${by}, le) (rate(${metric}_bucket[$__rate_interval])))`;
const p50 = (metric: string, by: string) =>
  `histogram_quantile(0.5, sum by (${by}, le) (rate(${metric}_bucket[$__rate_interval])))`;
const rate = (metric: string, by: string) => `sum by (${by}) (rate(${metric}[$__rate_interval]))`;

export const dashboards: Dashboard[] = [
  {
    uid: 'tollgate-requests',
    title: 'Tollgate: requests',
    panels: [
      {
        title: 'Requests by outcome',
        about: 'Everything that reached a router. refused_* never reached a worker.',
        unit: 'reqps',
        queries: [{ expr: rate('tollgate_requests_total', 'outcome'), legend: '{{outcome}}' }],
      },
      {
        title: 'Failed share',
        about: "Ends that are not the client's doing. The alert stands at 2 %.",
        unit: 'percentunit',
        queries: [{ expr: 'tollgate:requests_failed:share5m', legend: 'failed' }],
      },
      {
        title: 'Time to first token',
        about: 'From the first header to the first token or whole answer.',
        unit: 's',
        queries: [
          { expr: p50('tollgate_time_to_first_token_seconds', 'model'), legend: 'p50 {{model}}' },
          { expr: p95('tollgate_time_to_first_token_seconds', 'model'), legend: 'p95 {{model}}' },
        ],
      },
      {
        title: 'Time between tokens',
        about: 'After the first one; the mean of each finished stream.',
        unit: 's',
        queries: [
          { expr: p50('tollgate_inter_token_latency_seconds', 'model'), legend: 'p50 {{model}}' },
          { expr: p95('tollgate_inter_token_latency_seconds', 'model'), legend: 'p95 {{model}}' },
        ],
      },
      {
        title: 'Duration',
        about: 'From the first header to the bill.',
        unit: 's',
        queries: [
          { expr: p50('tollgate_request_duration_seconds', 'model'), legend: 'p50 {{model}}' },
          { expr: p95('tollgate_request_duration_seconds', 'model'), legend: 'p95 {{model}}' },
        ],
      },
      {
        title: 'In flight',
        about: 'Requests under way, by router.',
        unit: 'short',
        queries: [{ expr: 'sum by (instance) (tollgate_inflight_requests)', legend: '{{instance}}' }],
      },
      {
        title: 'Tokens',
        about: 'Billed tokens per second. cached is a part of input.',
        unit: 'cps',
        queries: ['input', 'cached', 'output'].map((kind) => ({
          expr: `sum(rate(tollgate_${kind}_tokens_total[$__rate_interval]))`,
          legend: kind,
        })),
      },
      {
        title: 'Event loop lag p99',
        about: 'Above 50 ms a process is short of CPU.',
        unit: 's',
        queries: [{ expr: 'nodejs_eventloop_lag_p99_seconds{job=~"tollgate-.*"}', legend: '{{job}} {{instance}}' }],
      },
      {
        title: 'Resident memory',
        about: 'Watch for a slope that follows no traffic.',
        unit: 'bytes',
        queries: [{ expr: 'process_resident_memory_bytes{job=~"tollgate-.*"}', legend: '{{job}} {{instance}}' }],
      },
    ],
  },
  {
    uid: 'tollgate-fleet',
    title: 'Tollgate: fleet',
    panels: [
      {
        title: 'Workers up',
        about: "As the routers' probes see them.",
        unit: 'short',
        kind: 'stat',
        queries: [{ expr: 'sum(max by (worker) (tollgate_worker_up))', legend: 'up' }],
      },
      {
        title: 'Running by worker',
        about: 'Requests of all routers at each worker.',
        unit: 'short',
        queries: [{ expr: 'sum by (worker) (tollgate_worker_running)', legend: '{{worker}}' }],
      },
      {
        title: 'Waiting for the first token',
        about: 'Part of the running ones. Long here and short elsewhere = uneven choice.',
        unit: 'short',
        queries: [{ expr: 'sum by (worker) (tollgate_worker_waiting)', legend: '{{worker}}' }],
      },
      {
        title: 'KV cache in use',
        about: 'As polled from the engine.',
        unit: 'percentunit',
        queries: [{ expr: 'max by (worker) (tollgate_worker_kv_cache_usage)', legend: '{{worker}}' }],
      },
      {
        title: 'Attempts by result',
        about: 'A request counts once per worker that it was sent to.',
        unit: 'reqps',
        queries: [
          { expr: rate('tollgate_upstream_attempts_total', 'worker, result'), legend: '{{worker}} {{result}}' },
        ],
      },
      {
        title: 'Retries',
        about: 'Requests sent to a second worker before their first byte.',
        unit: 'reqps',
        queries: [{ expr: rate('tollgate_upstream_retries_total', 'reason'), legend: '{{reason}}' }],
      },
      {
        title: 'Changes of state',
        about: 'Joining, ready, draining, gone.',
        unit: 'cps',
        queries: [{ expr: rate('tollgate_worker_transitions_total', 'worker, to'), legend: '{{worker}} to {{to}}' }],
      },
      {
        title: 'Breakers',
        about: 'open: the worker failed too often and gets nothing for a while.',
        unit: 'cps',
        queries: [{ expr: rate('tollgate_worker_breaker_total', 'worker, to'), legend: '{{worker}} {{to}}' }],
      },
      {
        title: 'Waiting in the queue',
        about: 'Requests without a worker, of all routers. What lasts here is missing capacity.',
        unit: 'short',
        queries: [{ expr: 'sum by (model) (tollgate_queue_depth)', legend: '{{model}}' }],
      },
      {
        title: 'Wait for a worker p95',
        about: 'Of the requests that had to wait. Batch may wait long, interactive ones may not.',
        unit: 's',
        queries: [{ expr: p95('tollgate_queue_wait_seconds', 'model, lane'), legend: '{{model}} {{lane}}' }],
      },
      {
        title: 'Left the queue without a worker',
        about: 'full, deadline, no_worker: told to the client as 503. left: the client went away.',
        unit: 'reqps',
        queries: [{ expr: rate('tollgate_queue_rejections_total', 'model, reason'), legend: '{{model}} {{reason}}' }],
      },
      {
        title: 'Streams that lost their worker',
        about: 'resumed: went on at another worker, the client saw a pause. ended: with an error event.',
        unit: 'cps',
        queries: [{ expr: rate('tollgate_stream_resumes_total', 'reason, result'), legend: '{{reason}} {{result}}' }],
      },
      {
        title: 'Prompt found in caches',
        about: 'Share of prompt tokens, by worker, since its start. Routing keeps conversations together.',
        unit: 'percentunit',
        queries: [{ expr: 'max by (worker) (tollgate_worker_prefix_hit_ratio)', legend: '{{worker}}' }],
      },
      {
        title: 'Routers hear each other',
        about: 'Age of what they know of each other (p95), and those that hear nobody (1).',
        unit: 's',
        queries: [
          {
            expr: 'histogram_quantile(0.95, sum by (le) (rate(tollgate_replica_lag_seconds_bucket[$__rate_interval])))',
            legend: 'lag p95',
          },
          { expr: 'max by (instance) (tollgate_replica_blind)', legend: 'deaf {{instance}}' },
        ],
      },
    ],
  },
  {
    uid: 'tollgate-money',
    title: 'Tollgate: money',
    panels: [
      {
        title: 'Ledger drift',
        about: 'Must be 0. Sum of all differences of the last reconciliation, nano-USD.',
        unit: 'short',
        kind: 'stat',
        queries: [{ expr: 'max(abs(tollgate_ledger_drift_nusd))', legend: 'drift' }],
      },
      {
        title: 'Counted by engines, not billed',
        about: 'Tokens of the last 24 whole hours by cause. Below 0: billed and not counted.',
        unit: 'short',
        queries: [{ expr: 'sum by (kind, cause) (tollgate_engine_tokens_difference)', legend: '{{kind}} {{cause}}' }],
      },
      {
        title: 'Billed',
        about: 'USD per hour by model, for graphs; the ledger is exact.',
        unit: 'currencyUSD',
        queries: [
          {
            expr: 'sum by (model) (rate(tollgate_credits_settled_usd_total[$__rate_interval])) * 3600',
            legend: '{{model}}',
          },
        ],
      },
      {
        title: 'Held',
        about: 'USD held for requests under way, by router.',
        unit: 'currencyUSD',
        queries: [{ expr: 'sum by (instance) (tollgate_credits_reserved_usd)', legend: '{{instance}}' }],
      },
      {
        title: 'Records waiting',
        about: "Finished requests that Postgres does not have yet: in Redis, and in the routers' spools.",
        unit: 'short',
        queries: [
          { expr: 'sum(tollgate_outbox_records)', legend: 'outbox' },
          { expr: 'sum by (instance) (tollgate_spool_unconfirmed_records)', legend: 'spool {{instance}}' },
        ],
      },
      {
        title: 'Records drained',
        about: 'posted, repeated, dead_letter.',
        unit: 'cps',
        queries: [{ expr: rate('tollgate_usage_records_total', 'result'), legend: '{{result}}' }],
      },
      {
        title: 'Drain batch',
        about: 'Time to post one batch.',
        unit: 's',
        queries: [
          {
            expr: 'histogram_quantile(0.95, sum by (le) (rate(tollgate_drain_batch_seconds_bucket[$__rate_interval])))',
            legend: 'p95',
          },
        ],
      },
      {
        title: 'Leases',
        about: 'Open ones, and those whose rest waits to be released.',
        unit: 'short',
        queries: [
          { expr: 'sum(tollgate_open_leases)', legend: 'open' },
          { expr: 'sum(tollgate_quarantined_leases)', legend: 'quarantined' },
        ],
      },
      {
        title: 'Lease answers',
        about: 'p99 of the keeper. At 0.5 s a request is refused.',
        unit: 's',
        queries: [
          {
            expr: 'histogram_quantile(0.99, sum by (le) (rate(tollgate_lease_need_seconds_bucket[$__rate_interval])))',
            legend: 'p99',
          },
        ],
      },
      {
        title: 'Holds',
        about: 'Requests that hold credit now, and holds that the reaper had to end.',
        unit: 'short',
        queries: [
          { expr: 'sum(tollgate_live_holds)', legend: 'live' },
          { expr: 'sum by (how) (increase(tollgate_reaped_holds_total[$__rate_interval]))', legend: '{{how}}' },
        ],
      },
      {
        title: 'Odd bills',
        about: 'Clipped to the hold, counted from bytes, covered by no credit.',
        unit: 'cps',
        queries: [
          { expr: 'sum(rate(tollgate_settle_clipped_total[$__rate_interval]))', legend: 'clipped' },
          { expr: 'sum(rate(tollgate_settle_estimated_total[$__rate_interval]))', legend: 'estimated' },
          { expr: 'sum by (finding) (rate(tollgate_usage_findings_total[$__rate_interval]))', legend: '{{finding}}' },
        ],
      },
    ],
  },
  {
    uid: 'tollgate-documents',
    title: 'Tollgate: documents and batches',
    panels: [
      {
        title: 'Requests to retrieval',
        about: 'By operation. ground: a generation with rag_params.',
        unit: 'reqps',
        queries: [{ expr: rate('tollgate_retrieval_request_seconds_count', 'operation'), legend: '{{operation}}' }],
      },
      {
        title: 'Time of retrieval p95',
        about: "The question's embedding by the fleet is part of it.",
        unit: 's',
        queries: [{ expr: p95('tollgate_retrieval_request_seconds', 'operation'), legend: '{{operation}}' }],
      },
      {
        title: 'Retrieval by status',
        about: '404: unknown or foreign collection. 5xx: ours.',
        unit: 'reqps',
        queries: [{ expr: rate('tollgate_retrieval_request_seconds_count', 'status'), legend: '{{status}}' }],
      },
      {
        title: 'Files read',
        about: 'failed: the file says why. dropped: taken away meanwhile.',
        unit: 'cps',
        queries: [{ expr: rate('tollgate_retrieval_files_total', 'end'), legend: '{{end}}' }],
      },
      {
        title: 'Lines of batches',
        about: 'Ended, per second.',
        unit: 'cps',
        queries: [{ expr: rate('tollgate_batch_lines_total', 'state'), legend: '{{state}}' }],
      },
      {
        title: 'Answers with a promised form',
        about: 'What the promise rests on, and how they ended.',
        unit: 'reqps',
        queries: [
          { expr: rate('tollgate_structured_answers_total', 'verdict, result'), legend: '{{verdict}} {{result}}' },
        ],
      },
    ],
  },
  {
    uid: 'tollgate-limits',
    title: 'Tollgate: limits',
    panels: [
      {
        title: 'Refusals by code',
        about: 'What clients are told.',
        unit: 'reqps',
        queries: [{ expr: rate('tollgate_rejections_total', 'reason'), legend: '{{reason}}' }],
      },
      {
        title: 'Over a rate or concurrency limit',
        about: "429: the client's own pace.",
        unit: 'reqps',
        queries: [
          {
            expr: 'sum by (reason) (rate(tollgate_rejections_total{reason=~"rate_limit_exceeded|concurrency_limit_exceeded"}[$__rate_interval]))',
            legend: '{{reason}}',
          },
        ],
      },
      {
        title: 'Out of credit',
        about: '402: accounts that are empty or keys at their cap.',
        unit: 'reqps',
        queries: [
          {
            expr: 'sum by (reason) (rate(tollgate_rejections_total{reason=~"insufficient_credits|key_limit_reached"}[$__rate_interval]))',
            legend: '{{reason}}',
          },
        ],
      },
      {
        title: 'Our own fault',
        about: '503 and 429 that more capacity or a working store would avoid.',
        unit: 'reqps',
        queries: [
          {
            expr: 'sum by (reason) (rate(tollgate_rejections_total{reason=~"no_worker|queue_full|store_unavailable|credit_unavailable|credit_in_use|metering_behind"}[$__rate_interval]))',
            legend: '{{reason}}',
          },
        ],
      },
      {
        title: 'Wrong keys',
        about: 'A rise may be a leaked or a mistyped key, or a guesser.',
        unit: 'reqps',
        queries: [
          {
            expr: 'sum by (reason) (rate(tollgate_rejections_total{reason=~"invalid_api_key|missing_api_key|key_expired"}[$__rate_interval]))',
            legend: '{{reason}}',
          },
        ],
      },
    ],
  },
];
