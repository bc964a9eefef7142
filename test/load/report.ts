/** What a run found, as the text of docs/benchmarks.md. */
import { FINDINGS } from './findings.ts';
import { type Results, rows, table } from './rows.ts';

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
${otherGateways(results)}
${FINDINGS}
## How it is measured

- One run, all subjects in front of the same upstream, taking turns (A/B/C, C/B/A, A/B/C); medians of three rounds. Trust ratios more than absolutes: the machine is shared.
- The upstream answers at once with a vLLM's bytes (usage on every chunk) and is cheap, so that the gateway is what costs. Load generator and upstream use raw sockets in processes of their own. Each subject must answer a plain and a streamed request with the upstream's text and usage before anything of it is measured.
- CPU is what Linux counted for the gateway's own processes (\`/proc/<pid>/stat\`), user and system, all threads. Per request: 32 connections that ask again at once, so each subject at its own capacity; a process that never comes to rest is several times cheaper per request than one that is woken for each, so the same is given with all at one rate. Per chunk: 102 chunks per answer, 20 ms apart (100 ms with 2,000 streams, so as many chunks a second as with 400), counted where clients read them, the request's own cost included.
- Added delay between chunks: difference of the quantiles of the gaps between two chunks of a stream to those without a gateway, same load.
- Tollgate runs with everything on: key look-up, request rate, token rate, concurrency, day and month caps, credit hold and settlement in a real Redis with an append-only file, spool on disk, usage records, metrics, an access log line per request; 64 keys of 64 accounts. Redis's own CPU is not counted in the router's. Records are drained from Redis by a small process in the place of metering, so that Postgres does not share the cores.
- node floor: express and undici alone, no keys, no money, no log: what the platform costs before the product does anything.
- nginx: one worker process, keep-alive to the upstream, no buffering, no log. haproxy: one thread. They check no keys and count no money: they are the floor.
- Latency: arrivals at a constant rate, timed from the moment they were due (a stall is felt by all it delayed). Added latency is the difference of the quantiles to the upstream without a gateway at the same rate.
- Frontier: a ladder of rates, 2 s each; a rate that misses is tried once more.
- Round trips: MONITOR of Redis, requests 100 ms apart, from a request's sending to its arrival at the upstream; what a script does inside Redis is no round trip.
- Memory per open stream: resident memory with 2,000 open streams against 400, divided by the difference, before any other load.
- Idle connections: each asked once and stays open; memory is that of 10,000 against 2,000, before any other load. They are held by a process of their own while another one takes the times.
- Other gateways: one at a time, started, warmed and measured as ours, one round; CPU of all their processes; logs off, the settings that their documentation recommends for speed (\`test/load/peers/peers.ts\`). They check no keys (LiteLLM: its master key) and count no money.
- Revocation: from the moment it was published in Redis to the last request with that key that was sent and still served, at 1,000 requests per second.
- Abort: from the close of the client's socket to the close that the upstream sees.

## Again

\`\`\`
npm run bench                     # all of it, some minutes
npm run bench -- --quick          # does it work?
npm run bench -- --peers          # other gateways too: installed once, outside the tree
npm run bench -- --only cpu-request,latency --subjects tollgate,nginx --json out.json
npm run bench -- --only cpu-request --against ../tollgate-before   # a built copy: what a change is worth
\`\`\`
\`npm run bench -- --peers\` installs the other gateways that are missing into the user's cache (npm, Python 3.10 to 3.13; some hundred MB, none is a dependency of the project); from then on each run measures them, and names those that are absent. nginx and haproxy are measured where they are installed (Debian: \`apt-get install nginx-light haproxy\`).
`;
}

/** Versions of the other gateways, and which are absent. */
function otherGateways({ measures: { peers } }: Results): string {
  if (!peers) return '';
  const measured = Object.entries(peers.about).map(([name, version]) => `${name} ${version}`);
  const lines = [
    ...(measured.length > 0 ? [`- Other gateways: ${measured.join(', ')}`] : []),
    ...peers.absent.map((line) => `- ${line}`),
  ];
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}
