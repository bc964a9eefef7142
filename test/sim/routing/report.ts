import type { PolicyName } from '@tollgate/router/routing/policies/index';
import type { TraceFiles } from './scenarios.ts';
import type { RunResult } from './simulate.ts';

export interface Job {
  scenario: string;
  load: number;
  tuning: boolean;
  policy: PolicyName;
  seed: number;
  replicas: number;
  shareDelayMs: number | null;
}
export type JobResult = Job & RunResult;

interface Figures {
  ttftP50Ms: number;
  ttftP99Ms: number;
  e2eMeanMs: number;
  sloPercent: number;
  hitPercent: number;
}

export interface ReportContext {
  files: TraceFiles;
  seeds: number[];
  quick: boolean;
  wallMinutes: number;
  workers: number;
}

const FIGURES = ['ttftP50Ms', 'ttftP99Ms', 'e2eMeanMs', 'sloPercent', 'hitPercent'] as const;
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
const geomean = (values: number[]) => Math.exp(mean(values.map(Math.log)));
const round = (value: number) => Math.round(value * 10) / 10;

function averages(results: JobResult[]): Figures {
  return Object.fromEntries(FIGURES.map((key) => [key, round(mean(results.map((r) => r[key])))])) as unknown as Figures;
}

type Table = Record<string, Record<string, Figures>>;

function tableOf(results: JobResult[], replicas: number, shareDelayMs: number | null): Table {
  const table: Table = {};
  const chosen = results.filter((r) => r.replicas === replicas && r.shareDelayMs === shareDelayMs);
  for (const scenario of [...new Set(chosen.map((r) => r.scenario))].sort()) {
    table[scenario] = {};
    for (const policy of [...new Set(chosen.map((r) => r.policy))]) {
      const rows = chosen.filter((r) => r.scenario === scenario && r.policy === policy);
      if (rows.length > 0) table[scenario][policy] = averages(rows);
    }
  }
  return table;
}

/** Tables, plots and the figures as JSON; pure. */
export function renderReport(
  results: JobResult[],
  context: ReportContext,
): { json: unknown; markdown: string; plots: Record<string, string> } {
  const one = tableOf(results, 1, null);
  const shared = tableOf(results, 4, 20);
  const blind = tableOf(results, 4, null);
  const policies = [...new Set(results.map((r) => r.policy))];
  const lines: string[] = [
    '# Routing study',
    '',
    `Made by \`npm run study${context.quick ? ' -- --quick' : ''}\` in ${context.wallMinutes.toFixed(1)} minutes: ${context.workers} modelled H100 workers (Qwen3-30B-A3B-FP8), seeds ${context.seeds.join(', ')}, virtual time. ` +
      'Baselines are re-implemented with their published defaults, not run. One calibration, simulated engines: rankings between the best few are within what another calibration could flip.',
    '',
    `Traces: ${context.files.mooncake ? 'Mooncake conversation' : 'Mooncake trace not given: left out'}; ${context.files.azure ? 'Azure 2023 conversation' : 'Azure trace not given: left out'}. Load x1 = the knee of \`lpwl\` (90 % within TTFT <= 2 s and <= 60 ms per token).`,
    '',
    '## Targets',
    '',
    ...targets(one, shared, policies),
    '',
    '## One router: TTFT p99 ms / E2E mean ms / SLO % / hit %',
    '',
    ...matrix(one, policies),
    '',
    '## Four routers: SLO %, sharing their books (deltas every 15 ms, 20 ms on the way) / blind (one router)',
    '',
    ...replicaRows(one, shared, blind),
    '',
    '![TTFT p99 by load](routing-study-ttft.svg)',
    '',
  ];
  return {
    json: { scenarios: one, fourReplicasShared: shared, fourReplicasBlind: blind, seeds: context.seeds },
    markdown: lines.join('\n'),
    plots: { 'routing-study-ttft.svg': plot(one) },
  };
}

function matrix(table: Table, policies: string[]): string[] {
  const rows = [`| scenario | ${policies.join(' | ')} |`, `|---|${policies.map(() => '---').join('|')}|`];
  for (const [scenario, byPolicy] of Object.entries(table)) {
    const cells = policies.map((policy) => {
      const f = byPolicy[policy];
      return f
        ? `${f.ttftP99Ms.toFixed(0)} / ${f.e2eMeanMs.toFixed(0)} / ${f.sloPercent.toFixed(0)} / ${f.hitPercent.toFixed(0)}`
        : '';
    });
    rows.push(`| ${scenario} | ${cells.join(' | ')} |`);
  }
  return rows;
}

function ratio(table: Table, baseline: string, key: 'ttftP99Ms' | 'e2eMeanMs'): number {
  const pairs = Object.values(table).filter((row) => row.cost && row[baseline]);
  return geomean(pairs.map((row) => row.cost![key] / row[baseline]![key]));
}

