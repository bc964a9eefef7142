/**
 * Exemplars: of each bucket of a histogram the last observation that has a trace, so that a graph leads to one. They are
 * told in OpenMetrics, the only text format that has a place for them, to who asks for it. prom-client's own way needs a
 * registry that speaks nothing else, and takes `_total` off the names of its counters.
 */
import type { Registry } from 'prom-client';

export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

export interface Exemplar {
  traceId: string;
  value: number;
  /** Wall clock, ms since 1970. */
  atMs: number;
}

type Labels = Readonly<Record<string, string | number | undefined>>;

/** As many at most as the histograms have buckets. */
export class Exemplars {
  private readonly kept = new Map<string, Exemplar>();

  /** `name` and `labels` are those of the histogram, `bounds` its upper bounds, ascending. */
  note(name: string, labels: Labels, bounds: readonly number[], exemplar: Exemplar): void {
    const bound = bounds.find((upper) => exemplar.value <= upper) ?? '+Inf';
    this.kept.set(keyOf(`${name}_bucket`, { ...labels, le: bound }), exemplar);
  }

  of(sample: string, labels: Labels): Exemplar | undefined {
    return this.kept.get(keyOf(sample, labels));
  }
}

const pairsOf = (labels: Labels): [string, string][] =>
  Object.entries(labels).map(([name, value]): [string, string] => [name, String(value)]);

const keyOf = (name: string, labels: Labels): string => `${name} ${JSON.stringify(pairsOf(labels).sort())}`;

/** Everything in the registry, with its exemplars. */
export async function openMetricsText(registry: Registry, exemplars: Exemplars): Promise<string> {
  const lines: string[] = [];
  for (const { name, help, type, values } of await registry.getMetricsAsJSON()) {
    // A counter's family has no suffix, its sample has.
    const isCounter = String(type) === 'counter';
    const family = isCounter ? name.replace(/_total$/, '') : name;
    lines.push(`# HELP ${family} ${escaped(help)}`, `# TYPE ${family} ${type}`);
    for (const { value, labels, metricName } of values as Sample[]) {
      const sample = isCounter ? `${family}_total` : (metricName ?? name);
      const exemplar = exemplars.of(sample, labels);
      const beside = exemplar === undefined ? '' : ` # ${textOf({ trace_id: exemplar.traceId })} ${told(exemplar)}`;
      lines.push(`${sample}${textOf(labels)} ${numberOf(value)}${beside}`);
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

interface Sample {
  value: number;
  labels: Labels;
  /** Of a histogram: its name with `_bucket`, `_sum` or `_count`. */
  metricName?: string;
}

const told = ({ value, atMs }: Exemplar): string => `${numberOf(value)} ${(atMs / 1_000).toFixed(3)}`;

function textOf(labels: Labels): string {
  const pairs = pairsOf(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');

const numberOf = (value: number): string =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
