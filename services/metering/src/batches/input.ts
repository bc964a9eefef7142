/** Reads a batch's file: one request a line. A line that is none fails alone, with its own row of the error file. */
import type { NewLine } from '@tollgate/shared/db/batch-store';

/** What a batch may send; all of them are metered by the router like any request. */
export const BATCH_ENDPOINTS = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses'] as const;

export interface InputLimits {
  maxLines: number;
  /** Of one line. */
  maxLineBytes: number;
}

/** The whole file is refused. */
export class BadInput extends Error {
  readonly code: string;
  readonly line: number | null;

  constructor(code: string, message: string, line: number | null = null) {
    super(message);
    this.code = code;
    this.line = line;
  }
}

/** Text of each line with its number (from 1), empty ones left out; too long ones come as null. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
): AsyncGenerator<{ line: number; text: string | null }> {
  let line = 0;
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const take = () => {
    line++;
    const whole = bytes > maxLineBytes ? null : Buffer.concat(parts).toString('utf8').trim();
    const empty = whole === '' || whole === '\ufeff';
    parts = [];
    bytes = 0;
    return empty ? null : { line, text: whole };
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      bytes += at - from;
      if (bytes <= maxLineBytes) parts.push(chunk.subarray(from, at));
      from = at + 1;
      const taken = take();
      if (taken !== null) yield taken;
    }
    bytes += chunk.length - from;
    if (bytes <= maxLineBytes) parts.push(chunk.subarray(from));
    else parts = [];
  }
  if (bytes > 0) {
    const taken = take();
    if (taken !== null) yield taken;
  }
}

/**
 * Every line of a file as a request to run or a failure. Throws BadInput for a file with no line or too many.
 */
export async function* readInput(
  batchId: string,
  endpoint: string,
  chunks: AsyncIterable<Uint8Array>,
  { maxLines, maxLineBytes }: InputLimits,
): AsyncGenerator<NewLine> {
  const seen = new Set<string>();
  let lines = 0;
  for await (const { line, text } of splitLines(chunks, maxLineBytes)) {
    if (++lines > maxLines) throw new BadInput('too_many_lines', `A batch may have ${maxLines} lines at most.`, line);
    yield readLine(batchId, endpoint, line, text, maxLineBytes, seen);
  }
  if (lines === 0) throw new BadInput('empty_file', 'The file has no requests.');
}

function readLine(
  batchId: string,
  endpoint: string,
  line: number,
  text: string | null,
  maxLineBytes: number,
  seen: Set<string>,
): NewLine {
  let customId: string | null = null;
  const fault = (code: string, message: string): NewLine => ({
    line,
    customId,
    body: null,
    result: errorRow(batchId, line, customId, code, message),
  });
  if (text === null) return fault('line_too_large', `A line may have ${maxLineBytes} bytes at most.`);
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return fault('invalid_json_line', 'This line is not valid JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fault('invalid_line', 'This line is not a JSON object.');
  }
  const { custom_id: id, method, url, body } = value;
  if (typeof id !== 'string' || id === '' || id.length > 512) {
    return fault('invalid_custom_id', "'custom_id' must be a string of 1 to 512 characters.");
  }
  customId = id.replaceAll('\0', '').toWellFormed();
  if (seen.has(customId)) return fault('duplicate_custom_id', "Another line of this file has the same 'custom_id'.");
  seen.add(customId);
  if (method !== 'POST') return fault('invalid_method', "'method' must be 'POST'.");
  if (url !== endpoint) return fault('mismatched_url', `'url' must be '${endpoint}', the endpoint of the batch.`);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return fault('invalid_body', "'body' must be a JSON object.");
  }
  if ((body as { stream?: unknown }).stream === true) {
    return fault('stream_not_supported', "A batch answers with whole documents: leave 'stream' out.");
  }
  return { line, customId, body: JSON.stringify(body), result: null };
}

/** A row of the error file for a line that got no answer. */
export function errorRow(
  batchId: string,
  line: number,
  customId: string | null,
  code: string,
  message: string,
): string {
  return JSON.stringify({
    id: rowId(batchId, line),
    custom_id: customId,
    response: null,
    error: { code, message, line },
  });
}

/** A row of the output file, or of the error file when the status is none of success. `body` is JSON text. */
export function answerRow(
  batchId: string,
  line: number,
  customId: string,
  status: number,
  requestId: string | null,
  body: string,
): string {
  const head = JSON.stringify({ id: rowId(batchId, line), custom_id: customId });
  const response = `{"status_code":${status},"request_id":${JSON.stringify(requestId)},"body":${body}}`;
  return `${head.slice(0, -1)},"response":${response},"error":null}`;
}

const rowId = (batchId: string, line: number) => `batch_req_${batchId.replace(/^batch_/, '')}_${line}`;
