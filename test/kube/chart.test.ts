/** What can be known of the chart without Helm: runs everywhere. With Helm: `npm run test:helm`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parseDocument } from 'yaml';
import { chartFiles } from '../../infra/observability/generate.ts';
import { consoleShape } from '../../services/console/src/config.ts';
import { devworkerShape } from '../../services/devworker/src/config.ts';
import { meteringShape } from '../../services/metering/src/config.ts';
import { retrievalShape } from '../../services/retrieval/src/config.ts';
import { routerShape } from '../../services/router/src/config.ts';
import { loadCompose, root, sampleEnv } from '../e2e/compose-file.ts';
import {
  at,
  chartFolder,
  chartText,
  chartYaml,
  definitions,
  environmentNames,
  type Json,
  sampleValues,
  templates,
} from './chart-files.ts';
import { exportedMetrics, namesIn } from './exported-metrics.ts';
import { valueRows, withTable } from './values-table.ts';

const compose = loadCompose(sampleEnv);
const values = chartYaml('values.yaml');
const chart = chartYaml('Chart.yaml');

/** As Helm merges values: maps key by key, anything else replaced. */
function merged(base: Json, over: Json): Json {
  const isMap = (node: Json): node is { [name: string]: Json } =>
    typeof node === 'object' && node !== null && !Array.isArray(node);
  if (!isMap(base) || !isMap(over)) return over;
  return Object.fromEntries(
    [...new Set([...Object.keys(base), ...Object.keys(over)])].map((name) => [
      name,
      name in base && name in over ? merged(base[name]!, over[name]!) : (over[name] ?? base[name]!),
    ]),
  );
}

describe('values', () => {
  const validate = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
    JSON.parse(chartText('values.schema.json')),
  );
  const verdict = (over: Json) => [validate(merged(values, over)), validate.errors];

  test('the schema accepts the defaults', () => expect(verdict({})).toEqual([true, null]));

  test.each(sampleValues())('the schema accepts %s', (path) => {
    expect(verdict(chartYaml(path))).toEqual([true, null]);
  });

  test.each<[string, Json]>([
    ['a misspelt name', { router: { replicas: 3 } }],
    ['the tag latest', { image: { tag: 'latest' } }],
    [
      'an engine image of the tag latest',
      { engines: [{ name: 'a', modelURL: 'm', image: 'vllm/vllm-openai:latest' }] },
    ],
    ['an engine image without a tag', { engines: [{ name: 'a', modelURL: 'm', image: 'vllm/vllm-openai' }] }],
    ['an engine name that fits in no DNS label', { engines: [{ name: 'Qwen_3', modelURL: 'm' }] }],
    ['an engine without a model', { engines: [{ name: 'a' }] }],
    ['a worker with a path', { workers: ['http://10.0.0.7:8000/v1'] }],
    ['a worker with a password', { workers: ['http://me:secret@10.0.0.7:8000'] }],
    ['streams longer than a router can wait for', { router: { longestStreamSeconds: 7200 } }],
    ['no Secret', { auth: { existingSecret: '' } }],
    ['no router', { router: { replicaCount: 0 } }],
    ['a password as a value', { redis: { password: 'x' } }],
  ])('the schema refuses %s', (_what, over) => {
    expect(validate(merged(values, over))).toBe(false);
  });

  test('patterns are of the kind that Helm knows: Go has no look-around and no back-references', () => {
    expect(chartText('values.schema.json').match(/"pattern": "[^\n]*(\(\?|\\\\[1-9])[^\n]*"/)).toBeNull();
  });

  test('every value has a comment, and the README shows them all as they are', () => {
    expect(valueRows(chartText('values.yaml')).bare).toEqual([]);
    expect(withTable(chartText('README.md'), chartText('values.yaml'))).toBe(chartText('README.md'));
    expect(valueRows('a:\n  # -- x\n  b: 1\n  c: 2\n')).toEqual({
      rows: [{ path: 'a.b', standard: '1', about: 'x' }],
      bare: ['a.c'],
    });
  });

  test('templates read only values that are declared, and every declared value is read', () => {
    const text = [...templates().values()].join('\n');
    const read = [...text.matchAll(/\.Values((?:\.\w+)+)/g)].map(([, path]) => path!.slice(1));
    expect(read.length).toBeGreaterThan(80);
    expect(read.filter((path) => at(values, path) === undefined)).toEqual([]);
    const unread = valueRows(chartText('values.yaml')).rows.filter(
      ({ path }) => !new RegExp(`\\.${path.split('.').at(-1)}\\b`).test(text),
    );
    expect(unread).toEqual([]);
  });

  test('YAML files have no duplicate keys', () => {
    for (const path of ['values.yaml', 'Chart.yaml', ...sampleValues()]) {
      const { errors, warnings } = parseDocument(chartText(path));
      expect([path, ...errors, ...warnings]).toEqual([path]);
    }
  });
});

