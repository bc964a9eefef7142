/** Options of the bench. */
import { parseArgs } from 'node:util';
import { PEERS } from './peers/peers.ts';

export const MEASURES = [
  'memory',
  'idle',
  'cpu-request',
  'cpu-request-32k',
  'cpu-chunk-200',
  'streams-400',
  'streams-2000',
  'latency',
  'frontier',
  'leave',
  'redis',
  'revoke',
  'pick',
  'peers',
] as const;
export type Measure = (typeof MEASURES)[number];

export interface Options {
  quick: boolean;
  only: Measure[] | null;
  subjects: string[] | null;
  json: string | null;
  write: boolean;
  /** Folder for a CPU profile of the router. */
  profile: string | null;
  /** Folder of another built copy of Tollgate: one more subject, `before`. */
  against: string | null;
  /** Install other gateways that are missing. */
  peers: boolean;
}

/** Names that `--subjects` takes; `sockets` runs only where it is named. */
export const SUBJECTS = ['tollgate', 'node', 'sockets', 'nginx', 'haproxy', ...PEERS.map(({ name }) => name)];

export const HELP = `npm run bench -- [options]
  --quick            one short round each: shows that it works, not how fast
  --only a,b         some of: ${MEASURES.join(' ')}
  --subjects a,b     some of: ${SUBJECTS.join(' ')}
  --peers            first install the other gateways that are missing, into the user's cache
  --json FILE        everything measured, as JSON
  --write            renew docs/benchmarks.md and docs/benchmarks.json
  --profile FOLDER   leave a CPU profile of the router there
  --against FOLDER   another built copy of Tollgate as one more subject: what a change is worth`;

/** The options, or the text to print instead: the help, or what is wrong. */
export function readOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        subjects: { type: 'string' },
        json: { type: 'string' },
        write: { type: 'boolean', default: false },
        profile: { type: 'string' },
        against: { type: 'string' },
        peers: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return HELP;
    const only = values.only?.split(',') ?? null;
    const unknown = only?.find((name) => !(MEASURES as readonly string[]).includes(name));
    if (unknown !== undefined) return `no measure ${unknown}\n${HELP}`;
    const subjects = values.subjects?.split(',') ?? null;
    const stranger = subjects?.find((name) => !SUBJECTS.includes(name));
    if (stranger !== undefined) return `no subject ${stranger}\n${HELP}`;
    return {
      quick: values.quick,
      only: only as Measure[] | null,
      subjects,
      json: values.json ?? null,
      write: values.write,
      profile: values.profile ?? null,
      against: values.against ?? null,
      peers: values.peers,
    };
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n${HELP}`;
  }
}
