/** A real stream through the public address: is anything on the way that buffers, compresses, or cuts what is long? */
import { type Check, failed, passed } from './check.ts';

export interface StreamTarget {
  /** Base of the API with its path: `https://api.example.com/v1`. */
  url: string;
  key: string;
  /** How long the stream is kept open. */
  seconds: number;
}

/** When something came, in ms after the request was sent, and how it ended. */
export interface StreamSeen {
  status: number;
  contentType: string | null;
  contentEncoding: string | null;
  /** Arrival of each read. */
  arrivalsMs: readonly number[];
  /** `enough`: it was open as long as asked. `finished`: the model was done. `cut`: the connection broke before. */
  end: 'enough' | 'finished' | 'cut';
  endMs: number;
}

/** Reads that come together count as one arrival. */
const TOGETHER_MS = 20;
const BUFFER_FIX =
  'switch response buffering off there (nginx: proxy_buffering off; ingress-nginx: proxy-buffering "off"); the router sends X-Accel-Buffering: no';

/** What was seen, as checks; pure. */
export function judgeStream(seen: StreamSeen, seconds: number): Check[] {
  const { status, contentType, contentEncoding, arrivalsMs, end, endMs } = seen;
  if (status !== 200 || !contentType?.startsWith('text/event-stream')) {
    const fix = status === 401 ? 'give a key that may be used: --key' : 'make one request by hand and read its error';
    return [failed('public stream', `status ${status}, ${contentType ?? 'no content type'}`, fix)];
  }
  const checks: Check[] = [];
  checks.push(
    contentEncoding === null
      ? passed('public stream compression', 'none')
      : failed('public stream compression', contentEncoding, 'exclude text/event-stream from compression'),
  );
  const bursts = arrivalsMs.filter((atMs, i) => i === 0 || atMs - arrivalsMs[i - 1]! > TOGETHER_MS).length;
  const firstMs = arrivalsMs[0] ?? endMs;
  const spreadMs = (arrivalsMs.at(-1) ?? endMs) - firstMs;
  // A buffer gives everything at the end, or in a few lumps.
  const isBuffered = bursts < 4 || spreadMs < 0.3 * (endMs - Math.min(firstMs, 2_000));
  checks.push(
    isBuffered
      ? failed('public stream buffering', `${bursts} lumps in ${(endMs / 1_000).toFixed(1)} s`, BUFFER_FIX)
      : passed(
          'public stream buffering',
          `${bursts} arrivals in ${(endMs / 1_000).toFixed(1)} s, the first after ${Math.round(firstMs)} ms`,
        ),
  );
  const lasted = `${(endMs / 1_000).toFixed(0)} s`;
  if (end === 'cut') {
    const fix = 'raise the read and idle time-outs on the way above the longest answer (TOLLGATE_TOTAL_TIMEOUT_MS)';
    checks.push(failed('public stream duration', `cut after ${lasted}`, fix));
  } else if (end === 'finished') {
    const note = `the model was done after ${lasted}: time-outs up to ${seconds} s are not shown`;
    checks.push(passed('public stream duration', `whole after ${lasted}`, note));
  } else checks.push(passed('public stream duration', `open for ${lasted}`));
  return checks;
}

/** Opens the stream and reads it for as long as asked. */
export async function checkStream({ url, key, seconds }: StreamTarget): Promise<Check[]> {
  try {
    const headers = { authorization: `Bearer ${key}` };
    const base = url.replace(/\/+$/, '');
    const list = await fetch(`${base}/models`, { headers, signal: AbortSignal.timeout(10_000) });
    const { data } = (await list.json()) as { data?: { id: string }[] };
    const model = data?.[0]?.id;
    if (model === undefined) {
      return [
        failed('public stream', `${base}/models answers ${list.status} without a model`, 'check address and key'),
      ];
    }
    return judgeStream(await watchStream(base, headers, model, seconds * 1_000), seconds);
  } catch {
    return [failed('public stream', `cannot be reached at ${url}`, 'check the address: it ends in /v1')];
  }
}

async function watchStream(
  base: string,
  headers: Record<string, string>,
  model: string,
  durationMs: number,
): Promise<StreamSeen> {
  const startMs = performance.now();
  const sinceMs = () => performance.now() - startMs;
  // As long as it may get: it is left when it was open long enough, and billed up to there.
  const body = { model, stream: true, max_tokens: 16_000, messages: [{ role: 'user', content: ASK }] };
  const send = (more: object) =>
    fetch(`${base}/chat/completions`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, ...more }),
    });
  let response = await send({ min_tokens: 16_000 });
  if (response.status === 400) response = await send({});
  const arrivalsMs: number[] = [];
  let end: StreamSeen['end'] = 'finished';
  let tail = '';
  const timer = setTimeout(() => void reader?.cancel().catch(() => {}), durationMs);
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      arrivalsMs.push(sinceMs());
      tail = (tail + Buffer.from(part.value).toString()).slice(-200);
    }
    // A proxy that gives up closes cleanly: only the mark at the end tells.
    if (sinceMs() >= durationMs) end = 'enough';
    else if (!tail.includes('data: [DONE]')) end = 'cut';
  } catch {
    end = sinceMs() >= durationMs ? 'enough' : 'cut';
  } finally {
    clearTimeout(timer);
  }
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    contentEncoding: response.headers.get('content-encoding'),
    arrivalsMs,
    end,
    endMs: sinceMs(),
  };
}

const ASK = 'Write a very long story, chapter after chapter, and do not stop before the end of the tenth chapter.';
