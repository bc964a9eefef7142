/** What only Tollgate has: round trips to Redis, and how soon a revoked key is refused. */
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import type { LoadReading, NotedAnswer } from '../generator.ts';
import { type Bench, sleep } from '../run.ts';
import { type Distribution, distribution } from '../stats.ts';
import type { TollgateSubject } from '../tollgate.ts';
import { chatRequests } from '../traffic.ts';
import type { UpstreamReading } from '../upstream.ts';

/** One line of MONITOR: time in microseconds since 1970, the command, all its words. */
interface Command {
  unixUs: number;
  name: string;
  words: string;
}

/**
 * Commands for a request that Redis got from the router between its sending and its arrival at the upstream, in the
 * steady state. Calls that a script makes inside Redis are no round trips; neither is what the router does in the
 * background for other accounts (confirmations, heartbeats).
 */
export async function redisRoundTrips(bench: Bench, subject: TollgateSubject) {
  const clients = (await subject.redis.client.client('LIST')) as string;
  const routers = new Set<string>();
  for (const line of clients.split('\n')) {
    // Pushes have a connection of their own; this is the one for commands.
    const address = / name=router:\S+/.test(line) ? / addr=(\S+)/.exec(line)?.[1] : undefined;
    if (address) routers.add(address);
  }
  if (routers.size === 0) throw new Error('no connection of the router found in CLIENT LIST');
  const commands: Command[] = [];
  const watcher = await subject.redis.connect().monitor();
  watcher.on('monitor', (time: string, args: string[], source: string) => {
    if (!routers.has(source)) return;
    const [name = ''] = args;
    commands.push({ unixUs: Math.round(Number(time) * 1e6), name: name.toLowerCase(), words: args.join(' ') });
  });
  // The answer waits so long that what comes after forwarding is told apart from what comes before.
  await bench.upstream.ask('configure', { delayMs: 30, noteArrivals: true });
  await bench.upstream.ask('read');
  const keys = subject.seeded.slice(0, 4);
  // Far enough apart that what the request before still had to do is over.
  const load = {
    kind: 'rate',
    port: subject.port,
    connections: 1,
    perSecond: 10,
    requests: chatRequests(
      keys.map(({ text }) => text),
      { bytes: 1000, stream: false },
    ),
    noteEach: true,
  };
  await bench.generator.ask('start', load);
  await sleep(bench.quick ? 2500 : 10_000);
  const { answers } = await bench.generator.ask<LoadReading>('stop');
  const { arrivals } = await bench.upstream.ask<UpstreamReading>('read');
  watcher.disconnect();
  await bench.upstream.ask('configure', { delayMs: 0, noteArrivals: false });
  // The first requests of each key read its record; after these the state is steady.
  const firstMark = Math.min(...answers.map((answer) => answer.mark));
  const steady = answers.filter((answer) => answer.status === 200 && answer.mark - firstMark >= 8);
  const offsetUs = clockOffsetUs(arrivals);
  const counts: number[] = [];
  const names: Record<string, number> = {};
  for (const answer of steady) {
    const arrival = arrivals.find((each) => each.mark === answer.mark);
    if (!arrival) continue;
    const fromUs = Number(answer.sentNs / 1000n) + offsetUs;
    // The generator uses the keys in turn.
    const { digest, record } = keys[(answer.mark - firstMark) % keys.length]!;
    const before = commands.filter(
      ({ unixUs, words }) =>
        unixUs >= fromUs && unixUs <= arrival.unixUs && (words.includes(record.accountId) || words.includes(digest)),
    );
    counts.push(before.length);
    for (const { name } of before) names[name] = (names[name] ?? 0) + 1;
  }
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const result = { requests: counts.length, before: distribution(counts), mean, commands: names };
  bench.say(
    `${counts.length} requests, commands to Redis before forwarding: p50 ${result.before.p50}, max ${result.before.max}, mean ${mean.toFixed(2)} ${JSON.stringify(names)}`,
  );
  return result;
}

/** CLOCK_MONOTONIC to time of day, in microseconds, from arrivals that note both. */
function clockOffsetUs(arrivals: UpstreamReading['arrivals']): number {
  const first = arrivals[0];
  if (!first) throw new Error('no request arrived');
  return first.unixUs - Number(first.atNs / 1000n);
}

/** Milliseconds from the moment the revocation was published until a request with the key is refused with 401. */
export async function revokeToRefusal(bench: Bench, subject: TollgateSubject) {
  const directory = new ConsoleDirectory(subject.redis.client);
  const keys = subject.seeded.slice(0, bench.quick ? 8 : 40);
  await bench.upstream.ask('configure', { delayMs: 0, noteArrivals: false });
  const delays: number[] = [];
  for (const { text, digest, record } of keys) {
    const load = {
      kind: 'rate',
      port: subject.port,
      connections: 8,
      perSecond: 1000,
      requests: chatRequests([text], { bytes: 300, stream: false }),
      noteEach: true,
    };
    await bench.generator.ask('start', load);
    await sleep(350);
    await bench.generator.ask('read');
    const revokedNs = process.hrtime.bigint();
    await directory.publishKeys([{ digest, record: null }]);
    const answers: NotedAnswer[] = [];
    const deadline = performance.now() + 5_000;
    while (!answers.some((answer) => answer.status === 401) && performance.now() < deadline) {
      await sleep(10);
      answers.push(...(await bench.generator.ask<LoadReading>('read')).answers);
    }
    await bench.generator.ask('stop');
    await directory.publishKeys([{ digest, record }]);
    const refused = answers.filter((answer) => answer.status === 401);
    if (refused.length === 0) throw new Error('a revoked key was served for 5 s');
    // Until the last request that was sent after the revocation and still served, or the first refusal.
    const served = answers.filter((answer) => answer.status === 200 && answer.sentNs > revokedNs);
    delays.push(Math.max(0, ...served.map((answer) => Number(answer.sentNs - revokedNs) / 1e6)));
  }
  const result: Distribution = distribution(delays);
  bench.say(
    `${delays.length} keys revoked; last request still served after p50 ${result.p50.toFixed(1)} p99 ${result.p99.toFixed(1)} max ${result.max.toFixed(1)} ms`,
  );
  return result;
}
