import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { facts, printResult, table } from '../output.ts';
import { parseCount, parseDurationMs, parseList, parseTime, parseUsd } from '../parse.ts';

interface CreateOptions {
  account?: string;
  name?: string;
  creditUsd?: string;
  rpm?: number;
  tpm?: number;
  concurrency?: number;
  expires?: string;
  kind?: string;
  models?: string[];
}

/** The part of a key that `keys list` promises. */
const listedKey = (key: KeyView) => ({
  keyId: key.keyId,
  accountId: key.accountId,
  name: key.name,
  prefix: key.prefix,
  last4: key.last4,
  createdAt: key.createdAt,
  expiresAt: key.expiresAt,
  revokedAt: key.revokedAt,
});

export function keyState(key: { expiresAt: string | null; revokedAt: string | null }, nowMs: number): string {
  if (key.revokedAt !== null) return 'revoked';
  return key.expiresAt !== null && Date.parse(key.expiresAt) <= nowMs ? 'expired' : 'live';
}

export function addKeyCommands(program: Command, context: Context): void {
  const keys = program.command('keys').description('API keys of accounts');

  keys
    .command('create')
    .description('make a key; for a new account unless --account names one')
    .option('--account <id>', 'account of the key')
    .option('--name <text>', 'what people call it')
    .option('--credit-usd <amount>', 'credit to grant; spendable when the command returns', parseUsd)
    .option('--rpm <n>', 'requests per minute', parseCount)
    .option('--tpm <n>', 'tokens per minute', parseCount)
    .option('--concurrency <n>', 'requests running at the same time', parseCount)
    .option('--expires <time>', 'ISO 8601', parseTime)
    .option('--kind <kind>', 'api, pat or service')
    .option('--models <ids>', 'only these models, with commas between', parseList)
    .action(async (options: CreateOptions) => {
      const { key, keyId, accountId } = await context.console().createKey({
        accountId: options.account,
        name: options.name,
        creditUsd: options.creditUsd,
        rpm: options.rpm,
        tpm: options.tpm,
        concurrency: options.concurrency,
        expiresAt: options.expires,
        kind: options.kind,
        models: options.models,
      });
      printResult(context.output(), { key, keyId, accountId }, (created) =>
        facts([
          ['key', `${created.key}  (shown this once)`],
          ['key id', created.keyId],
          ['account', created.accountId],
        ]),
      );
    });

  keys
    .command('list')
    .description('keys, newest first')
    .option('--account <id>', 'only of this account')
    .option('--limit <n>', 'rows per page', parseCount)
    .option('--cursor <text>', '`next` of the page before')
    .action(async (options: { account?: string; limit?: number; cursor?: string }) => {
      const page = await context
        .console()
        .listKeys({ accountId: options.account, limit: options.limit, cursor: options.cursor });
      const nowMs = context.clock.nowMs();
      printResult(context.output(), { data: page.data.map(listedKey), next: page.next }, ({ data, next }) => {
        const rows = data.map((key) => [key.keyId, key.accountId, key.name, `…${key.last4}`, keyState(key, nowMs)]);
        return table(['!key', '!account', 'name', 'ends in', 'state'], rows) + more(next);
      });
    });

  keys
    .command('rotate')
    .description('make a successor; the old key works on for the overlap')
    .argument('<id>', 'key id')
    .option('--overlap <duration>', 'how long the old key still works', parseDurationMs, 86_400_000)
    .action(async (keyId: string, options: { overlap: number }) => {
      const rotated = await context.console().rotateKey(keyId, options.overlap);
      printResult(context.output(), { key: rotated.key, keyId: rotated.keyId }, (created) =>
        facts([
          ['key', `${created.key}  (shown this once)`],
          ['key id', created.keyId],
          ['old key', `works until ${rotated.oldExpiresAt}`],
        ]),
      );
    });

  keys
    .command('revoke')
    .description('refuse a key from now on')
    .argument('<id>', 'key id')
    .action(async (id: string) => {
      const { keyId, revokedAt } = await context.console().revokeKey(id);
      printResult(
        context.output(),
        { keyId, revokedAt },
        (revoked) => `${revoked.keyId} revoked at ${revoked.revokedAt}`,
      );
    });
}

/** The line under a table that says how to get the next page. */
export const more = (next: string | null) => (next === null ? '' : `more: --cursor ${next}\n`);
