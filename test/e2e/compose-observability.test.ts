import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { parse } from 'yaml';
import { alerts, dashboards, recordings, scrapeJobs } from '../../infra/observability/definitions.ts';
import { generatedFiles, runbookOf } from '../../infra/observability/generate.ts';
import { onPath } from '../../services/shared/src/runtime/binaries.mjs';
import { type Exported, exportedMetrics, namesIn } from '../kube/exported-metrics.ts';
import { loadCompose, root, sampleEnv } from './compose-file.ts';

/** Labels that Prometheus itself adds to what it scrapes. */
const TARGET_LABELS = ['job', 'instance'];
const expressions = [
  ...alerts.map(({ name, expr }) => [name, expr] as const),
  ...recordings.map(({ record, expr }) => [record, expr] as const),
  ...dashboards.flatMap(({ title, panels }) =>
    panels.flatMap((panel) => panel.queries.map(({ expr }) => [`${title}, ${panel.title}`, expr] as const)),
  ),
];

let exported: Map<string, Exported>;
beforeAll(async () => {
  exported = await exportedMetrics();
});

describe('what is watched exists', () => {
  const recorded = new Set(recordings.map(({ record }) => record));

  test.each(expressions)('%s names only metrics and labels that a service exports', (_name, expr) => {
    const { metrics, labels } = namesIn(expr);
    expect(metrics.length).toBeGreaterThan(0);
    const known = new Set<string>(TARGET_LABELS);
    for (const name of metrics) {
      if (name === 'up') continue;
      if (recorded.has(name)) {
        for (const label of namesIn(recordings.find(({ record }) => record === name)!.expr).labels) known.add(label);
        continue;
      }
      const base = name.replace(/_(bucket|sum|count)$/, '');
      const metric = exported.get(name) ?? exported.get(base);
      expect([name, metric !== undefined]).toEqual([name, true]);
      expect([name, name !== base && !exported.has(name)]).toEqual([name, metric!.type === 'histogram']);
      for (const label of metric!.labels) known.add(label);
      if (metric!.type === 'histogram') known.add('le');
    }
    expect(labels.filter((label) => !known.has(label))).toEqual([]);
  });

  test.each(alerts)('$name is tested on what it looks at: it is not quiet for want of a series', (alert) => {
    const of = (expr: string): string[] =>
      namesIn(expr).metrics.flatMap((name) => {
        const recording = recordings.find(({ record }) => record === name);
        return recording ? of(recording.expr) : name;
      });
    const looked = of(alert.expr);
    for (const { series } of [alert.fires, alert.quiet]) {
      const given = Object.keys(series).map((text) => text.split('{')[0]!);
      expect([given, given.some((name) => looked.includes(name))]).toEqual([given, true]);
    }
  });

  test('a name that nobody exports is found', () => {
    expect(namesIn('sum by (model) (rate(tollgate_nothing_total{code="500"}[5m])) > 1e9')).toEqual({
      metrics: ['tollgate_nothing_total'],
      labels: ['code', 'model'],
    });
    expect(exported.has('tollgate_nothing_total')).toBe(false);
  });

  test('no metric of ours has a label that could name an account, a key or a request', () => {
    for (const [name, { labels }] of exported) {
      for (const label of labels)
        expect([name, label]).not.toEqual([name, expect.stringMatching(/account|key|user|request/)]);
    }
  });

  test('Prometheus asks every service that compose starts with a metrics port, by its name and port', () => {
    const { services } = loadCompose(sampleEnv);
    const wanted = Object.entries(services).flatMap(([name, { environment = {}, profiles }]) =>
      Object.entries(environment)
        .filter(([variable]) => variable.endsWith('_METRICS_LISTEN'))
        // What only a profile starts is looked up by name: it is not missed where nobody wants it.
        .map(([, listen]) => [`tollgate-${name}`, `${name}${listen}`, profiles !== undefined] as const),
    );
    expect(wanted.map(([job]) => job)).toContain('tollgate-retrieval');
    for (const [job, target, isOptional] of wanted) {
      expect(scrapeJobs.find(({ name }) => name === job)).toEqual({
        name: job,
        targets: [target],
        ...(isOptional ? { optional: true } : {}),
      });
    }
    for (const target of scrapeJobs.flatMap(({ targets }) => targets)) {
      const service = services[target.split(':')[0]!];
      expect([target, service?.networks?.includes('observe')]).toEqual([target, true]);
    }
  });
});

