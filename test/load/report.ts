/** What a run found, as a table of target, seen and ratio. */
import { FINDINGS } from './findings.ts';
import type { Step } from './measures/latency.ts';
import type { Distribution } from './stats.ts';

type BySubject<T> = Record<string, T>;
type Figures = BySubject<Record<string, number>>;

export interface Results {
  about: {
    date: string;
    commit: string;
    version: string;
    node: string;
    machine: string;
    quick: boolean;
    /** Share of all cores that was busy over the run: near 1 means that latencies tell of the machine. */
    machineBusy: number;
    /** The part of it that was not the bench's own processes. */
    othersBusy: number;
    subjects: Record<string, string>;
  };
  measures: {
    cpuRequest?: Figures;
    cpuRequest32k?: Figures;
    cpuChunk200?: Figures;
    cpuChunk400?: Figures;
    latency?: { perSecond: number; direct: unknown; subjects: Figures };
    frontier?: BySubject<{ best: Record<string, number>; steps: Step[] }>;
    memory?: { streams: number; subjects: Figures };
    leave?: BySubject<Distribution & { missed: number }>;
    redis?: { requests: number; before: Distribution; mean: number; commands: Record<string, number> };
    revoke?: Distribution;
    pick?: { workers: number; promptTokens: number; pickUs: Distribution; hashUs: Distribution; bothUs: Distribution };
  };
}

export interface Row {
  what: string;
  target: string;
  seen: string;
  /** Null = no target, or not measured. */
  met: boolean | null;
  beside: string;
}

const text = (value: number, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits) : '-');

/** `nginx 22.5, haproxy 23.1`. */
function others(figures: Figures | undefined, key: string, digits = 1, scale = 1): string {
  return Object.entries(figures ?? {})
    .filter(([name]) => name !== 'tollgate')
    .map(([name, values]) => `${name} ${text((values[key] ?? Number.NaN) / scale, digits)}`)
    .join(', ');
}

/** A figure in microseconds with its bound and its bound as a multiple of nginx's figure in the same run. */
function cpuRow(what: string, figures: Figures | undefined, bound: number | null, times: number | null): Row[] {
  const own = figures?.tollgate?.cpuUs;
  if (own === undefined) return [];
  const nginx = figures?.nginx?.cpuUs;
  const ratio = nginx === undefined ? null : own / nginx;
  const target = [bound === null ? '' : `<= ${bound} us`, times === null ? '' : `<= ${times}x nginx`].filter(Boolean);
  const withinBound = bound === null || own <= bound;
  const withinRatio = times === null || ratio === null || ratio <= times;
  return [
    {
      what,
      target: target.join(', ') || '-',
      seen: `${text(own)} us${ratio === null ? '' : `, ${text(ratio, 2)}x nginx`}`,
      met: target.length === 0 ? null : withinBound && withinRatio,
      beside: others(figures, 'cpuUs'),
    },
  ];
}

/** The table's rows for what was measured. */
export function rows({ measures: m }: Results): Row[] {
  const all: Row[] = [
    ...cpuRow('router CPU per non-streaming request (1 kB), everything on', m.cpuRequest, 80, 4),
    ...cpuRow('the same with a 32 kB request', m.cpuRequest32k, null, null),
    ...cpuRow('router CPU per streamed chunk, 200 streams', m.cpuChunk200, 15, 1.5),
    ...cpuRow('router CPU per streamed chunk, 400 streams', m.cpuChunk400, 15, 1.5),
  ];
  const added = m.latency?.subjects.tollgate;
  if (m.latency && added) {
    all.push(...cpuRow(`router CPU per request, all at ${m.latency.perSecond} req/s`, m.latency.subjects, null, null));
    const { addedP50Ms = Number.NaN, addedP99Ms = Number.NaN } = added;
    all.push({
      what: `added latency p50 / p99 at half load (${m.latency.perSecond} req/s, constant rate)`,
      target: '<= 0.3 / 2 ms',
      seen: `${text(addedP50Ms, 2)} / ${text(addedP99Ms, 2)} ms`,
      met: addedP50Ms <= 0.3 && addedP99Ms <= 2,
      beside: Object.entries(m.latency.subjects)
        .filter(([name]) => name !== 'tollgate')
        .map(
          ([name, each]) =>
            `${name} ${text(each.addedP50Ms ?? Number.NaN, 2)} / ${text(each.addedP99Ms ?? Number.NaN, 2)}`,
        )
        .join(', '),
    });
  }
  for (const bound of m.frontier?.tollgate ? Object.keys(m.frontier.tollgate.best) : []) {
    all.push({
      what: `frontier: most req/s at ${bound}`,
      target: '-',
      seen: String(m.frontier!.tollgate!.best[bound]),
      met: null,
      beside: Object.entries(m.frontier!)
        .filter(([name]) => name !== 'tollgate')
        .map(([name, each]) => `${name} ${each.best[bound]}`)
        .join(', '),
    });
  }
  if (m.redis) {
    all.push({
      what: 'Redis round trips before forwarding, steady state',
      target: '1',
      seen: `p50 ${m.redis.before.p50}, mean ${text(m.redis.mean, 2)} (${m.redis.requests} requests; a key's record is read again every 30 s)`,
      met: m.redis.before.p50 === 1 && m.redis.mean <= 1.1,
      beside: '',
    });
  }
  const memory = m.memory?.subjects.tollgate?.bytes;
  if (m.memory && memory !== undefined) {
    all.push({
      what: `memory per open stream (${m.memory.streams} open)`,
      target: '<= 40 KiB',
      seen: `${text(memory / 1024)} KiB`,
      met: memory <= 40 * 1024,
      beside: others(m.memory.subjects, 'bytes', 1, 1024),
    });
  }
  if (m.pick) {
    all.push({
      what: `pick, ${m.pick.workers} workers, ${m.pick.promptTokens / 1024}k-token prompt`,
      target: 'p99 <= 200 us',
      seen: `p50 ${text(m.pick.bothUs.p50, 0)}, p99 ${text(m.pick.bothUs.p99, 0)} us (of it hashing the prompt: p99 ${text(m.pick.hashUs.p99, 0)} us)`,
      met: m.pick.bothUs.p99 <= 200,
      beside: '',
    });
  }
  if (m.revoke) {
    all.push({
      what: `revoked key refused (${m.revoke.count} keys)`,
      target: '<= 1 s',
      seen: `p50 ${text(m.revoke.p50)}, max ${text(m.revoke.max)} ms`,
      met: m.revoke.max <= 1000,
      beside: '',
    });
  }
  const leave = m.leave?.tollgate;
  if (leave) {
    all.push({
      what: `upstream aborted after the client leaves (${leave.count} clients)`,
      target: '<= 100 ms',
      seen: `p50 ${text(leave.p50)}, p99 ${text(leave.p99)}, max ${text(leave.max)} ms${leave.missed > 0 ? `, never ${leave.missed}` : ''}`,
      met: leave.max <= 100 && leave.missed === 0,
      beside: Object.entries(m.leave!)
        .filter(([name]) => name !== 'tollgate')
        .map(([name, each]) => `${name} p99 ${text(each.p99)}`)
        .join(', '),
    });
  }
  return all;
}

