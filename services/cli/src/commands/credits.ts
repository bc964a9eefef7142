import type { CreditsView } from '@tollgate/shared/contracts/console/credits';
import { nusdToUsd } from '@tollgate/shared/domain/money';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { facts, printResult } from '../output.ts';
import { parseSignedUsd } from '../parse.ts';

/** credited = posted + held + available once nothing is in flight; quarantined is part of held, named beside it. */
const shownCredits = (credits: CreditsView) => ({
  creditedNusd: credits.creditedNusd,
  postedNusd: credits.postedNusd,
  heldNusd: credits.heldNusd,
  availableNusd: credits.availableNusd,
  quarantinedNusd: credits.quarantinedNusd,
});

function renderCredits(credits: ReturnType<typeof shownCredits>): string {
  const usd = (amount: string) => `${nusdToUsd(BigInt(amount)).padStart(18)} USD`;
  return facts([
    ['credited', usd(credits.creditedNusd)],
    ['posted', usd(credits.postedNusd)],
    ['held', usd(credits.heldNusd)],
    ['of that quarantined', usd(credits.quarantinedNusd)],
    ['available', usd(credits.availableNusd)],
  ]);
}

export function addCreditCommands(program: Command, context: Context): void {
  const credits = program.command('credits').description('prepaid credit of accounts');

  credits
    .command('add')
    .description('grant credit, or take it back with a negative amount')
    .requiredOption('--account <id>', 'account')
    .requiredOption('--usd <amount>', 'amount in USD', parseSignedUsd)
    .requiredOption('--reason <text>', 'why; stands in the ledger for ever')
    .option('--idempotency-key <text>', 'a repeat with the same value changes nothing')
    .action(async (options: { account: string; usd: string; reason: string; idempotencyKey?: string }) => {
      const changed = await context.console().addCredits(options.account, {
        usd: options.usd,
        reason: options.reason,
        idempotencyKey: options.idempotencyKey,
      });
      printResult(context.output(), shownCredits(changed), renderCredits);
    });

  credits
    .command('show')
    .description('what an account has, holds and has spent')
    .requiredOption('--account <id>', 'account')
    .action(async (options: { account: string }) => {
      printResult(context.output(), shownCredits(await context.console().showCredits(options.account)), renderCredits);
    });
}
