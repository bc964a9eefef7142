/**
 * Texts in, ledger out: parses usage records, folds them over the ledger's state and writes the result, in the caller's
 * transaction. The drain and `POST /ingest` share it. A record can never hold up its batch: what does not parse, and what
 * Postgres refuses all the same, ends as a dead letter.
 */
import { MalformedText, parseUsageRecord } from '@tollgate/shared/contracts/money';
import type { Tx } from '@tollgate/shared/db/client';
import type { DeadLetter, SettlementStore } from '@tollgate/shared/db/settlement-store';
import { isInfrastructure, savepoint } from '@tollgate/shared/db/tx';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { MeteringMetrics } from '../metrics.ts';
import type { KeyUses } from './key-uses.ts';
import { type Finding, type FoldResult, foldBatch, type Incoming } from './settle.ts';

export interface IncomingText {
  /** Unique per delivery place, e.g. bucket, history and stream id. */
  source: string;
  text: string;
  streamId: string | null;
}

export interface Recorded {
  posted: number;
  repeated: number;
  deadLetters: number;
  /** Accounts that have more available than before: a verdict about them is out of date. */
  freed: { accountId: AccountId; version: bigint }[];
  /** Reports what was found; call it after the commit, so that a retried transaction is told once. */
  report: () => void;
}

const EXAMPLES = 5;

export interface RecorderDeps {
  store: SettlementStore;
  /** Another fold: tests plant bugs through it. */
  fold?: typeof foldBatch;
  metrics: MeteringMetrics;
  logger: Logger;
  /** Hears of every record that was posted. */
  uses?: Pick<KeyUses, 'note'>;
}

export class Recorder {
  readonly #deps: RecorderDeps;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
  }

  /** Posts every text of the batch, or keeps it as a dead letter. Throws only when Postgres itself is at fault. */
  async record(trx: Tx, texts: readonly IncomingText[]): Promise<Recorded> {
    const items: Incoming[] = [];
    const letters: DeadLetter[] = [];
    for (const text of texts) {
      try {
        items.push({ ...text, record: parseUsageRecord(text.text) });
      } catch (error) {
        if (!(error instanceof MalformedText)) throw error;
        letters.push({ source: text.source, text: text.text, error: error.message });
      }
    }
    const results: FoldResult[] = [];
    const freed = new Map<string, bigint>();
    await this.#apply(trx, items, results, letters, freed);
    for (const result of results) letters.push(...result.deadLetters);
    await this.#deps.store.addDeadLetters(trx, letters);
    const sum = (value: (result: FoldResult) => number) => results.reduce((total, each) => total + value(each), 0);
    return {
      posted: sum((each) => each.posted),
      repeated: sum((each) => each.repeated),
      deadLetters: letters.length,
      freed: [...freed].map(([accountId, version]) => ({ accountId: accountId as AccountId, version })),
      report: () => this.#report(results, letters),
    };
  }

  /**
   * The whole chunk under one savepoint; when Postgres refuses it, its halves, down to the single record that is at
   * fault. So a bad record costs a few statements more, once, and no batch ever fails twice.
   */
  async #apply(
    trx: Tx,
    items: readonly Incoming[],
    results: FoldResult[],
    letters: DeadLetter[],
    freed: Map<string, bigint>,
  ): Promise<void> {
    if (items.length === 0) return;
    const { store, logger, fold = foldBatch } = this.#deps;
    try {
      const { state, result } = await savepoint(trx, async () => {
        const records = items.map((item) => item.record);
        const state = await store.lockState(trx, records);
        const prices = await store.prices(
          trx,
          records.map((record) => record.priceId),
        );
        const result = fold(state, items, prices);
        await store.write(trx, result.writes);
        return { state, result };
      });
      results.push(result);
      for (const [accountId, after] of result.writes.balances) {
        if (after.available > state.balances.get(accountId)!.available) freed.set(accountId, after.version);
      }
    } catch (error) {
      // A broken connection or a deadlock says nothing about the records: the caller does the whole batch again.
      if (isInfrastructure(error)) throw error;
      if (items.length === 1) {
        const [item] = items;
        logger.error({ err: error, requestId: item!.record.requestId }, 'Postgres refused a usage record');
        letters.push({ source: item!.source, text: item!.text, error: (error as Error).message });
        return;
      }
      const middle = items.length >> 1;
      await this.#apply(trx, items.slice(0, middle), results, letters, freed);
      await this.#apply(trx, items.slice(middle), results, letters, freed);
    }
  }

  #report(results: readonly FoldResult[], letters: readonly DeadLetter[]): void {
    const { metrics, logger, uses } = this.#deps;
    const byKind = new Map<Finding, FoldResult['findings']>();
    for (const result of results) {
      metrics.recordsTotal.inc({ result: 'posted' }, result.posted);
      metrics.recordsTotal.inc({ result: 'repeated' }, result.repeated);
      for (const { record } of result.writes.settlements) uses?.note(record.keyId, record.admittedAtMs);
      for (const each of result.findings) {
        metrics.findingsTotal.inc({ finding: each.finding });
        if (each.finding === 'uncollected') metrics.uncollectedNusdTotal.inc(Number(each.amountNusd));
        const alike = byKind.get(each.finding);
        if (alike) alike.push(each);
        else byKind.set(each.finding, [each]);
      }
    }
    // One line per kind and batch: after a loss of Redis thousands of records look alike.
    for (const [finding, all] of byKind) {
      const amountNusd = String(all.reduce((sum, each) => sum + each.amountNusd, 0n));
      const requestIds = all.slice(0, EXAMPLES).map((each) => each.requestId);
      const level = finding === 'clipped' || finding === 'foreign_lease' ? 'warn' : 'error';
      logger[level]({ finding, records: all.length, amountNusd, requestIds }, 'usage records need a look');
    }
    metrics.recordsTotal.inc({ result: 'dead_letter' }, letters.length);
    if (letters.length === 0) return;
    const examples = letters.slice(0, EXAMPLES).map(({ source, error }) => ({ source, error }));
    logger.error({ letters: letters.length, examples }, 'dead letters');
  }
}
