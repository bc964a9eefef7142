/** Spooled lines back into settlements, and metering's last-resort door. */
import { parseUsageRecord } from '@tollgate/shared/contracts/money';
import type { Pools } from '../upstream/pools.ts';
import type { DecodeRecord } from './spool.ts';

export const decodeSpooled: DecodeRecord = (line) => {
  try {
    const record = parseUsageRecord(line);
    return {
      accountId: record.accountId,
      keyId: record.keyId,
      model: record.model,
      requestId: record.requestId,
      leaseId: record.leaseId,
      amountNusd: record.amountNusd,
      tokens: record.promptTokens + record.completionTokens,
      record: line,
    };
  } catch {
    return null;
  }
};

const BATCH = 500;

/** Posts records to metering's `/ingest`, which writes Postgres directly. Rejects when it is not there or refuses. */
export function ingestInto(
  url: string | undefined,
  serviceToken: string | undefined,
  pools: Pick<Pools, 'call'>,
  timeoutMs: number,
): (records: string[]) => Promise<void> {
  return async (records) => {
    if (url === undefined || serviceToken === undefined) throw new Error('no metering address is configured');
    const base = new URL(url);
    for (let at = 0; at < records.length; at += BATCH) {
      const body = JSON.stringify({ records: records.slice(at, at + BATCH) });
      const path = `${base.pathname.replace(/\/$/, '')}/ingest`;
      const headers = { authorization: `Bearer ${serviceToken}` };
      const answer = await pools.call(base.origin, { method: 'POST', path, body, headers }, Math.max(1_000, timeoutMs));
      if (answer.status !== 200) throw new Error(`metering answered ${answer.status}`);
    }
  };
}
