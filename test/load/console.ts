/**
 * `npm run bench:console [-- --rows N] [--write]`: how long the console's screens take on a large request log (issue 6:
 * 10,000,000 rows, first paint of Usage and Requests within 300 ms of server time). Rows lie in Debian's PostgreSQL
 * where it is installed, else in PGlite (1,000,000). The first paints go through the console's HTTP as a signed-in
 * browser sends them. `--write` puts the table into docs/console-benchmarks.md. Nothing is asserted: a figure over the
 * bar is said. Ten million rows take some 15 minutes and 8 GB of the temporary folder.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sql } from 'kysely';
import { startConsole } from '../../services/console/src/app.ts';
import { type Db, openDatabase } from '../../services/shared/src/db/client.ts';
import { migrate } from '../../services/shared/src/db/migrate.ts';
import { systemClock } from '../../services/shared/src/runtime/clock.ts';
import { createLifecycle } from '../../services/shared/src/runtime/lifecycle.ts';
import { createLogger } from '../../services/shared/src/runtime/logger.ts';
import { havePostgres, startPglite, startPostgres } from '../../services/shared/src/testkit/postgres.ts';
import { startRedis } from '../../services/shared/src/testkit/redis.ts';
import { fill } from './console-fill.ts';
import { type Get, logBytes, type Measured, measure, screensOf } from './console-screens.ts';
import { machineTicks } from './procfs.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BAR_MS = 300;
const RUNS = 9;
const ADMIN_TOKEN = 'admin-token-of-the-bench-only';
const KEYS = 8;
const MODELS = ['org/model-0', 'org/model-1', 'org/model-2'];

const { values } = parseArgs({ options: { rows: { type: 'string' }, write: { type: 'boolean', default: false } } });
const usePostgres = havePostgres();
const rows = Number(values.rows ?? (usePostgres ? 10_000_000 : 1_000_000));
if (!Number.isSafeInteger(rows) || rows < 1_000) {
  process.stderr.write('--rows must be a whole number from 1000\n');
  process.exit(2);
}

const say = (text: string) => void process.stderr.write(`  ${text}\n`);
const logger = createLogger({ service: 'console', level: 'error' });
const lifecycle = createLifecycle({ logger, graceMs: 5_000 });
const [server, redis] = await Promise.all([usePostgres ? startPostgres() : startPglite(), startRedis()]);
const db = openDatabase({ url: server.url, poolMax: 1, applicationName: 'bench' });
try {
  await migrate(db);
  const started = await startConsole({
    listen: { host: '127.0.0.1', port: 0 },
    databaseUrl: server.url,
    redisUrl: redis.url,
    keyPepper: 'pepper-of-the-bench-only-0123456789abcdef',
    adminToken: ADMIN_TOKEN,
    bucketCount: 16,
    poolMax: usePostgres ? 4 : 1,
    people: { signUp: 'open' },
    lifecycle,
    logger,
    clock: systemClock,
  });
  const { get, accountId, keyIds } = await signUp(started.url);
  const nowMs = Date.now();
  await fill(db, { rows, nowMs, accountId, keyIds, models: MODELS, say });
  const screens = screensOf({ get, db, accountId, keyIds, models: MODELS, rows, nowMs });
  const before = machineTicks(process.pid);
  const measured = await measure(screens, RUNS);
  const after = machineTicks(process.pid);
  const total = after.total - before.total;
  const othersBusy = Math.max(0, (after.busy - before.busy - (after.own - before.own)) / total);
  const text = await report(db, measured, othersBusy);
  process.stdout.write(text);
  if (values.write) writeFileSync(join(ROOT, 'docs/console-benchmarks.md'), text);
} finally {
  await lifecycle.stop('done');
  await db.destroy();
  await redis.stop();
  await server.stop();
}

/** A user with an organisation and keys, made as people make them; and how their browser reads. */
async function signUp(url: string): Promise<{ get: Get; accountId: string; keyIds: string[] }> {
  const admin = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
  const post = async (path: string, headers: Record<string, string>, body: object) => {
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  for (const id of MODELS) {
    await post('/api/models', admin, { id, maxModelLen: 8_192, price: { inputUsd: 0.1, outputUsd: 0.4 } });
  }
  const person = { email: 'bench@example.com', password: 'correct horse battery staple', name: 'b', organisation: 'b' };
  const json = { 'content-type': 'application/json', origin: url };
  const answer = await post('/api/auth/register', json, person);
  const cookie = answer.headers.getSetCookie()[0]!.split(';')[0]!;
  const { me } = (await answer.json()) as { me: { organisations: { accountId: string }[] } };
  const { accountId } = me.organisations[0]!;
  const keyIds: string[] = [];
  for (let i = 0; i < KEYS; i++) {
    const made = (await (await post('/api/keys', admin, { accountId, name: `k${i}` })).json()) as { keyId: string };
    keyIds.push(made.keyId);
  }
  return {
    accountId,
    keyIds,
    get: async (path) => {
      const got = await fetch(url + path, { headers: { cookie } });
      const text = await got.text();
      if (!got.ok) throw new Error(`${path}: ${got.status} ${text}`);
      return text;
    },
  };
}

async function report(from: Db, measured: readonly Measured[], othersBusy: number): Promise<string> {
  const { rows: versions } = await sql<{ version: string }>`SHOW server_version`.execute(from);
  const version = versions[0] as { server_version?: string } | undefined;
  const store = usePostgres ? `PostgreSQL ${version?.server_version}` : 'PGlite';
  const bytes = await logBytes(from);
  const commit = execFileSync('git', ['-C', ROOT, 'rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim();
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  const over = measured.filter(({ worstMs }) => worstMs > BAR_MS);
  const paints = measured.filter(({ isPaint }) => isPaint);
  const worstPaint = Math.max(...paints.map(({ worstMs }) => worstMs));
  const line = ({ name, firstMs, medianMs, worstMs, cpuMs }: Measured) =>
    `| ${name} | ${firstMs.toFixed(1)} | ${medianMs.toFixed(1)} | ${worstMs.toFixed(1)}${worstMs > BAR_MS ? ' **over**' : ''} | ${cpuMs.toFixed(0)} |`;
  const table = (lines: readonly Measured[]) =>
    [
      '| what | first run, ms | median, ms | worst, ms | CPU, ms |',
      '|---|---:|---:|---:|---:|',
      ...lines.map(line),
    ].join('\n');
  return `# The console on a large request log

Written by \`npm run bench:console -- --write\`: ${rows.toLocaleString('en')} rows of 30 days in ${store} (64 MB of shared buffers; log and indexes ${(bytes / 1e9).toFixed(1)} GB), 40 organisations, one of them with a fifth; that one is looked at. ${RUNS} runs each, one after the other.

- ${date} UTC, commit ${commit}, Node ${process.versions.node}, ${machine}. While it was measured, other work used ${(othersBusy * 100).toFixed(0)} % of the machine's cores.${othersBusy > 0.2 ? ' **So times hold the waiting for a core**; the CPU column (console, PostgreSQL and Redis together) does not.' : ''}
- Target: the first paint of Usage and Requests within ${BAR_MS} ms of server time. Worst seen of all first paints: ${worstPaint.toFixed(0)} ms. ${over.length === 0 ? `Nothing below was over ${BAR_MS} ms.` : `Over ${BAR_MS} ms: ${over.map(({ name }) => name).join('; ')}.`}

## First paint

All requests that the page sends when it opens (session, models, keys, its own), at once, through the console's HTTP, until the last answer is read.

${table(paints)}

## Each filter and screen

The query alone, on one connection.

${table(measured.filter(({ isPaint }) => !isPaint))}
`;
}
