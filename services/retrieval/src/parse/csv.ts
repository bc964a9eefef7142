import { parse } from 'csv-parse/sync';
import { Blocks, type ParseLimits, UnreadableFile } from './block.ts';

const MAX_RECORD_CHARS = 1_000_000;

/** One block per row; each value stands behind the name of its column. The first row names the columns. */
export function parseCsv(text: string, delimiter: ',' | '\t' | ';', limits: ParseLimits) {
  const blocks = new Blocks(limits);
  let columns: string[] | null = null;
  let row = 0;
  try {
    parse(text, {
      delimiter,
      bom: true,
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      max_record_size: MAX_RECORD_CHARS,
      // Rows are taken one by one, so that a file of too many columns ends at its first.
      on_record(record: string[]) {
        row++;
        if (record.length > limits.csvColumns) {
          throw new UnreadableFile(
            'file_too_large',
            `row ${row} has ${record.length} columns; at most ${limits.csvColumns}`,
          );
        }
        if (columns === null) columns = record.map((name, i) => name.trim() || `column ${i + 1}`);
        else blocks.add('row', line(columns, record), `row ${row}`);
        return null;
      },
    });
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw new UnreadableFile('invalid_file', `row ${row + 1} cannot be read as CSV`);
  }
  return blocks.list;
}

function line(columns: readonly string[], record: readonly string[]): string {
  return record
    .map((value, i) => ({ name: columns[i] ?? `column ${i + 1}`, value: value.trim() }))
    .filter(({ value }) => value !== '')
    .map(({ name, value }) => `${name}: ${value}`)
    .join('; ');
}

/** The delimiter that stands most often in the first line. */
export function delimiterOf(text: string): ',' | '\t' | ';' {
  const first = text.slice(0, text.indexOf('\n') === -1 ? 100_000 : text.indexOf('\n'));
  const count = (mark: string) => first.split(mark).length;
  if (count('\t') > count(',') && count('\t') >= count(';')) return '\t';
  return count(';') > count(',') ? ';' : ',';
}
