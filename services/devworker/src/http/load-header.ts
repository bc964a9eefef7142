/** The ORCA load report that a plain answer carries when its request asks for one. */
import type { IncomingMessage } from 'node:http';
import { pythonFloat } from '../dialects/vllm/pydantic.ts';
import type { Worker } from './worker.ts';

/** Header pair, flat; empty when not asked for. */
export function loadHeader(req: IncomingMessage, worker: Worker): string[] {
  const format = req.headers['endpoint-load-metrics-format'];
  if (format !== 'JSON' && format !== 'TEXT') return [];
  const { waiting, kvUsage } = worker.engine.stats();
  const queue = pythonFloat(waiting);
  const usage = pythonFloat(kvUsage);
  const value =
    format === 'JSON'
      ? `JSON {"named_metrics": {"num_requests_waiting": ${queue}, "kv_cache_usage_perc": ${usage}}}`
      : `TEXT named_metrics.num_requests_waiting=${queue}, named_metrics.kv_cache_usage_perc=${usage}`;
  return ['endpoint-load-metrics', value];
}
