/**
 * Takes one batch from whatever state it is in to its end. Stops anywhere without harm:
 * - while the file is read: it is read again from its start; lines that are there stay;
 * - while lines run: a line without an end is sent again under its Idempotency-Key and gets the same answer;
 * - while the files are written: they are written again, under the same ids.
 */
import { Readable } from 'node:stream';
import type { Batch, BatchStore } from '@tollgate/shared/db/batch-store';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { BatchFiles } from './files.ts';
import { BadInput, errorRow, type InputLimits, readInput } from './input.ts';
import { type LineParts, runLine } from './line.ts';

export interface RunnerParts {
  store: BatchStore;
  files: BatchFiles;
  line: LineParts;
  limits: InputLimits;
  /** Lines of one batch that are under way at the same time, at most. */
  parallel: number;
  clock: Clock;
  logger: Logger;
  /** A line has ended. */
  onLine: (state: 'done' | 'failed') => void;
}

/** Between two looks at whether somebody cancelled. */
const LOOK_EVERY_LINES = 50;
const INSERT_LINES = 200;

/** Resolves when the batch has ended, or `signal` says stop. Throws what may succeed later. */
export async function runBatch(id: string, parts: RunnerParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    const batch = await parts.store.find(id);
    if (batch === null || signal.aborted) return;
    switch (batch.status) {
      case 'validating':
        await readFile(batch, parts);
        break;
      case 'in_progress':
        if (await runLines(batch, parts, signal)) await parts.store.finalize(id, parts.clock.nowMs());
        break;
      case 'cancelling':
        await parts.store.giveUp(id, false, ({ line, customId }) =>
          errorRow(id, line, customId, 'batch_cancelled', 'The batch was cancelled before this line ran.'),
        );
        await parts.store.finalize(id, parts.clock.nowMs());
        await writeFiles(batch, 'cancelled', parts);
        break;
      case 'finalizing':
        await writeFiles(batch, batch.expired ? 'expired' : 'completed', parts);
        break;
      default:
        return;
    }
  }
}

async function readFile(batch: Batch, { store, files, limits, clock }: RunnerParts): Promise<void> {
  try {
    const content = await files.read(batch);
    if (content === null) throw new BadInput('input_file_not_found', 'The input file is gone.');
    let total = 0;
    let page = [];
    for await (const line of readInput(batch.id, batch.endpoint, content, limits)) {
      total++;
      page.push(line);
      if (page.length < INSERT_LINES) continue;
      await store.addLines(batch.id, page);
      page = [];
    }
    await store.addLines(batch.id, page);
    await store.begin(batch.id, total, clock.nowMs());
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    await store.fail(batch.id, [{ code: error.code, message: error.message, line: error.line }], clock.nowMs());
  }
}

/** True when no line is left to run; false when somebody cancelled or this process stops. */
async function runLines(batch: Batch, parts: RunnerParts, signal: AbortSignal): Promise<boolean> {
  const { store, clock, onLine } = parts;
  const ending = new AbortController();
  const stop = AbortSignal.any([signal, ending.signal]);
  const expiry = clock.setTimeout(() => ending.abort(), Math.max(0, batch.expiresAtMs - clock.nowMs())).unref();
  const window = new Window(parts.parallel);
  try {
    let after = -1;
    for (;;) {
      if (stop.aborted) break;
      const page = await store.pending(batch.id, after, LOOK_EVERY_LINES);
      if (page.length === 0) break;
      after = page.at(-1)!.line;
      await window.each(page, async (line) => {
        const end = await runLine(batch, line, parts.line, stop, () => window.slower());
        if (end === null) return;
        await store.endLine(batch.id, line.line, end.kind, end.result);
        onLine(end.kind);
        window.faster();
      });
      const now = await store.find(batch.id);
      if (now?.status !== 'in_progress') return false;
    }
    if (signal.aborted) return false;
    if (ending.signal.aborted) {
      await store.giveUp(batch.id, true, ({ line, customId }) =>
        errorRow(batch.id, line, customId, 'batch_expired', 'This line did not run within the window of the batch.'),
      );
    }
    // A page that was passed over by an error of ours is still pending: another round takes it.
    return (await store.pending(batch.id, -1, 1)).length === 0;
  } finally {
    expiry.cancel();
    ending.abort();
  }
}

async function writeFiles(
  batch: Batch,
  status: 'completed' | 'expired' | 'cancelled',
  { store, files, clock }: RunnerParts,
): Promise<void> {
  const { completed, failed } = (await store.find(batch.id))!;
  const rows = (state: 'done' | 'failed') => Readable.from(lines(store.results(batch.id, state)));
  if (completed > 0) await files.write(batch, batch.outputFileId, `${batch.id}_output.jsonl`, rows('done'));
  if (failed > 0) await files.write(batch, batch.errorFileId, `${batch.id}_errors.jsonl`, rows('failed'));
  await store.end(batch.id, status, { hasOutput: completed > 0, hasErrors: failed > 0 }, clock.nowMs());
}

async function* lines(rows: AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const row of rows) yield Buffer.from(`${row}\n`);
}

/** How many lines run at once: fewer when the fleet is busy, one more with every success (additive up, halved down). */
export class Window {
  readonly #max: number;
  #size: number;
  #running = 0;
  #wake: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
    this.#size = max;
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  slower(): void {
    this.#size = Math.max(1, this.#size / 2);
  }

  faster(): void {
    this.#size = Math.min(this.#max, this.#size + 1 / this.#size);
    this.#next();
  }

  /** `work` on all items, as many at a time as the window is wide. The first error is thrown when all have ended. */
  async each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    let failure: unknown = null;
    const running: Promise<void>[] = [];
    for (const item of items) {
      while (this.#running >= this.size) await new Promise<void>((resolve) => this.#wake.push(resolve));
      this.#running++;
      running.push(
        work(item)
          .catch((error: unknown) => {
            failure ??= error;
          })
          .finally(() => {
            this.#running--;
            this.#next();
          }),
      );
    }
    await Promise.all(running);
    if (failure !== null) throw failure instanceof Error ? failure : new AppError('internal_error', { cause: failure });
  }

  #next(): void {
    this.#wake.shift()?.();
  }
}
