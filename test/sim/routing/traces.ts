import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** A request of a public trace. */
export interface TraceRow {
  atMs: number;
  promptTokens: number;
  outputTokens: number;
  /** Hashes of 512-token blocks where the trace has them. */
  blocks: number[] | null;
  /** Width of the time bucket the row was rounded to. */
  jitterMs: number;
}

/** Reads a Mooncake (JSON lines) or Azure (CSV) trace, gzipped or not; the format is told by the first character. */
export function readTrace(path: string): TraceRow[] {
  const raw = readFileSync(path);
  const text = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString('utf8');
  const lines = text.split(/\r?\n/).filter((line) => line.length > 0);
  const rows = lines[0]?.startsWith('{') ? lines.map(mooncakeRow) : lines.slice(1).map(azureRow);
  if (rows.length === 0) throw new Error(`no rows in trace ${path}`);
  const startMs = rows[0]!.atMs;
  for (const row of rows) row.atMs -= startMs;
  return rows;
}

function mooncakeRow(line: string): TraceRow {
  const row = JSON.parse(line) as {
    timestamp: number;
    input_length: number;
    output_length: number;
    hash_ids: number[];
  };
  return {
    atMs: row.timestamp,
    promptTokens: row.input_length,
    outputTokens: row.output_length,
    blocks: row.hash_ids,
    jitterMs: 3_000,
  };
}

function azureRow(line: string): TraceRow {
  const [time, context, generated] = line.split(',');
  // 100 ns digits are more than Date takes.
  const atMs = Date.parse(`${time!.replace(' ', 'T').slice(0, 23)}Z`);
  return { atMs, promptTokens: Number(context), outputTokens: Number(generated), blocks: null, jitterMs: 0 };
}
