/**
 * Do the books agree (MONEY.md 7)? The ledger with itself, and each open lease with Redis. Drift is a metric and an error
 * line: nothing is repaired here, since a difference is a bug and repairing it would hide it.
 */
import type { Db } from '@tollgate/shared/db/client';
import { type Lease, LeaseStore } from '@tollgate/shared/db/lease-store';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { MeteringMetrics } from '../metrics.ts';

export interface Finding {
  check: 'entries' | 'leases' | 'settlements' | 'redis_totals' | 'redis_above_postgres';
  accountId: string;
  differenceNusd: bigint;
  detail: string;
}

export interface ReconcileDeps {
  db: Db;
  scripts: MoneyScripts;
  logger: Logger;
  metrics: MeteringMetrics;
}

const PAGE = 500;
const CHECKS = ['entries', 'leases', 'settlements', 'redis_totals', 'redis_above_postgres'] as const;

/** One reconciliation. Returns what it found; notes it in `reconciliations` too. */
export async function reconcile(deps: ReconcileDeps): Promise<Finding[]> {
  const { db, logger, metrics } = deps;
  const findings = [...(await auditLedger(db)), ...(await auditRedis(deps))];
  const drift = findings.reduce((sum, { differenceNusd: d }) => sum + (d < 0n ? -d : d), 0n);
  metrics.driftNusd.set(Number(drift));
  for (const check of CHECKS) {
    metrics.reconcileFindings.set({ check }, findings.filter((finding) => finding.check === check).length);
  }
  for (const { check, accountId, differenceNusd, detail } of findings) {
    logger.error({ check, accountId, differenceNusd: String(differenceNusd), detail }, 'ledger drift');
  }
  await new ReconcileStore(db).note(drift, findings.slice(0, PAGE));
  return findings;
}

async function auditLedger(db: Db): Promise<Finding[]> {
  const store = new ReconcileStore(db);
  for (;;) {
    const { findings, done } = await store.auditLedger(PAGE);
    if (done) {
      return findings.map(({ check, accountId, differenceNusd, bucket }) => ({
        check,
        accountId,
        differenceNusd,
        detail: bucket,
      }));
    }
  }
}

async function auditRedis({ db, scripts }: ReconcileDeps): Promise<Finding[]> {
  const leases = new LeaseStore(db);
  const findings: Finding[] = [];
  for (let after: string | null = null; ; ) {
    const page = await leases.list('open', after, PAGE);
    for (const lease of page) findings.push(...(await auditLease(lease, leases, scripts)));
    if (page.length < PAGE) return findings;
    after = page.at(-1)!.id;
  }
}

async function auditLease(lease: Lease, leases: LeaseStore, scripts: MoneyScripts): Promise<Finding[]> {
  const { accountId } = lease;
  // Redis first: what it has was in Postgres before.
  const { lease: hash } = await scripts.readLease(accountId);
  if (hash?.leaseId !== lease.id) return [];
  const findings: Finding[] = [];
  const sum = hash.freeNusd + hash.heldNusd + hash.spentNusd + hash.returnedNusd;
  if (sum !== hash.grantedNusd) {
    findings.push({ check: 'redis_totals', accountId, differenceNusd: sum - hash.grantedNusd, detail: lease.id });
  }
  const now = await leases.get(lease.id);
  if (now && hash.grantedNusd > now.grantedNusd) {
    const differenceNusd = hash.grantedNusd - now.grantedNusd;
    findings.push({ check: 'redis_above_postgres', accountId, differenceNusd, detail: lease.id });
  }
  return findings;
}
