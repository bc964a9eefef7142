/**
 * docs/how-to/backup-restore.md, command by command, on a real PostgreSQL: a dump with leases out and requests running is
 * restored, Redis is emptied, the router sends again what it has; each record is posted once and the books balance.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase } from '@tollgate/shared/db/client';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { findPostgres } from '../../services/shared/src/runtime/binaries.mjs';
import { root } from '../e2e/compose-file.ts';
import { priceOf, recordOf, startWorld, type TestAccount, type World } from './metering-harness.ts';

const CREDIT = 100_000_000n;
const PATIENCE_MS = 180_000;
const long = { deadlineMs: 60_000, everyMs: 100 };
const initdb = join(findPostgres()?.folder ?? '/none', 'initdb');
// The client programs lie beside the server's own, which may be a link.
const tools = existsSync(initdb) ? dirname(realpathSync(initdb)) : undefined;
const hasTools = tools !== undefined && existsSync(join(tools, 'pg_dump'));

let world: World;
let who: TestAccount;
const folder = mkdtempSync(join(tmpdir(), 'tollgate-backup-'));
beforeAll(async () => {
  if (!hasTools) return;
  world = await startWorld(true);
  who = await world.account(CREDIT);
}, PATIENCE_MS);
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
}, PATIENCE_MS);

const metering = (databaseUrl: string) =>
  world.metering((options) => ({
    ...options,
    databaseUrl,
    // Old leases come back after their time: not the 15 minutes of production.
    lease: { ...options.lease, leaseMs: 3_000 },
  }));

/** The page's commands that contain this word, run as they stand; what they print. */
function run(word: string, env: Record<string, string>): string {
  const page = readFileSync(join(root, 'docs/how-to/backup-restore.md'), 'utf8');
  const blocks = [...page.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);
  const block = blocks.find((code) => code.includes(word))!;
  const commands = [...block.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command!).join('\n');
  const cli = `tollgate() { "${process.execPath}" --conditions=tollgate-source "${root}services/cli/src/main.ts" "$@"; }`;
  const script = `set -euo pipefail\n${cli}\n${commands.replaceAll('tollgate-2026-11-21T0300Z.dump', 'tollgate-*.dump')}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: folder,
    encoding: 'utf8',
    env: childEnvironment({
      PATH: `${tools}:${dirname(process.execPath)}:/usr/bin:/bin`,
      NODE_OPTIONS: undefined,
      ...env,
    }),
  });
  if (status !== 0) throw new Error(`${commands}\n${stderr}`);
  return stdout.trim();
}

(hasTools ? describe : describe.skip)('back-up and restore', () => {
  test(
    'with leases out and requests running, nothing that a router still has is lost, and nothing is posted twice',
    async () => {
      const before = await metering(world.databaseUrl);
      const settle = async (tokens: number) => {
        const record = recordOf(await world.router.admit(who, priceOf(1_000)), tokens);
        await world.router.settle(record);
        return record;
      };
      const early = [await settle(100), await settle(200)];
      for (const { requestId } of early) {
        await eventually('it is posted', async () => (await world.settled(requestId))?.state === 'final', long);
      }
      const running = await world.router.admit(who, priceOf(1_000));
      run('pg_dump', { DATABASE_URL: world.databaseUrl });
      const late = await settle(300);

      // 1: everything stops. What follows is the page's order.
      await before.stop();
      const url = new URL(world.databaseUrl);
      const restored = new URL(url);
      restored.pathname = '/tollgate_restored';
      const server = { PGHOST: url.hostname, PGPORT: url.port, PGUSER: url.username, PGPASSWORD: url.password };
      run('pg_restore', { RESTORED_URL: restored.href, ...server });
      await world.redis.client.flushall();
      await metering(restored.href);

      // The router had not been told to drop any of these.
      const records = [...early, late, recordOf(running, 400)];
      for (const record of records) await world.router.settle(record);
      const db = openDatabase({ url: restored.href, poolMax: 2, applicationName: 'test' });
      try {
        const posted = priceOf(100 + 200 + 300 + 400);
        const balance = await eventually(
          'the books of the restored ledger',
          async () => {
            const now = (await new LedgerStore(db).balance(who.account))!;
            return now.posted === posted && now.quarantined === 0n ? now : null;
          },
          long,
        );
        expect(balance).toMatchObject({ credited: CREDIT, receivable: 0n, uncollected: 0n });
        expect(balance.available + balance.leased).toBe(CREDIT - posted);
        expect((await new ReconcileStore(db).auditLedger(1_000)).findings).toEqual([]);
        // The customer goes on.
        await world.router.admit(who, priceOf(1_000), 30_000);
      } finally {
        await db.destroy();
      }
      // The practice at the end of the page.
      expect(run('psql', { RESTORED_URL: restored.href })).toBe('0');
    },
    PATIENCE_MS,
  );
});
