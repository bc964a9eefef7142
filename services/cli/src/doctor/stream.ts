/** What came through the public address and when, as checks: does anything on the way buffer, compress, or cut? Pure. */
import { type Check, failed, passed } from './check.ts';

export interface Arrival {
  /** Since the request was sent. */
  atMs: number;
  /** Whole events in it. */
  events: number;
}

/** A stream, as its reader saw it. */
export interface StreamSeen {
  status: number;
  /** Code of an error that the API itself answered. */
  code: string | null;
  contentType: string | null;
  contentEncoding: string | null;
  /** Each read. */
  arrivals: readonly Arrival[];
  /** `enough`: it was open as long as asked. `finished`: the model was done. `cut`: the connection broke before. */
  end: 'enough' | 'finished' | 'cut';
  endMs: number;
}

/** A plain request, on whose connection nothing comes until its answer is whole. */
export interface SilenceSeen {
  /** `enough`: silent as long as asked. `answered`: the answer came. `cut`: connection broken, or an answer that is not ours. */
  end: 'enough' | 'answered' | 'cut';
  /** null: no answer. */
  status: number | null;
  code: string | null;
  endMs: number;
}

/** Reads that come together count as one. */
const TOGETHER_MS = 20;
/** An engine gives an event per step; a buffer gives what it has gathered. */
const LUMP_EVENTS = 10;

const BUFFER_FIX =
  'switch response buffering off there (nginx: proxy_buffering off, and no proxy_ignore_headers X-Accel-Buffering; ingress-nginx: proxy-buffering "off"); the router asks for it with X-Accel-Buffering: no';
const DURATION_FIX =
  'raise the longest duration of a request on the way above the longest answer (TOLLGATE_TOTAL_TIMEOUT_MS)';
const IDLE_FIX =
  'raise the read or idle time-out there above TOLLGATE_PLAIN_TIMEOUT_MS (nginx: proxy_read_timeout; ingress-nginx: proxy-read-timeout; balancers: idle timeout): a plain answer is silent until it is whole';

export function judgeStream(seen: StreamSeen, seconds: number): Check[] {
  const { status, code, contentType, contentEncoding, end, endMs } = seen;
  if (status !== 200 || !contentType?.startsWith('text/event-stream')) {
    const fix = status === 401 ? 'give a key that may be used: --key' : 'make one request by hand and read its error';
    return [failed('public stream', `status ${status}, ${code ?? contentType ?? 'no content type'}`, fix)];
  }
  const checks = [
    contentEncoding === null
      ? passed('public stream compression', 'none')
      : failed('public stream compression', contentEncoding, 'exclude text/event-stream from compression'),
    judgeBuffering(seen),
  ];
  const lasted = inSeconds(endMs);
  if (end === 'cut') checks.push(failed('public stream duration', `cut after ${lasted}`, DURATION_FIX));
  else if (end === 'finished') {
    const note = `the model was done after ${lasted}: time-outs up to ${seconds} s are not shown`;
    checks.push(passed('public stream duration', `whole after ${lasted}`, note));
  } else checks.push(passed('public stream duration', `open for ${lasted}`));
  return checks;
}

/** A stream as it should be comes an event at a time, or without a pause; a buffer gives lumps, with pauses between. */
function judgeBuffering({ arrivals, endMs }: StreamSeen): Check {
  const firstMs = arrivals[0]?.atMs ?? endMs;
  const lumps: number[] = [];
  let silentMs = endMs - (arrivals.at(-1)?.atMs ?? endMs);
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const { atMs, events } of arrivals) {
    if (atMs - lastMs > TOGETHER_MS) {
      if (lumps.length > 0) silentMs += atMs - lastMs;
      lumps.push(0);
    }
    lumps[lumps.length - 1]! += events;
    lastMs = atMs;
  }
  const events = lumps.reduce((sum, lump) => sum + lump, 0);
  // The median: a machine that stalls now and then gives single lumps too.
  const inLumps = (lumps.toSorted((a, b) => a - b)[Math.floor(lumps.length / 2)] ?? 0) >= LUMP_EVENTS;
  // While a stream waits for its worker the router sends comments, so a long silence at first is somebody's buffer too.
  const isHeld = firstMs > 0.7 * endMs && (inLumps || events === 0);
  const isBuffered = isHeld || (inLumps && silentMs > 0.5 * (endMs - firstMs));
  const what = `${events} events in ${lumps.length} ${lumps.length === 1 ? 'lump' : 'lumps'}, the first after ${inSeconds(firstMs)} of ${inSeconds(endMs)}`;
  return isBuffered
    ? failed('public stream buffering', `held back: ${what}`, BUFFER_FIX)
    : passed('public stream buffering', what);
}

export function judgeSilence({ end, status, code, endMs }: SilenceSeen, seconds: number): Check {
  const name = 'public idle time-out';
  const lasted = inSeconds(endMs);
  if (end === 'enough') return passed(name, `a request was silent for ${lasted}`);
  if (end === 'cut') {
    const how = status === null ? 'the connection was closed' : `something on the way answered ${status}`;
    return failed(name, `${how} after ${lasted} of silence`, IDLE_FIX);
  }
  if (status === 200) {
    return passed(name, `an answer came after ${lasted}`, `time-outs between ${lasted} and ${seconds} s are not shown`);
  }
  return failed(name, `status ${status}, ${code}`, 'make one request by hand and read its error');
}

const inSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
