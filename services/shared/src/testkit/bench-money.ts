/**
 * What admission and settlement cost Redis: CPU microseconds per call (Redis's own account of them, so that other load
 * on the machine matters little) and calls per second as seen by one client. Run from the root:
 * `node --conditions=tollgate-source services/shared/src/testkit/bench-money.ts [count]`
 */
import { NO_LIMITS } from '../domain/limits.ts';
import type { AdmitInput } from '../redis/money-scripts.ts';
import { loadScript } from '../redis/script-loader.ts';
import { limitsOf, type MoneyFixture, moneyFixture, reqId } from './money.ts';

const IN_FLIGHT = 64;
const count = Number(process.argv[2] ?? 20_000);

async function cpuUs(f: MoneyFixture): Promise<number> {
  const info = await f.redis.client.info('cpu');
  const part = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1]);
  return (part('used_cpu_user_main_thread') + part('used_cpu_sys_main_thread')) * 1e6;
}

async function measure(f: MoneyFixture, name: string, call: (i: number) => Promise<unknown>): Promise<void> {
  const cpuBefore = await cpuUs(f);
  const startMs = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - startMs) / 1000;
  const perCall = ((await cpuUs(f)) - cpuBefore) / count;
  const line = `${name.padEnd(52)} ${Math.round(count / seconds)}/s  ${perCall.toFixed(1)} us of Redis CPU per call\n`;
  process.stdout.write(line);
}

const rated: Partial<AdmitInput> = {
  limits: {
    key: limitsOf({ requestsPerMinute: 6_000_000, tokensPerMinute: 10_000_000_000 }),
    account: limitsOf({ concurrency: 1_000_000 }),
    model: NO_LIMITS,
  },
  tokenCharge: { key: 500, account: 0, model: 0 },
  outboxBound: 1_000_000,
};

const plain = loadScript;
const withoutInfo = (name: string) => {
  const script = loadScript(name);
  const info = "redis.call('INFO', 'server', 'replication')";
  const same = `'\\nrun_id:${'0'.repeat(40)}\\nrole:master\\nmaster_replid:${'0'.repeat(40)}'`;
  // Lua of the same script, without what it is measured for.
  return { ...script, text: script.text.replace(info, () => same), sha: '0'.repeat(40) };
};

for (const [name, scripts] of [
  ['', plain],
  [' (without INFO)', withoutInfo],
] as const) {
  // Unknown digests would be sent as text each time: load them under the digest that Redis computes.
  const shas = new Map<string, string>();
  const f = await moneyFixture({
    scripts: (script) => ({ ...scripts(script), sha: shas.get(script) ?? '0'.repeat(40) }),
  });
  for (const script of ['admit', 'settle', 'void', 'heartbeat', 'grant', 'ensure_era']) {
    shas.set(script, (await f.redis.client.script('LOAD', scripts(script).text)) as string);
  }
  const leaseId = await f.lease(90_000_000_000_000n, { expInMs: 3_600_000 });
  await measure(f, `admit, no limits${name}`, (i) => f.admit(`a${i}`, 100n, { outboxBound: 1_000_000 }));
  await measure(f, `settle${name}`, (i) => f.settle(`a${i}`, 50n, { leaseId, record: 'x'.repeat(900) }));
  await measure(f, `admit, rpm + tpm + concurrency${name}`, (i) => f.admit(`b${i}`, 100n, rated));
  const beats = (i: number) =>
    f.money.heartbeat(
      f.bucket,
      Array.from({ length: 50 }, (_, at) => ({
        accountId: f.account,
        keyId: f.key,
        model: f.model,
        requestId: reqId(`b${(i * 50 + at) % count}`),
        leaseId,
        history: 'h',
        admittedAtMs: 1,
        amountNusd: 100n,
        intent: 'x'.repeat(600),
        progress: '{}',
      })),
    );
  await measure(f, `void after rates${name}`, (i) => f.voidHold(`b${i}`));
  if (name === '') {
    for (let i = 0; i < 50; i++) await f.admit(`c${i}`, 1n);
    await measure(f, 'heartbeat of 50 requests', (i) => beats(i % 2));
  }
  await f.redis.stop();
}