describe('the same as docker-compose.yml', () => {
  const shapes = {
    router: routerShape,
    console: consoleShape,
    metering: meteringShape,
    retrieval: retrievalShape,
    devworker: devworkerShape,
  };
  /** Passwords of the demo's stores, put into addresses by the kubelet. */
  const HELPERS = ['POSTGRES_PASSWORD', 'REDIS_PASSWORD'];

  test.each(Object.entries(shapes))(
    '%s gets the variables that compose sets, and none that it does not know',
    (name, shape) => {
      const inChart = environmentNames(`tollgate.env.${name}`);
      const inCompose = Object.keys(compose.services[name === 'devworker' ? 'devworker-1' : name]!.environment!);
      expect(inCompose.filter((each) => !inChart.includes(each))).toEqual([]);
      expect(inChart.filter((each) => !(each in shape) && !HELPERS.includes(each))).toEqual([]);
    },
  );

  test('migration and doctor get what the same commands get in compose', () => {
    const known = (names: string[]) => names.filter((name) => !HELPERS.includes(name));
    expect(known(environmentNames('tollgate.env.migrate'))).toEqual(
      Object.keys(compose.services.migrate!.environment!).sort(),
    );
    expect(environmentNames('tollgate.env.cli')).toEqual(
      expect.arrayContaining(Object.keys(compose.services.cli!.environment!)),
    );
  });

  test('a name that is left out is found', () => {
    const all = definitions();
    all.set('tollgate.env.router', all.get('tollgate.env.router')!.replace('TOLLGATE_SPOOL_DIR', 'TOLLGATE_SPOOL'));
    expect(environmentNames('tollgate.env.router', all)).not.toContain('TOLLGATE_SPOOL_DIR');
    expect(environmentNames('tollgate.env.router')).toContain('TOLLGATE_SPOOL_DIR');
  });

  test('it starts the same images', () => {
    const tag = String(chart.appVersion);
    for (const service of ['router', 'console', 'metering', 'retrieval']) {
      expect(compose.services[service]!.image).toBe(`${at(values, 'image.repository')}/${service}:${tag}`);
      expect(templates().get(`${service}.yaml`)).toContain(`"service" "${service}"`);
    }
    expect(compose.services.migrate!.image).toBe(`${at(values, 'image.repository')}/cli:${tag}`);
    expect(at(values, 'demo.redis.image')).toBe(compose.services.redis!.image);
    expect(at(values, 'demo.postgres.image')).toBe(compose.services.postgres!.image);
    expect(templates().get('engines.yaml')).toContain(`"${compose.services.vllm!.image}"`);
  });

  test('it starts vLLM with the same arguments, but for what belongs to the place', () => {
    const text = templates().get('engines.yaml')!;
    const block = text.slice(text.indexOf('- {{ .modelURL }}'), text.indexOf('{{- with .extraArgs }}'));
    const args = [...block.matchAll(/^ +- '?(--[^\n]*?)'?$/gm)].map(([, arg]) => arg!);
    const fixed = (list: string[]) =>
      list.filter((arg) => !/^--(served-model-name|max-model-len|shutdown-timeout|kv-events-config)/.test(arg)).sort();
    expect(fixed(args)).toEqual(fixed(compose.services.vllm!.command!.slice(1)));
    expect(args).toContain('--reasoning-parser=qwen3');
  });
});

test('version and appVersion are the project’s', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect([chart.version, chart.appVersion]).toEqual([version, version]);
});

test('whatever scales by a metric scales by one that a service exports', async () => {
  const exported = await exportedMetrics();
  const text = [...templates().values()].join('\n');
  // What a pod monitor adds to a series, and what the engines' template writes for a label matcher.
  const added = ['namespace', 'pod'];
  const queries = [...text.matchAll(/^ +query: (.+)$/gm)].map(([, query]) =>
    query!.replaceAll('{{ $of }}', '{namespace="",model=""}').replaceAll(/\{\{.*?\}\}/g, ''),
  );
  const named = [...text.matchAll(/metric: \{ name: (\w+) \}/g)].map(([, name]) => name!);
  expect([queries.length, named.length]).toEqual([2, 1]);
  for (const query of [...queries, ...named]) {
    const { metrics, labels } = namesIn(query);
    expect(metrics.length).toBeGreaterThan(0);
    const known = metrics.flatMap((name) => [...(exported.get(name)?.labels ?? [])]);
    expect([query, metrics.filter((name) => exported.get(name)?.type !== 'gauge')]).toEqual([query, []]);
    expect([query, labels.filter((label) => ![...added, ...known].includes(label))]).toEqual([query, []]);
  }
});

test('every kind of object that the chart makes has a committed schema to be checked against', () => {
  const kinds = new Set([...templates().values()].flatMap((text) => text.match(/^kind: (\w+)$/gm) ?? []));
  const schemas = readdirSync(join(root, 'test/kube/schemas'));
  const missing = [...kinds].filter(
    (line) => !schemas.some((name) => name.startsWith(`${line.slice(6).toLowerCase()}-`)),
  );
  expect([kinds.size > 12, missing]).toEqual([true, []]);
});

describe('files of the chart', () => {
  test.each([...chartFiles()])(
    'helm/tollgate/files/%s is current (else run: node infra/observability/generate.ts)',
    (path, text) => expect(chartText(`files/${path}`)).toBe(text),
  );

  test('nothing else lies there, and a dashboard is below the size of a ConfigMap', () => {
    const paths = readdirSync(`${chartFolder}files`, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(`${chartFolder}files/`.length));
    expect(paths.sort()).toEqual([...chartFiles().keys()].sort());
    for (const text of chartFiles().values()) expect(Buffer.byteLength(text)).toBeLessThan(900_000);
  });

  test('the README’s links lead somewhere', () => {
    const dead = [...chartText('README.md').matchAll(/\]\(([^)#:\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !existsSync(join(chartFolder, target)));
    expect(dead).toEqual([]);
  });
});
