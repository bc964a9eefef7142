/** Receipts as people take them home: the chain of an account, a month's invoice from the ledger, the public keys. */
import type { Invoice } from '@tollgate/shared/contracts/receipt';
import type { Db } from '@tollgate/shared/db/client';
import { ReceiptStore } from '@tollgate/shared/db/receipt-store';

export class ReceiptService {
  readonly #store: ReceiptStore;

  constructor(db: Db) {
    this.#store = new ReceiptStore(db);
  }

  /** A stretch of the chain, oldest first; `next` = the `after` of the next call. */
  async chain(accountId: string, after: bigint, limit: number) {
    const receipts = await this.#store.chain(accountId, after, limit);
    const next = receipts.length === limit ? String(receipts.at(-1)!.seq) : null;
    return { data: receipts.map(({ seq, requestId, jws }) => ({ seq: String(seq), requestId, jws })), next };
  }

  /** `month`: YYYY-MM in UTC, by the end of the requests. */
  async invoice(accountId: string, month: string): Promise<Invoice> {
    const [year, number] = month.split('-').map(Number) as [number, number];
    const rows = await this.#store.billed(accountId, Date.UTC(year, number - 1), Date.UTC(year, number));
    const sum = (value: (row: (typeof rows)[number]) => bigint) =>
      String(rows.reduce((total, row) => total + value(row), 0n));
    return {
      account: accountId,
      month,
      totalNusd: sum(({ amountNusd }) => amountNusd),
      requests: sum(({ requests }) => requests),
      models: rows.map(({ model, requests, amountNusd }) => ({
        model,
        requests: String(requests),
        amountNusd: String(amountNusd),
      })),
    };
  }

  /** RFC 7517 key set, newest first. */
  async keySet(): Promise<{ keys: Record<string, unknown>[] }> {
    return { keys: (await this.#store.keys()).map(({ publicJwk }) => publicJwk) };
  }
}
