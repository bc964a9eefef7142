import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { nusdToUsd } from '@tollgate/shared/domain/money';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { CliError, EXIT_FAILURE, EXIT_USAGE, printResult } from '../output.ts';
import { verifyReceipts } from '../receipts/verify.ts';

const FILES = { receipts: 'receipts.txt', keys: 'jwks.json', invoice: 'invoice.json' } as const;

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new CliError('no_such_file', `cannot read ${file} as JSON`, EXIT_USAGE);
  }
}

export function addReceiptCommands(program: Command, context: Context): void {
  const receipts = program.command('receipts').description('signed receipts of what was billed');

  receipts
    .command('export')
    .description("write an account's receipts, the public keys and a month's invoice into a folder")
    .requiredOption('--account <id>', 'account')
    .requiredOption('--month <YYYY-MM>', 'month of the invoice, UTC')
    .requiredOption('--dir <folder>', 'folder to write to')
    .action(async ({ account, month, dir }: { account: string; month: string; dir: string }) => {
      const console_ = context.console();
      mkdirSync(dir, { recursive: true });
      const lines: string[] = [];
      for (let after: string | null = '0'; after !== null; ) {
        const page = await console_.listReceipts(account, after);
        lines.push(...page.data.map(({ jws }) => jws));
        after = page.next;
      }
      const bill = await console_.invoice(account, month);
      writeFileSync(join(dir, FILES.receipts), lines.map((line) => `${line}\n`).join(''));
      writeFileSync(join(dir, FILES.keys), `${JSON.stringify(await console_.receiptKeys(), null, 2)}\n`);
      writeFileSync(join(dir, FILES.invoice), `${JSON.stringify(bill, null, 2)}\n`);
      printResult(
        context.output(),
        { dir, receipts: lines.length, month, totalNusd: bill.totalNusd },
        (done) =>
          `${done.receipts} receipts and the invoice of ${month} (${nusdToUsd(BigInt(done.totalNusd))} USD) are in ${dir}`,
      );
    });

  receipts
    .command('verify')
    .description('check exported receipts offline: signatures, chain, amounts, and their sum against the invoice')
    .requiredOption('--dir <folder>', 'folder of `receipts export`')
    .action(async ({ dir }: { dir: string }) => {
      const input = createReadStream(join(dir, FILES.receipts));
      const opened = new Promise((resolve, reject) => input.once('open', resolve).once('error', reject));
      await opened.catch(() => {
        throw new CliError('no_such_file', `cannot read ${join(dir, FILES.receipts)}`, EXIT_USAGE);
      });
      const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
      const found = await verifyReceipts(lines, readJson(join(dir, FILES.keys)), readJson(join(dir, FILES.invoice)));
      if (found.problems.length > 0) context.setExitCode(EXIT_FAILURE);
      printResult(context.output(), found, ({ receipts: count, from, to, monthNusd, problems }) =>
        problems.length === 0
          ? `${count} receipts (${from ?? '-'} to ${to ?? '-'}) hold, and add up to the invoice: ${nusdToUsd(BigInt(monthNusd!))} USD`
          : problems.map(({ line, problem }) => (line === null ? problem : `line ${line}: ${problem}`)).join('\n'),
      );
    });
}
