/**
 * Checks receipts against the public keys and a month's invoice, with nothing but the three texts: every signature, every
 * link of the chain, every amount from tokens and prices, and the sum.
 */
import { createHash } from 'node:crypto';
import {
  type Invoice,
  invoice as invoiceShape,
  RECEIPT_TYPE,
  type ReceiptPayload,
  receiptPayload,
} from '@tollgate/shared/contracts/receipt';
import { costNusd, pricesAt } from '@tollgate/shared/domain/money';
import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose';

export interface Problem {
  /** Line of the file of receipts, from 1; null = of the whole. */
  line: number | null;
  problem: string;
}

export interface Verified {
  receipts: number;
  /** Places in the chain, first and last. */
  from: string | null;
  to: string | null;
  /** Sum of the bills of the invoice's month; null without an invoice. */
  monthNusd: string | null;
  problems: Problem[];
}

/** Problems beyond these are only counted. */
const MAX_PROBLEMS = 100;

export async function verifyReceipts(
  lines: AsyncIterable<string> | Iterable<string>,
  keySet: unknown,
  invoiceText: unknown,
): Promise<Verified> {
  const problems: Problem[] = [];
  const note = (line: number | null, problem: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push({ line, problem });
  };
  const keys = createLocalJWKSet(keySet as JSONWebKeySet);
  const bill: Invoice | null = invoiceText === null ? null : invoiceShape.parse(invoiceText);
  const latest = new Map<string, { revision: number; amountNusd: bigint; finishedAt: string; model: string }>();
  let last: { seq: bigint; hash: string; account: string } | null = null;
  let first: string | null = null;
  let line = 0;
  let receipts = 0;
  for await (const text of lines) {
    line++;
    const jws = text.trim();
    if (jws === '') continue;
    receipts++;
    const payload = await read(jws, keys).catch((error: Error) => error.message);
    if (typeof payload === 'string') {
      note(line, payload);
      last = null;
      continue;
    }
    first ??= payload.seq;
    for (const problem of [...linkProblems(payload, last), ...amountProblems(payload)]) note(line, problem);
    last = {
      seq: BigInt(payload.seq),
      hash: createHash('sha256').update(jws).digest('base64url'),
      account: payload.account,
    };
    const known = latest.get(payload.request);
    if (known === undefined || known.revision < payload.revision) {
      const { revision, finishedAt, model } = payload;
      latest.set(payload.request, { revision, finishedAt, model, amountNusd: BigInt(payload.amountNusd) });
    }
  }
  let monthNusd: string | null = null;
  if (bill !== null) {
    const mine = [...latest.values()].filter(({ finishedAt }) => finishedAt.startsWith(`${bill.month}-`));
    const sum = mine.reduce((total, { amountNusd }) => total + amountNusd, 0n);
    monthNusd = String(sum);
    if (last !== null && last.account !== bill.account) note(null, `the invoice is of account ${bill.account}`);
    if (sum !== BigInt(bill.totalNusd))
      note(null, `the receipts of ${bill.month} add up to ${sum}, the invoice says ${bill.totalNusd}`);
    if (String(mine.length) !== bill.requests)
      note(null, `${mine.length} requests have receipts, the invoice says ${bill.requests}`);
    const parts = bill.models.reduce((total, { amountNusd }) => total + BigInt(amountNusd), 0n);
    if (String(parts) !== bill.totalNusd) note(null, 'the invoice does not add up by itself');
  }
  return { receipts, from: first, to: last === null ? null : String(last.seq), monthNusd, problems };
}

async function read(jws: string, keys: ReturnType<typeof createLocalJWKSet>): Promise<ReceiptPayload> {
  const { payload, protectedHeader } = await compactVerify(jws, keys, { algorithms: ['EdDSA'] }).catch(() => {
    throw new Error('the signature does not verify');
  });
  if (protectedHeader.typ !== RECEIPT_TYPE) throw new Error('this is signed, and no receipt');
  const parsed = receiptPayload.safeParse(JSON.parse(new TextDecoder().decode(payload)));
  if (!parsed.success) throw new Error('this is no receipt of a version known here');
  return parsed.data;
}

function linkProblems(
  { seq, prev, account }: ReceiptPayload,
  last: { seq: bigint; hash: string; account: string } | null,
): string[] {
  if (last === null) return seq === '1' && prev !== null ? ['the first receipt names one before it'] : [];
  if (account !== last.account) return ['this receipt is of another account'];
  if (BigInt(seq) !== last.seq + 1n) return [`receipt ${last.seq + 1n} is missing or out of place`];
  return prev === last.hash ? [] : ['this receipt does not name the one before it'];
}

/** The bill from its own parts; clipped and estimated ones may only be lower. */
function amountProblems({ tokens, price, amountNusd, ledger }: ReceiptPayload): string[] {
  const problems: string[] = [];
  if (price.input !== null && price.cachedInput !== null && price.output !== null) {
    const prices = pricesAt(
      { inputNusd: BigInt(price.input), cachedInputNusd: BigInt(price.cachedInput), outputNusd: BigInt(price.output) },
      price.percent,
    );
    const { prompt: promptTokens, cached: cachedTokens, completion: completionTokens } = tokens;
    const cost = costNusd({ promptTokens, cachedTokens, completionTokens }, prices);
    if (BigInt(amountNusd) > cost) problems.push(`billed ${amountNusd}, the tokens cost ${cost}`);
  }
  for (const { transaction, entries } of ledger) {
    const sum = entries.reduce((total, entry) => total + BigInt(entry.amountNusd), 0n);
    if (sum !== 0n) problems.push(`the entries of ${transaction} do not balance`);
  }
  return problems;
}
