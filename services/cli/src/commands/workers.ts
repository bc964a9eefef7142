import type { WorkerView } from '@tollgate/shared/contracts/console/workers';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { printResult, table } from '../output.ts';

const shownWorker = (worker: WorkerView) => ({
  url: worker.url,
  engine: worker.engine,
  model: worker.model,
  state: worker.state,
  running: worker.running,
  waiting: worker.waiting,
  kvUsage: worker.kvUsage,
});

async function printWorkers(context: Context): Promise<void> {
  const { data } = await context.console().listWorkers();
  printResult(context.output(), { data: data.map(shownWorker) }, (list) =>
    table(
      ['!worker', 'engine', 'model', 'state', '>running', '>waiting', '>kv'],
      list.data.map((worker) => [
        worker.url,
        worker.engine,
        worker.model,
        worker.state,
        String(worker.running),
        String(worker.waiting),
        worker.kvUsage === null ? '-' : `${Math.round(worker.kvUsage * 100)} %`,
      ]),
    ),
  );
}

export function addWorkerCommands(program: Command, context: Context): void {
  const workers = program.command('workers').description('the fleet of GPU workers');
  workers
    .command('list')
    .description('every worker that a router sees')
    .action(() => printWorkers(context));
  for (const [name, draining, text] of [
    ['drain', true, 'send it no new requests; running ones finish'],
    ['undrain', false, 'let it take requests again'],
  ] as const) {
    workers
      .command(name)
      .description(text)
      .argument('<url>', 'base URL of the worker')
      .action(async (url: string) => {
        await context.console().setDraining(url, draining);
        await printWorkers(context);
      });
  }
}
