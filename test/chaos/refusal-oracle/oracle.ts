/**
 * Judges every answer of an admission by what can have been true while it was made. All times are one monotonic clock;
 * what overlaps the request's interval may have come before or after it, so each bound takes the side that excuses it.
 */

import { MAX_LEASE_NUSD } from '@tollgate/shared/domain/money';

export interface Interval {
  startMs: number;
  /** Infinity = has not ended. */
  endMs: number;
}

export interface Credit extends Interval {
  amountNusd: bigint;
}

export interface Held {
  requestId: string;
  amountNusd: bigint;
  /** From the start of the admission to the end of settlement or void. */
  open: Interval;
  /** When it was settled; null = given back. */
  settled: (Interval & { costNusd: bigint }) | null;
}

export type Answer =
  | { kind: 'admitted'; amountNusd: bigint; outputLimit: number; clamped: boolean }
  | { kind: 'refused'; code: string; requiredNusd: bigint | null; detail: string };

export interface Asked extends Interval {
  requestId: string;
  /** Output limit asked for and its hold; the least acceptable limit and its hold. */
  maxTokens: number;
  fullNusd: bigint;
  leastTokens: number;
  leastNusd: bigint;
  /** The test itself spoilt this request's call. */
  spoilt: boolean;
  answer: Answer;
}

export interface Log {
  credits: Credit[];
  holds: Map<string, Held>;
  asked: Asked[];
  /** Something was broken, or credit was quarantined because of it. */
  faults: Interval[];
  /** A lease had reached the largest amount and was replaced: what its requests held of it stood in quarantine. */
  replaced: Interval[];
}

/** What the router notes of a 503 that comes from a quarantine. */
const QUARANTINED = 'credit is quarantined';

const overlaps = (a: Interval, b: Interval) => a.startMs <= b.endMs && b.startMs <= a.endMs;

/** True credit at some instant of the interval was at least this low, at most this high. */
export function creditBounds(log: Log, during: Interval): { lowNusd: bigint; highNusd: bigint } {
  let lowNusd = 0n;
  let highNusd = 0n;
  for (const credit of log.credits) {
    if (credit.endMs <= during.startMs) lowNusd += credit.amountNusd;
    if (credit.startMs <= during.endMs) highNusd += credit.amountNusd;
  }
  for (const { settled } of log.holds.values()) {
    if (!settled) continue;
    if (settled.startMs <= during.endMs) lowNusd -= settled.costNusd;
    if (settled.endMs <= during.startMs) highNusd -= settled.costNusd;
  }
  return { lowNusd, highNusd };
}

/** What is wrong with the answers, in words; empty = all of them can be explained. */
export function judge(log: Log): string[] {
  return [...log.asked.flatMap((asked) => judgeOne(log, asked)), ...overspent(log)];
}

function judgeOne(log: Log, asked: Asked): string[] {
  const { lowNusd, highNusd } = creditBounds(log, asked);
  const troubled = asked.spoilt || log.faults.some((fault) => overlaps(fault, asked));
  const what = `${asked.requestId} (asked ${asked.fullNusd}, least ${asked.leastNusd}, credit ${lowNusd}..${highNusd})`;
  const { answer } = asked;
  if (answer.kind === 'admitted') {
    if (!answer.clamped) return answer.outputLimit === asked.maxTokens ? [] : [`${what}: lowered without saying so`];
    const payable = asked.fullNusd <= MAX_LEASE_NUSD && lowNusd >= asked.fullNusd;
    if (payable) return [`${what}: lowered to ${answer.amountNusd} while credit covered it`];
    if (answer.outputLimit < asked.leastTokens) return [`${what}: lowered to ${answer.outputLimit} tokens`];
    return [];
  }
  if (answer.code === 'insufficient_credits') {
    if (answer.requiredNusd !== asked.leastNusd) return [`${what}: 402 names ${answer.requiredNusd}`];
    return lowNusd >= asked.leastNusd ? [`${what}: 402 while credit covered it`] : [];
  }
  if (troubled) return [];
  const heldNusd = [...log.holds.values()]
    .filter((held) => held.requestId !== asked.requestId && overlaps(held.open, asked))
    .reduce((sum, held) => sum + held.amountNusd, 0n);
  // What is dearer than the largest lease can never be held, and what others hold of that lease is in its way.
  const wantedNusd = asked.fullNusd < MAX_LEASE_NUSD ? asked.fullNusd : MAX_LEASE_NUSD;
  if (asked.leastNusd > MAX_LEASE_NUSD || wantedNusd + heldNusd > MAX_LEASE_NUSD) return [];
  if (answer.code === 'credit_in_use') {
    const unheldNusd = lowNusd - heldNusd;
    if (unheldNusd >= asked.fullNusd) return [`${what}: 429 while only ${heldNusd} were held`];
    if (highNusd < asked.fullNusd && unheldNusd >= asked.leastNusd) return [`${what}: 429 in place of a clamp`];
    return [];
  }
  if (answer.detail === QUARANTINED && log.replaced.some((each) => overlaps(each, asked))) return [];
  const tookMs = Math.round(asked.endMs - asked.startMs);
  return [`${what}: ${answer.code} after ${tookMs} ms although nothing was broken: ${answer.detail}`];
}

/** At no instant may more have been settled than was credited by then. */
function overspent(log: Log): string[] {
  const ends = [...log.holds.values()].flatMap(({ settled }) => (settled ? [settled] : []));
  for (const { endMs } of ends) {
    const spent = ends.filter((each) => each.endMs <= endMs).reduce((sum, each) => sum + each.costNusd, 0n);
    const credited = log.credits
      .filter((each) => each.startMs <= endMs)
      .reduce((sum, each) => sum + each.amountNusd, 0n);
    if (spent > credited) return [`${spent} spent of ${credited} credited`];
  }
  return [];
}