describe('generated files', () => {
  test.each([...generatedFiles()])(
    'infra/%s is current (else run: node infra/observability/generate.ts)',
    (path, text) => {
      expect(readFileSync(join(root, 'infra', path), 'utf8')).toBe(text);
    },
  );

  test('no dashboard lies there that nobody generates', () => {
    const generated = [...generatedFiles().keys()].map((path) => path.split('/').at(-1));
    for (const name of readdirSync(join(root, 'infra/grafana/dashboards'))) expect(generated).toContain(name);
  });

  test('dashboards have their own uids, and panels that do not overlap', () => {
    const uids = dashboards.map(({ uid }) => uid);
    expect(new Set(uids).size).toBe(uids.length);
    for (const { uid } of dashboards) {
      const { panels } = JSON.parse(generatedFiles().get(`grafana/dashboards/${uid}.json`)!);
      const places = panels.map(({ gridPos: { x, y } }: { gridPos: { x: number; y: number } }) => `${x},${y}`);
      expect(new Set(places).size).toBe(places.length);
    }
  });
});

describe('runbooks', () => {
  test.each(alerts)('$name has a page that says what it means, how to look and what to do', ({ name, severity }) => {
    const path = join(root, 'docs/runbooks', runbookOf(name));
    expect(existsSync(path)).toBe(true);
    const text = readFileSync(path, 'utf8');
    expect(text.startsWith(`# ${name}\n\nSeverity: ${severity}.\n`)).toBe(true);
    const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['What it means', 'How to look', 'What to do']);
    for (const section of text.split(/^## .*$/m).slice(1)) expect(section.trim().length).toBeGreaterThan(60);
    // Metrics and other runbooks that a page sends its reader to exist.
    for (const [word] of text.matchAll(/\btollgate_[a-z_]+\b/g))
      expect([word, exported.has(word)]).toEqual([word, true]);
    for (const [, other] of text.matchAll(/\]\(([a-z-]+\.md)\)/g)) {
      expect([other, existsSync(join(root, 'docs/runbooks', other!))]).toEqual([other, true]);
    }
  });

  test('every page belongs to an alert', () => {
    const pages = new Set(alerts.map(({ name }) => runbookOf(name)));
    expect(readdirSync(join(root, 'docs/runbooks')).filter((name) => !pages.has(name))).toEqual([]);
  });
});

const promtool = onPath('promtool', '/usr/bin:/usr/local/bin');
if (!promtool)
  process.stderr.write('promtool is not installed: rules are not run (Debian: apt-get install prometheus)\n');

(promtool ? describe : describe.skip)('promtool', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-prometheus-'));
  cpSync(join(root, 'infra/prometheus'), folder, { recursive: true });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const run = (...args: string[]) =>
    execFileSync(promtool!, args, { cwd: folder, env: childEnvironment(), encoding: 'utf8', stdio: 'pipe' });

  test('the rules are rules', () => {
    expect(run('check', 'rules', 'rules/tollgate.yml')).toContain(`${alerts.length + recordings.length} rules found`);
  });

  test('every alert fires in its firing case and stays quiet in its quiet one', () => {
    const { tests } = parse(readFileSync(join(folder, 'tollgate.test.yml'), 'utf8')) as { tests: unknown[] };
    expect(tests).toHaveLength(alerts.length * 2);
    run('test', 'rules', 'tollgate.test.yml');
  });

  test('a rule that was broken fails its test', () => {
    const path = join(folder, 'rules/tollgate.yml');
    const text = readFileSync(path, 'utf8');
    for (const [from, to] of [
      ['max(tollgate_redis_full) == 1', 'max(tollgate_redis_full) == 2'],
      ['== 0\n        for: 5m', '>= 0\n        for: 5m'],
    ] as const) {
      expect(text).toContain(from);
      writeFileSync(path, text.replace(from, to));
      expect(() => run('test', 'rules', 'tollgate.test.yml')).toThrow();
    }
    writeFileSync(path, text);
  });
});
