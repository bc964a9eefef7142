/**
 * The matrix of keywords as it stands in docs/structured-output.md. To write it anew:
 * `node --conditions=tollgate-source test/conformance/write-schema-table.ts`
 */
import type { SchemaCase } from './schema-case.ts';
import { SCHEMA_CASES } from './schema-cases.ts';

export const PAGE = new URL('../../docs/structured-output.md', import.meta.url);
const START = '<!-- matrix:start -->';
const END = '<!-- matrix:end -->';

const cell = (text: string): string => text.replaceAll('|', '\\|');

function told(verdict: SchemaCase['openai']): string {
  if (verdict === 'enforced') return 'enforced';
  if (verdict === 'after') return 'checked after';
  return `refused: \`${cell(verdict.keyword)}\` at \`${cell(verdict.refused) || '#'}\``;
}

/** The page with its matrix as the cases are now. */
export function withMatrix(page: string): string {
  const rows = SCHEMA_CASES.map(
    ({ keyword, openai, dottxt }) => `| ${cell(keyword)} | ${told(openai)} | ${told(dottxt ?? openai)} |`,
  );
  const table = ['| case | openai | dottxt |', '|---|---|---|', ...rows].join('\n');
  const [head, rest] = page.split(START);
  return `${head}${START}\n${table}\n${END}${rest!.split(END)[1]}`;
}