function targets(one: Table, shared: Table, policies: string[]): string[] {
  const rows = ['| target | bar | seen | met |', '|---|---|---|---|'];
  const add = (what: string, bar: number, seen: number, unit = 'x') =>
    rows.push(`| ${what} | <= ${bar}${unit} | ${seen.toFixed(2)}${unit} | ${seen <= bar ? 'yes' : 'no'} |`);
  if (policies.includes('sglang-cache-aware')) {
    add('TTFT p99 against sglang-cache-aware, geometric mean', 0.35, ratio(one, 'sglang-cache-aware', 'ttftP99Ms'));
    add('E2E mean against sglang-cache-aware', 0.8, ratio(one, 'sglang-cache-aware', 'e2eMeanMs'));
  }
  if (policies.includes('llm-d-sticky')) {
    add('TTFT p99 against llm-d-sticky', 0.5, ratio(one, 'llm-d-sticky', 'ttftP99Ms'));
    add('E2E mean against llm-d-sticky', 0.85, ratio(one, 'llm-d-sticky', 'e2eMeanMs'));
  }
  for (const key of ['ttftP99Ms', 'e2eMeanMs'] as const) {
    const behind = Object.entries(one).map(([scenario, row]) => {
      const best = Math.min(
        ...Object.entries(row)
          .filter(([name]) => name !== 'cost')
          .map(([, f]) => f[key]),
      );
      return { scenario, value: row.cost ? row.cost[key] / best : 1 };
    });
    const worst = behind.reduce((a, b) => (b.value > a.value ? b : a), { scenario: '-', value: 0 });
    add(`worst scenario against its best baseline, ${key} (${worst.scenario})`, 1.05, worst.value);
  }
  const lost = Object.keys(shared).map((s) => (one[s]?.cost?.sloPercent ?? 0) - (shared[s]?.cost?.sloPercent ?? 0));
  if (lost.length > 0)
    add('SLO points lost by four routers (20 ms) against one, worst scenario', 2, Math.max(...lost), '');
  const noisy = Object.keys(one).filter((s) => s.startsWith('noisy-tenant x'));
  const alone = (s: string) => one[s.replace('noisy-tenant', 'noisy-tenant-alone')]?.cost?.ttftP99Ms;
  const hurt = noisy.filter((s) => alone(s)).map((s) => one[s]!.cost!.ttftP99Ms / alone(s)!);
  if (hurt.length > 0)
    add(
      "others' TTFT p99 beside a noisy tenant, against alone (worst load; no fair queue in this study yet)",
      1.2,
      Math.max(...hurt),
    );
  return rows;
}

function replicaRows(one: Table, shared: Table, blind: Table): string[] {
  const rows = ['| scenario | policy | one | four, shared | four, blind |', '|---|---|---|---|---|'];
  for (const [scenario, byPolicy] of Object.entries(shared)) {
    for (const policy of ['cost', 'llm-d-sticky', 'sglang-cache-aware', 'lmetric']) {
      if (!byPolicy[policy]) continue;
      const cell = (table: Table) => table[scenario]?.[policy]?.sloPercent.toFixed(1) ?? '';
      rows.push(`| ${scenario} | ${policy} | ${cell(one)} | ${cell(shared)} | ${cell(blind)} |`);
    }
  }
  return rows;
}

/** Small multiples: TTFT p99 (log scale) over load, one panel per workload; the legend names the lines as text. */
function plot(table: Table): string {
  const shown = ['cost', 'sglang-cache-aware', 'llm-d-sticky', 'lmetric', 'lpwl', 'gie-322'];
  const colours = ['#0b6bcb', '#c41c1c', '#9a5b13', '#1f7a1f', '#6b4fa1', '#555e68'];
  const dashes = ['', '6 3', '2 3', '8 3 2 3', '4 2', '1 2'];
  const names = [...new Set(Object.keys(table).map((s) => s.replace(/ x[\d.]+$/, '')))];
  const [w, h] = [300, 190];
  const panels = names.map((name, i) => {
    const points = Object.entries(table)
      .filter(([s]) => s.startsWith(`${name} x`))
      .map(([s, row]) => ({ load: Number(/ x([\d.]+)$/.exec(s)![1]), row }))
      .sort((a, b) => a.load - b.load);
    const values = points.flatMap((p) => shown.map((k) => p.row[k]?.ttftP99Ms ?? Number.NaN)).filter((v) => v > 0);
    const [lo, hi] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values) * 1.1)];
    const x = (load: number) => 50 + ((load - 0.5) / 1) * (w - 70);
    const y = (v: number) => h - 30 - ((Math.log10(v) - lo) / Math.max(0.1, hi - lo)) * (h - 60);
    const lines = shown.map((policy, k) => {
      const path = points
        .filter((p) => p.row[policy])
        .map((p) => `${x(p.load).toFixed(1)},${y(p.row[policy]!.ttftP99Ms).toFixed(1)}`)
        .join(' ');
      return `<polyline points="${path}" fill="none" stroke="${colours[k]}" stroke-width="2" stroke-dasharray="${dashes[k]}"><title>${policy}</title></polyline>`;
    });
    const ticks = [lo, (lo + hi) / 2, hi].map(
      (v) => `<text x="44" y="${y(10 ** v) + 4}" text-anchor="end">${(10 ** v).toFixed(0)}</text>`,
    );
    const loads = points.map((p) => `<text x="${x(p.load)}" y="${h - 12}" text-anchor="middle">${p.load}</text>`);
    return `<g transform="translate(${(i % 3) * w},${Math.floor(i / 3) * h + 40})"><text x="50" y="16" font-weight="bold">${name}</text>${lines.join('')}${ticks.join('')}${loads.join('')}</g>`;
  });
  const legend = shown.map(
    (policy, k) =>
      `<g transform="translate(${10 + k * 150},16)"><line x2="24" stroke="${colours[k]}" stroke-width="2" stroke-dasharray="${dashes[k]}"/><text x="30" y="4">${policy}</text></g>`,
  );
  const height = Math.ceil(names.length / 3) * h + 50;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${3 * w} ${height}" font-family="sans-serif" font-size="12" role="img" aria-label="TTFT p99 in ms over load, by policy"><rect width="100%" height="100%" fill="#fff"/>${legend.join('')}${panels.join('')}</svg>\n`;
}
