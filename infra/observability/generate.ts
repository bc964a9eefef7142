/**
 * Writes what Prometheus and Grafana read from `definitions.ts`.
 * Run: node infra/observability/generate.ts (the test `test/e2e/compose-observability.test.ts` fails when it was forgotten).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Alert, alerts, type Dashboard, dashboards, type Panel, recordings, scrapeJobs } from './definitions.ts';

const HEADER =
  '# Generated from infra/observability/definitions.ts; change that and run infra/observability/generate.ts.\n';
const PANEL_WIDTH = 12;
const PANEL_HEIGHT = 8;

const yaml = (value: unknown) => HEADER + stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });

/** File name of an alert's runbook below docs/runbooks. */
export function runbookOf(alert: string): string {
  return `${alert.replace(/^Tollgate/, '').replace(/[A-Z]/g, (letter, at) => (at ? '-' : '') + letter.toLowerCase())}.md`;
}

/** A target that is there while its name resolves. */
function lookedUp(target: string) {
  const [name, port] = target.split(':');
  return { names: [name], type: 'A', port: Number(port) };
}

function prometheusConfig(): string {
  return yaml({
    global: { scrape_interval: '15s', evaluation_interval: '15s' },
    rule_files: ['/etc/prometheus/rules/*.yml'],
    scrape_configs: scrapeJobs.map(({ name, targets, path, optional }) => ({
      job_name: name,
      ...(path ? { metrics_path: path } : {}),
      ...(optional ? { dns_sd_configs: targets.map(lookedUp) } : { static_configs: [{ targets }] }),
    })),
  });
}

function annotations(alert: Alert): Record<string, string> {
  return { summary: alert.summary, runbook: `docs/runbooks/${runbookOf(alert.name)}` };
}

function rules(): string {
  return yaml({
    groups: [
      { name: 'tollgate-recordings', rules: recordings },
      {
        name: 'tollgate-alerts',
        rules: alerts.map((alert) => ({
          alert: alert.name,
          expr: alert.expr,
          ...(alert.forMinutes > 0 ? { for: `${alert.forMinutes}m` } : {}),
          labels: { severity: alert.severity },
          annotations: annotations(alert),
        })),
      },
    ],
  });
}

function ruleTests(): string {
  const input = (series: Record<string, string>) =>
    Object.entries(series).map(([name, values]) => ({ series: name, values }));
  return yaml({
    rule_files: ['rules/tollgate.yml'],
    evaluation_interval: '1m',
    tests: alerts.flatMap((alert) => {
      const rendered = (text: string) =>
        text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_whole, name: string) => alert.fires.labels[name] ?? '');
      return [
        {
          name: `${alert.name} fires`,
          interval: '1m',
          input_series: input(alert.fires.series),
          alert_rule_test: [
            {
              eval_time: `${alert.fires.at}m`,
              alertname: alert.name,
              exp_alerts: [
                {
                  exp_labels: { severity: alert.severity, ...alert.fires.labels },
                  exp_annotations: Object.fromEntries(
                    Object.entries(annotations(alert)).map(([name, text]) => [name, rendered(text)]),
                  ),
                },
              ],
            },
          ],
        },
        {
          name: `${alert.name} stays quiet`,
          interval: '1m',
          input_series: input(alert.quiet.series),
          alert_rule_test: [{ eval_time: `${alert.quiet.at}m`, alertname: alert.name, exp_alerts: [] }],
        },
      ];
    }),
  });
}

function panelJson(panel: Panel, index: number): unknown {
  return {
    id: index + 1,
    type: panel.kind ?? 'timeseries',
    title: panel.title,
    description: panel.about,
    datasource: { type: 'prometheus', uid: 'prometheus' },
    gridPos: {
      x: (index % 2) * PANEL_WIDTH,
      y: Math.floor(index / 2) * PANEL_HEIGHT,
      w: PANEL_WIDTH,
      h: PANEL_HEIGHT,
    },
    fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
    options:
      panel.kind === 'stat'
        ? { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false } }
        : { legend: { displayMode: 'list', placement: 'bottom', showLegend: true }, tooltip: { mode: 'multi' } },
    targets: panel.queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      expr,
      legendFormat: legend,
    })),
  };
}

function dashboardJson({ uid, title, panels }: Dashboard): string {
  const dashboard = {
    uid,
    title,
    tags: ['tollgate'],
    timezone: 'browser',
    schemaVersion: 39,
    version: 1,
    editable: false,
    refresh: '15s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list: [] },
    annotations: { list: [] },
    links: [
      {
        type: 'dashboards',
        tags: ['tollgate'],
        title: 'Tollgate',
        asDropdown: true,
        includeVars: true,
        keepTime: true,
      },
    ],
    panels: panels.map(panelJson),
  };
  return `${json(dashboard, '')}\n`;
}

/** JSON as the project's formatter leaves it: one line per field, plain lists in one line. */
function json(value: unknown, indent: string): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object'))
      return `[${value.map((item) => JSON.stringify(item)).join(', ')}]`;
    return `[\n${value.map((item) => inner + json(item, inner)).join(',\n')}\n${indent}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${json(item, inner)}`);
  return fields.length === 0 ? '{}' : `{\n${fields.join(',\n')}\n${indent}}`;
}

/** Every generated file: path below `infra` and its text. */
export function generatedFiles(): Map<string, string> {
  return new Map([
    ['prometheus/prometheus.yml', prometheusConfig()],
    ['prometheus/rules/tollgate.yml', rules()],
    ['prometheus/tollgate.test.yml', ruleTests()],
    ...dashboards.map((each) => [`grafana/dashboards/${each.uid}.json`, dashboardJson(each)] as const),
  ]);
}

/** What the Helm chart ships of it: path below `helm/tollgate/files` and its text. A chart can read only its own folder. */
export function chartFiles(): Map<string, string> {
  const redis = readFileSync(new URL('../redis/redis.conf', import.meta.url), 'utf8');
  const files = new Map([['redis.conf', redis]]);
  for (const [path, text] of generatedFiles()) {
    if (path === 'prometheus/rules/tollgate.yml') files.set('rules.yml', text);
    const dashboard = /^grafana\/(dashboards\/.*)$/.exec(path);
    if (dashboard) files.set(dashboard[1]!, text);
  }
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = new URL('../../', import.meta.url);
  for (const [folder, files] of [
    ['infra', generatedFiles()],
    ['helm/tollgate/files', chartFiles()],
  ] as const) {
    for (const [path, text] of files) {
      const target = join(fileURLToPath(root), folder, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
  }
}