const verdict = (met: boolean | null) => (met === null ? '' : met ? 'met' : 'MISSED');

/** A Markdown table. */
export function table(list: readonly Row[]): string {
  const cells = list.map((row) => [row.what, row.target, row.seen, verdict(row.met), row.beside]);
  const lines = [['what', 'target', 'seen', '', 'beside, same run'], ['---', '---', '---', '---', '---'], ...cells];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** Said where others used the machine: a shared cache makes each request dearer, a waiting process later. */
const BUSY =
  ' **So these are figures of a crowded machine:** latencies hold the waiting for a core, and CPU per request is several times that of a quiet one for everything in Node (compare the node floor). Ratios to the node floor say more than absolutes or ratios to nginx, whose code fits in the cache.';

/** The text of docs/benchmarks.md. */
export function markdown(results: Results): string {
  const { about } = results;
  const subjects = Object.entries(about.subjects).map(([name, version]) => `${name} ${version}`);
  return `# Benchmarks

Written by \`npm run bench -- --write\`; the numbers behind it are in benchmarks.json.${about.quick ? '\n\n**A quick run: it shows that the bench works, not how fast anything is.**' : ''}

- Date: ${about.date} UTC, commit ${about.commit}, Tollgate ${about.version}, Node ${about.node}
- Machine: ${about.machine}. Over the run ${(about.machineBusy * 100).toFixed(0)} % of its cores' time was in use, ${(about.othersBusy * 100).toFixed(0)} % by other work than the bench.${about.othersBusy > 0.1 ? BUSY : ''}
- Subjects: ${subjects.join(', ')}

${table(rows(results))}

${FINDINGS}
## How it is measured

- One run, all subjects in front of the same upstream, taking turns (A/B/C, C/B/A, A/B/C); medians of three rounds. Trust ratios more than absolutes: the machine is shared.
- The upstream answers at once with a vLLM's bytes (usage on every chunk) and is cheap, so that the gateway is what costs. Load generator and upstream use raw sockets in processes of their own.
- CPU is what Linux counted for the gateway's own processes (\`/proc/<pid>/stat\`), user and system, all threads. Per request: 32 connections that ask again at once, so each subject at its own capacity; a process that never comes to rest is several times cheaper per request than one that is woken for each, so the same is given with all at one rate. Per chunk: 102 chunks per answer, 20 ms apart, the request's own cost included.
- Tollgate runs with everything on: key look-up, request rate, token rate, concurrency, day and month caps, credit hold and settlement in a real Redis with an append-only file, spool on disk, usage records, metrics, an access log line per request; 64 keys of 64 accounts. Redis's own CPU is not counted in the router's. Records are drained from Redis by a small process in the place of metering, so that Postgres does not share the cores.
- node floor: express and undici alone, no keys, no money, no log: what the platform costs before the product does anything.
- nginx: one worker process, keep-alive to the upstream, no buffering, no log. haproxy: one thread. They check no keys and count no money: they are the floor.
- Latency: arrivals at a constant rate, timed from the moment they were due (a stall is felt by all it delayed). Added latency is the difference of the quantiles to the upstream without a gateway at the same rate.
- Frontier: a ladder of rates, 2 s each; a rate that misses is tried once more.
- Round trips: MONITOR of Redis, requests 100 ms apart, from a request's sending to its arrival at the upstream; what a script does inside Redis is no round trip.
- Memory per open stream: resident memory with 1,500 open streams against 500, divided by the difference, before any other load.
- Revocation: from the moment it was published in Redis to the last request with that key that was sent and still served, at 1,000 requests per second.
- Abort: from the close of the client's socket to the close that the upstream sees.

## Again

\`\`\`
npm run bench                     # all of it, some minutes
npm run bench -- --quick          # does it work?
npm run bench -- --only cpu-request,latency --subjects tollgate,nginx --json out.json
npm run bench -- --only cpu-request --against ../tollgate-before   # a built copy: what a change is worth
\`\`\`
nginx and haproxy are measured where they are installed (Debian: \`apt-get install nginx-light haproxy\`).
`;
}
