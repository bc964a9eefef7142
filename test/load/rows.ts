/** What a run found, as rows of target, seen and ratio. */
import type { Paced } from './measures/cpu.ts';
import type { Idle } from './measures/idle.ts';
import type { Step } from './measures/latency.ts';
import type { PeersMeasured } from './measures/peers.ts';
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
    streams400?: Paced;
    streams2000?: Paced;
    idle?: Idle;
    peers?: PeersMeasured;
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

function pacedRows(paced: Paced | undefined): Row[] {
  const own = paced?.subjects.tollgate;
  if (!paced || !own) return [];
  const { streams, intervalMs, subjects } = paced;
  const pace = `${streams} streams, a chunk each ${intervalMs} ms`;
  return [
    ...cpuRow(`router CPU per streamed chunk, ${pace}`, subjects, 15, 1.5),
    {
      what: `added delay between chunks p50 / p99, ${pace}`,
      target: '-',
      seen: addedGap(own),
      met: null,
      beside: besides(subjects, addedGap),
    },
  ];
}

const addedGap = (figures: Record<string, number>) =>
  `${text(figures.addedGapP50Ms ?? Number.NaN, 2)} / ${text(figures.addedGapP99Ms ?? Number.NaN, 2)} ms`;

function besides(figures: Figures, show: (each: Record<string, number>) => string): string {
  return Object.entries(figures)
    .filter(([name]) => name !== 'tollgate')
    .map(([name, each]) => `${name} ${show(each)}`)
    .join(', ');
}

const PEER_ROWS = [
  ['request (1 kB)', 'cpuUs', 'cpuRequest'],
  ['request (32 kB)', 'cpu32kUs', 'cpuRequest32k'],
  ['chunk of a streamed request, 200 streams', 'cpuChunkUs', 'cpuChunk200'],
] as const;

/** Ours against each other gateway that was measured: cheaper than all of them, or by how much not. */
function peerRows(m: Results['measures']): Row[] {
  const peers = m.peers?.subjects ?? {};
  return PEER_ROWS.flatMap(([what, key, measure]) => {
    const own = m[measure]?.tollgate?.cpuUs;
    const theirs = Object.entries(peers).filter(([, each]) => each[key] !== undefined);
    if (own === undefined || theirs.length === 0) return [];
    const dearer = theirs.filter(([, each]) => own >= each[key]!);
    return [
      {
        what: `CPU per ${what} against other gateways`,
        target: 'less than each',
        seen: `${text(own)} us${dearer.map(([name, each]) => `, ${text(own / each[key]!, 2)}x ${name}`).join('')}`,
        met: dearer.length === 0,
        beside: theirs.map(([name, each]) => `${name} ${text(each[key]!)}`).join(', '),
      },
    ];
  });
}

function idleRows(idle: Idle | undefined): Row[] {
  const own = idle?.subjects.tollgate;
  if (!idle || !own) return [];
  const slowed = (each: Record<string, number>) =>
    `p50 ${text(each.aloneP50Ms!, 2)} -> ${text(each.amongP50Ms!, 2)}, p99 ${text(each.aloneP99Ms!, 2)} -> ${text(each.amongP99Ms!, 2)} ms, ${text(each.aloneCpuUs!, 0)} -> ${text(each.amongCpuUs!, 0)} us CPU`;
  return [
    {
      what: `memory per idle connection (${idle.connections})`,
      target: '-',
      seen: `${text(own.bytes! / 1024)} KiB`,
      met: null,
      beside: others(idle.subjects, 'bytes', 1, 1024),
    },
    {
      what: `a request at 500 req/s, alone -> beside ${idle.connections} idle connections`,
      target: 'not slower',
      seen: slowed(own),
      met: notSlower(own),
      beside: besides(idle.subjects, slowed),
    },
  ];
}

/** A quarter and a tenth of a millisecond are what two windows of one process differ by. */
const notSlower = (each: Record<string, number>) =>
  each.amongP50Ms! <= each.aloneP50Ms! * 1.25 + 0.1 && each.amongP99Ms! <= each.aloneP99Ms! * 1.5 + 1;

/** The table's rows for what was measured. */
export function rows({ measures: m }: Results): Row[] {
  const all: Row[] = [
    ...cpuRow('router CPU per non-streaming request (1 kB), everything on', m.cpuRequest, 80, 4),
    ...cpuRow('the same with a 32 kB request', m.cpuRequest32k, null, null),
    ...cpuRow('router CPU per streamed chunk, 200 streams', m.cpuChunk200, 15, 1.5),
    ...pacedRows(m.streams400),
    ...pacedRows(m.streams2000),
    ...peerRows(m),
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
  all.push(...idleRows(m.idle));
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
