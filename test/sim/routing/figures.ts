/** Runs put together: means over seeds, with how far a mean may be off. */
import type { JobResult } from './jobs.ts';

/** A run under the name that it has in tables. */
export type Run = Omit<JobResult, 'policy'> & { policy: string };

export const FIGURES = ['ttftP50Ms', 'ttftP99Ms', 'e2eMeanMs', 'sloPercent', 'hitPercent'] as const;
export type Figure = (typeof FIGURES)[number];
export type Figures = Record<Figure, number>;
/** By scenario, then by policy. */
export type Table = Record<string, Record<string, Figures>>;

/** Two-sided 95 % quantiles of Student's t, by degrees of freedom. */
const STUDENT = [Number.NaN, 12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26];

export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
export const geomean = (values: readonly number[]) => Math.exp(mean(values.map(Math.log)));

/** Half of the 95 % interval of the mean; NaN for one value. */
export function halfInterval(values: readonly number[]): number {
  const middle = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
  return (STUDENT[values.length - 1] ?? 2) * Math.sqrt(variance / values.length);
}

const rounded = (value: number) => Math.round(value * 10) / 10;

export function averages(results: readonly Run[]): Figures {
  return Object.fromEntries(FIGURES.map((key) => [key, rounded(mean(results.map((r) => r[key])))])) as Figures;
}

/** Results by scenario and policy, both in order of appearance. */
export function grouped(results: readonly Run[]): Map<string, Map<string, Run[]>> {
  const groups = new Map<string, Map<string, Run[]>>();
  for (const result of results) {
    const row = groups.get(result.scenario) ?? new Map<string, Run[]>();
    groups.set(result.scenario, row);
    row.set(result.policy, [...(row.get(result.policy) ?? []), result]);
  }
  return new Map([...groups].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })));
}

export function tableOf(results: readonly Run[]): Table {
  const table: Table = {};
  for (const [scenario, row] of grouped(results)) {
    table[scenario] = Object.fromEntries([...row].map(([policy, rows]) => [policy, averages(rows)]));
  }
  return table;
}
