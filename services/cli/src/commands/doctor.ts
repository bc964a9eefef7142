import type { Command } from 'commander';
import { devFile } from '../config.ts';
import type { Context } from '../context.ts';
import { runChecks } from '../doctor/checks.ts';
import { CliError, EXIT_FAILURE, EXIT_USAGE, printResult } from '../output.ts';

interface Options {
  workers: boolean;
  publicUrl?: string;
  key?: string;
  model?: string;
  streamSeconds?: string;
}

const STREAM_SECONDS = 90;

function streamOf(context: Context, { publicUrl, key: given, model, streamSeconds }: Options) {
  if (publicUrl === undefined) return null;
  const key = given ?? devFile(context.cwd, context.env)?.apiKey;
  const seconds = streamSeconds === undefined ? STREAM_SECONDS : Number(streamSeconds);
  if (!URL.canParse(publicUrl)) throw new CliError('usage', '--public-url must be a URL', EXIT_USAGE);
  if (!(seconds > 0 && seconds <= 3_600)) throw new CliError('usage', '--stream-seconds must be 1 to 3600', EXIT_USAGE);
  if (key === undefined) throw new CliError('usage', 'the stream needs an API key: --key', EXIT_USAGE);
  return { url: publicUrl, key, seconds, model: model ?? null };
}

export function addDoctorCommand(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('check everything that a working installation needs; exit 1 if a check fails')
    .option('--no-workers', 'do not examine each worker (its checks cost a few dozen tokens)')
    .option(
      '--public-url <url>',
      'also hold a stream and a silent request open through this address, such as https://api.example.com/v1',
    )
    .option('--key <key>', 'API key for them; a local start has one')
    .option('--model <id>', 'model for them; the first that can chat')
    .option('--stream-seconds <n>', 'how long (90)')
    .action(async (options: Options) => {
      const checks = await runChecks(context, { workers: options.workers, stream: streamOf(context, options) });
      printResult(context.output(), { checks }, (result) =>
        result.checks
          .map(
            ({ name, ok, detail, fix }) =>
              `${ok ? 'ok  ' : 'FAIL'}  ${name}: ${detail}${fix ? `\n      ${ok ? 'note' : 'fix'}: ${fix}` : ''}\n`,
          )
          .join(''),
      );
      if (checks.some((check) => !check.ok)) context.setExitCode(EXIT_FAILURE);
    });
}
