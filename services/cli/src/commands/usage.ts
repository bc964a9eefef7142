import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { UsageLine } from '@tollgate/shared/contracts/console/usage';
import { nusdToUsd } from '@tollgate/shared/domain/money';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { CliError, EXIT_CONFIG, EXIT_USAGE, printResult, table } from '../output.ts';
import { parseCount } from '../parse.ts';
import { more } from './keys.ts';

const shownUsage = (line: UsageLine) => ({
  requestId: line.requestId,
  model: line.model,
  outcome: line.outcome,
  promptTokens: line.promptTokens,
  cachedTokens: line.cachedTokens,
  completionTokens: line.completionTokens,
  amountNusd: line.amountNusd,
});

/** Records per request to metering. */
const IMPORT_BATCH = 200;
const IMPORT_LIMIT_MS = 30_000;

/**
 * The usage record in a line of a file: the line itself, or field `record` of a router's log line that says
 * `unconfirmed_usage` (MONEY.md 2.9). Null for every other line.
 */
export function recordOfLine(line: string): string | null {
  let value: Record<string, unknown> | null;
  try {
    value = JSON.parse(line) as Record<string, unknown> | null;
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  if (value.msg === 'unconfirmed_usage' || value.event === 'unconfirmed_usage') {
    const { record } = value;
    if (typeof record === 'string') return record;
    return typeof record === 'object' && record !== null ? JSON.stringify(record) : null;
  }
  return typeof value.requestId === 'string' && typeof value.leaseId === 'string' ? line : null;
}

async function importUsage(
  file: string,
  context: Context,
): Promise<{ read: number; records: number; accepted: number }> {
  const { meteringUrl, serviceToken } = context.backend();
  if (!meteringUrl || !serviceToken) {
    throw new CliError(
      'no_metering',
      'set TOLLGATE_METERING_URL and TOLLGATE_SERVICE_TOKEN, or run npm start',
      EXIT_CONFIG,
    );
  }
  const totals = { read: 0, records: 0, accepted: 0 };
  let batch: string[] = [];
  const send = async () => {
    if (batch.length === 0) return;
    const response = await fetch(`${meteringUrl}/ingest`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ records: batch }),
      signal: AbortSignal.timeout(IMPORT_LIMIT_MS),
    }).catch(() => {
      throw new CliError('metering_unreachable', `metering at ${meteringUrl} cannot be reached; run the import again`);
    });
    if (!response.ok)
      throw new CliError('import_refused', `metering answered ${response.status}; run the import again`);
    totals.accepted += ((await response.json()) as { accepted: number }).accepted;
    batch = [];
  };
  const input = createReadStream(file);
  const opened = new Promise((resolve, reject) => input.once('open', resolve).once('error', reject));
  await opened.catch(() => {
    throw new CliError('no_such_file', `cannot read ${file}`, EXIT_USAGE);
  });
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    totals.read += 1;
    const record = recordOfLine(line);
    if (record === null) continue;
    totals.records += 1;
    if (batch.push(record) >= IMPORT_BATCH) await send();
  }
  await send();
  return totals;
}

export function addUsageCommands(program: Command, context: Context): void {
  const usage = program
    .command('usage')
    .description('finished requests as billed, newest first')
    .option('--account <id>', 'account')
    .option('--limit <n>', 'rows per page', parseCount)
    .option('--cursor <text>', '`next` of the page before')
    .action(async (options: { account?: string; limit?: number; cursor?: string }) => {
      if (!options.account) throw new CliError('usage', "option '--account <id>' is required", EXIT_USAGE);
      const page = await context.console().listUsage(options.account, { limit: options.limit, cursor: options.cursor });
      printResult(context.output(), { data: page.data.map(shownUsage), next: page.next }, ({ data, next }) => {
        const rows = data.map((line) => [
          line.requestId,
          line.model,
          line.outcome,
          `${line.promptTokens}/${line.cachedTokens}`,
          String(line.completionTokens),
          nusdToUsd(BigInt(line.amountNusd)),
        ]);
        return table(['!request', 'model', 'outcome', '>in/cached', '>out', '>USD'], rows) + more(next);
      });
    });

  usage
    .command('import')
    .description('post records that a router could only log (`unconfirmed_usage`); repeats are billed once')
    .argument('<file>', 'a router log, or records one per line')
    .action(async (file: string) => {
      printResult(
        context.output(),
        await importUsage(file, context),
        ({ read, records, accepted }) => `${accepted} of ${records} records accepted (${read} lines read)`,
      );
    });
}
