/**
 * A real stream and a real plain request through the public address, both as long as asked. They are left when they were
 * open long enough, and billed up to there.
 */
import { type Check, failed } from './check.ts';
import { type Arrival, judgeSilence, judgeStream, type SilenceSeen, type StreamSeen } from './stream.ts';

export interface PublicTarget {
  /** Base of the API with its path: `https://api.example.com/v1`. */
  url: string;
  key: string;
  /** How long both are kept open. */
  seconds: number;
  /** null: the first that can chat. */
  model: string | null;
}

const LIST_LIMIT_MS = 10_000;
/** Models that are tried: one that only embeds cannot chat. */
const TRIED_MOST = 5;
const ASK = 'Write a very long story, chapter after chapter, and do not stop before the end of the tenth chapter.';
/** From the longest answer down to what a small context allows. */
const LENGTHS: readonly object[] = [{ max_tokens: 16_000, min_tokens: 16_000 }, { max_tokens: 16_000 }, {}];

interface Caller {
  base: string;
  headers: Record<string, string>;
}

export async function checkPublic({ url, key, seconds, model }: PublicTarget): Promise<Check[]> {
  const caller = {
    base: url.replace(/\/+$/, ''),
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  };
  try {
    const models = model === null ? await listModels(caller) : [model];
    if (models.length === 0) {
      return [failed('public stream', `${caller.base}/models names no model`, 'check address and key')];
    }
    const found = await openStream(caller, models);
    const [stream, silence] = await Promise.all([
      watchStream(found.response, found.sentMs, seconds * 1_000),
      found.body === null ? null : keepSilent(caller, found.body, seconds * 1_000),
    ]);
    return [...judgeStream(stream, seconds), ...(silence === null ? [] : [judgeSilence(silence, seconds)])];
  } catch {
    return [failed('public stream', `cannot be reached at ${url}`, 'check the address: it ends in /v1')];
  }
}

async function listModels({ base, headers }: Caller): Promise<string[]> {
  const list = await fetch(`${base}/models`, { headers, signal: AbortSignal.timeout(LIST_LIMIT_MS) });
  const { data = [] } = (await list.json()) as { data?: { id: string }[] };
  return data.slice(0, TRIED_MOST).map(({ id }) => id);
}

/**
 * The first answer that is a stream, with the body that got it; else the last refusal, with null. A context may be too small
 * for the longest answer, and a model may have no worker, or not chat.
 */
async function openStream(caller: Caller, models: readonly string[]) {
  let refused: { response: Response; sentMs: number; body: null } | null = null;
  for (const model of models) {
    for (const length of LENGTHS) {
      const body = { model, messages: [{ role: 'user', content: ASK }], ...length };
      const sentMs = performance.now();
      const response = await post(caller, { ...body, stream: true });
      if (response.status === 200) return { response, sentMs, body };
      await refused?.response.body?.cancel();
      refused = { response, sentMs, body: null };
      if (response.status === 404 || response.status === 503) break;
      if (response.status !== 400) return refused;
    }
  }
  return refused!;
}

const post = ({ base, headers }: Caller, body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(`${base}/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });

async function watchStream(response: Response, sentMs: number, durationMs: number): Promise<StreamSeen> {
  const sinceMs = () => performance.now() - sentMs;
  const arrivals: Arrival[] = [];
  let end: StreamSeen['end'] = 'finished';
  let code: string | null = null;
  if (response.status !== 200) code = errorCode(await response.text());
  else {
    const reader = response.body?.getReader();
    const timer = setTimeout(() => void reader?.cancel().catch(() => {}), durationMs);
    let tail = '';
    try {
      for (;;) {
        const part = await reader?.read();
        if (part === undefined || part.done) break;
        const text = tail.slice(-1) + Buffer.from(part.value).toString('latin1');
        arrivals.push({ atMs: sinceMs(), events: text.split('\n\n').length - 1 });
        tail = (tail + text.slice(tail === '' ? 0 : 1)).slice(-200);
      }
      // A proxy that gives up closes cleanly: only the mark at the end tells.
      if (sinceMs() >= durationMs) end = 'enough';
      else if (!tail.includes('data: [DONE]')) end = 'cut';
    } catch {
      end = sinceMs() >= durationMs ? 'enough' : 'cut';
    } finally {
      clearTimeout(timer);
    }
  }
  return {
    status: response.status,
    code,
    contentType: response.headers.get('content-type'),
    contentEncoding: response.headers.get('content-encoding'),
    arrivals,
    end,
    endMs: sinceMs(),
  };
}

async function keepSilent(caller: Caller, body: object, durationMs: number): Promise<SilenceSeen> {
  const sentMs = performance.now();
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), durationMs);
  const seen = (end: SilenceSeen['end'], status: number | null = null, code: string | null = null): SilenceSeen => ({
    end,
    status,
    code,
    endMs: performance.now() - sentMs,
  });
  try {
    const response = await post(caller, body, enough.signal);
    const text = await response.text();
    const code = errorCode(text);
    // What is neither an answer nor an error of ours was made by something on the way.
    const isOurs = response.ok || (code !== null && response.headers.has('x-request-id'));
    return seen(isOurs ? 'answered' : 'cut', response.status, code);
  } catch {
    return seen(enough.signal.aborted ? 'enough' : 'cut');
  } finally {
    clearTimeout(timer);
  }
}

/** The code of an error in the API's form; null for anything else. */
function errorCode(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown } };
    return typeof error?.code === 'string' ? error.code : null;
  } catch {
    return null;
  }
}
