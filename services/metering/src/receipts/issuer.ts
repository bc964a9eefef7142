/**
 * Makes the receipts that are due: signs each bill as the ledger has it and hangs it onto its account's chain. One
 * transaction per round, one issuer at a time: a crash leaves either all of a round or nothing of it.
 */
import { createHash } from 'node:crypto';
import type { ReceiptPayload } from '@tollgate/shared/contracts/receipt';
import type { Db } from '@tollgate/shared/db/client';
import { transactionId } from '@tollgate/shared/db/ledger-store';
import { lockReceipts, type ReceiptSource, ReceiptStore, type StoredReceipt } from '@tollgate/shared/db/receipt-store';
import { tx } from '@tollgate/shared/db/tx';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Loop, startLoop } from '../loop.ts';
import { currentSigner, type Signer, type SigningParts } from './signing-keys.ts';

export interface IssuerParts extends SigningParts {
  db: Db;
  logger: Logger;
  onError: (error: unknown) => void;
  everyMs: number;
}

const PER_ROUND = 200;
/** The key is looked at again this often: it may be time for a new one. */
const KEY_EVERY_MS = 3_600_000;

export function startIssuer(parts: IssuerParts): Loop {
  let signer: { key: Signer; atMs: number } | null = null;
  return startLoop({
    clock: parts.clock,
    everyMs: parts.everyMs,
    onError: parts.onError,
    async round() {
      const nowMs = parts.clock.monotonicMs();
      if (signer === null || nowMs - signer.atMs > KEY_EVERY_MS) {
        signer = { key: await currentSigner(new ReceiptStore(parts.db), parts), atMs: nowMs };
      }
      while ((await issue(parts.db, signer.key, parts.clock)) === PER_ROUND);
    },
  });
}

/** One round; returns how many bills it looked at. */
export async function issue(db: Db, signer: Signer, clock: Clock): Promise<number> {
  return await tx(db, async (trx) => {
    if (!(await lockReceipts(trx))) return 0;
    const store = new ReceiptStore(trx);
    const due = await store.due(PER_ROUND);
    if (due.length === 0) return 0;
    const [sources, known] = [await store.sources(due), await store.known(due)];
    const fresh = sources.filter(({ requestId, revision }) => !known.has(`${requestId}#${revision}`));
    const order = new Map(due.map((id, at) => [id, at]));
    fresh.sort((a, b) => order.get(a.requestId)! - order.get(b.requestId)!);
    const heads = await store.heads([...new Set(fresh.map(({ accountId }) => accountId))]);
    const receipts: StoredReceipt[] = [];
    for (const source of fresh) {
      const head = heads.get(source.accountId) ?? null;
      const seq = (head?.seq ?? 0n) + 1n;
      const jws = await signer.sign(JSON.stringify(payloadOf(source, seq, head?.hash ?? null)));
      const hash = createHash('sha256').update(jws).digest('base64url');
      heads.set(source.accountId, { seq, hash });
      const { accountId, requestId, revision } = source;
      receipts.push({ accountId, seq, requestId, revision, hash, jws, createdAtMs: clock.nowMs() });
    }
    await store.add(receipts, due);
    return due.length;
  });
}

function payloadOf(source: ReceiptSource, seq: bigint, prev: string | null): ReceiptPayload {
  const { prices } = source;
  return {
    v: 1,
    account: source.accountId,
    seq: String(seq),
    prev,
    request: source.requestId,
    revision: source.revision,
    state: source.state,
    key: source.keyId,
    requestDigest: source.requestDigest,
    endpoint: source.endpoint,
    model: source.model,
    engine: source.engine,
    outcome: source.outcome,
    tokens: { prompt: source.promptTokens, cached: source.cachedTokens, completion: source.completionTokens },
    price: {
      id: source.priceId,
      percent: source.pricePercent,
      input: prices === null ? null : String(prices.inputNusd),
      cachedInput: prices === null ? null : String(prices.cachedInputNusd),
      output: prices === null ? null : String(prices.outputNusd),
    },
    amountNusd: String(source.amountNusd),
    ledger: source.transactions.map(({ id, kind, entries }) => ({
      transaction: transactionId(id),
      kind,
      entries: entries.map(({ bucket, amountNusd }) => ({ bucket, amountNusd: String(amountNusd) })),
    })),
    admittedAt: new Date(source.admittedAtMs).toISOString(),
    finishedAt: new Date(source.finishedAtMs).toISOString(),
  };
}
