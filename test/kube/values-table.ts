/**
 * The table of values in the chart's README, made of the `# --` comments of values.yaml.
 * Run: node test/kube/values-table.ts (test/kube/chart.test.ts fails when it was forgotten).
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMap, isScalar, type Pair, parseDocument, type Scalar, type YAMLMap } from 'yaml';
import { chartFolder, chartText } from './chart-files.ts';

export interface ValueRow {
  path: string;
  standard: string;
  about: string;
}

const BEGIN = '<!-- values: made by test/kube/values-table.ts -->\n';
const END = '<!-- end of values -->\n';

/** The comment line right above a key, when it is one that documents (`# -- text`). */
function commentOf(map: YAMLMap, index: number): string | null {
  const key = (map.items[index] as Pair<Scalar>).key;
  // The comment above the first key of a map belongs to the map.
  const before = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined);
  const line = before?.split('\n').at(-1)?.trim() ?? '';
  return line.startsWith('-- ') ? line.slice(3) : null;
}

/** Rows of documented paths, and the paths that end without a comment. */
export function valueRows(text: string): { rows: ValueRow[]; bare: string[] } {
  const rows: ValueRow[] = [];
  const bare: string[] = [];
  const walk = (map: YAMLMap, prefix: string): void => {
    map.items.forEach((item, index) => {
      const { key, value } = item as Pair<Scalar>;
      const path = prefix + String(key.value);
      const about = commentOf(map, index);
      if (about !== null) {
        const standard = JSON.stringify((value as { toJSON?(): unknown } | null)?.toJSON?.() ?? null);
        rows.push({ path, standard, about });
      } else if (isMap(value)) walk(value, `${path}.`);
      else if (isScalar(value) || value === null) bare.push(path);
      else bare.push(path);
    });
  };
  walk(parseDocument(text).contents as YAMLMap, '');
  return { rows, bare };
}

/** README's text with the table in its place. */
export function withTable(readme: string, values: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) throw new Error('README.md has no place for the values');
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const lines = valueRows(values).rows.map(
    ({ path, standard, about }) => `| \`${path}\` | \`${cell(standard)}\` | ${cell(about)} |\n`,
  );
  const table = `| value | default | what |\n|---|---|---|\n${lines.join('')}`;
  return readme.slice(0, begin) + BEGIN + table + readme.slice(end);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(`${chartFolder}README.md`, withTable(chartText('README.md'), chartText('values.yaml')));
}
