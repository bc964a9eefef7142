/** What our services tell Prometheus, and what a PromQL expression asks for: so that nobody watches what does not exist. */
import { createRegistry } from '@tollgate/shared/runtime/metrics';
import { createMetrics } from '../../services/metering/src/metrics.ts';
import { RetrievalMetrics } from '../../services/retrieval/src/metrics.ts';
import { RouterMetrics } from '../../services/router/src/metrics.ts';

export interface Exported {
  type: string;
  labels: Set<string>;
}

/** Every metric that the services export, by name, with the labels that it may carry. */
export async function exportedMetrics(): Promise<Map<string, Exported>> {
  const found = new Map<string, Exported>();
  const router = createRegistry('router', '0');
  const metering = createRegistry('metering', '0');
  const retrieval = createRegistry('retrieval', '0');
  new RouterMetrics(router);
  createMetrics(metering);
  new RetrievalMetrics(retrieval);
  for (const registry of [router, metering, retrieval]) {
    for (const metric of await registry.getMetricsAsJSON()) {
      const labels = (registry.getSingleMetric(metric.name) as unknown as { labelNames: string[] }).labelNames;
      found.set(metric.name, { type: String(metric.type), labels: new Set(labels) });
    }
  }
  return found;
}

const KEYWORDS = new Set([
  'sum',
  'max',
  'min',
  'avg',
  'by',
  'rate',
  'increase',
  'abs',
  'and',
  'or',
  'vector',
  'histogram_quantile',
]);

/** Names of metrics and labels in a PromQL expression of the kinds that are used here. */
export function namesIn(expr: string): { metrics: string[]; labels: string[] } {
  const labels: string[] = [];
  let rest = expr.replace(/\{([^}]*)\}/g, (_whole, inside: string) => {
    for (const [, label] of inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) labels.push(label!);
    return '';
  });
  rest = rest.replace(/\bby \(([^)]*)\)/g, (_whole, inside: string) => {
    labels.push(...inside.split(',').map((label) => label.trim()));
    return '';
  });
  rest = rest.replace(/\[[^\]]*\]/g, '');
  const words = [...rest.matchAll(/[a-zA-Z_:][\w:]*/g)].map(([word]) => word);
  return { metrics: words.filter((word) => !KEYWORDS.has(word) && !/^e\d+$/.test(word)), labels };
}
