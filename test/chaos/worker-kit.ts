/** Workers as processes of their own, which can be killed, and streams that are compared letter by letter. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';

const SCRIPT = fileURLToPath(new URL('../../services/devworker/src/main.ts', import.meta.url));

export interface WorkerProcess {
  readonly url: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when the process is gone. */
  stop(): Promise<void>;
  /** Starts it again at the same address. */
  restart(): Promise<void>;
  /** Counters since its start. */
  state(): Promise<WorkerState>;
  fault(text: string | null): Promise<void>;
}

export interface WorkerState {
  totals: { requests: number; finished: number; aborted: number; promptTokens: number; completionTokens: number };
  engine: { running: number; waiting: number };
}

export async function startWorkerProcess(flags: readonly string[] = [], host = '127.0.0.1'): Promise<WorkerProcess> {
  const port = await freePort();
  const url = `http://${host}:${port}`;
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    child = spawn(
      process.execPath,
      [
        '--conditions=tollgate-source',
        SCRIPT,
        '--host',
        host,
        '--port',
        String(port),
        '--log-level',
        'error',
        ...flags,
      ],
      { env: childEnvironment({ NODE_OPTIONS: undefined }), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
    );
    const begun = child;
    await Promise.race([
      once(begun, 'message'),
      once(begun, 'exit').then(() => {
        throw new Error('the worker ended at once');
      }),
    ]);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  await start();
  return {
    url,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    restart: start,
    state: async () => (await (await fetch(`${url}/devworker/state`)).json()) as WorkerState,
    fault: async (text) => {
      const response = await fetch(`${url}/devworker/faults`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ fault: text }),
      });
      if (!response.ok) throw new Error(await response.text());
    },
  };
}

/** A stream as its client read it. */
export interface Heard {
  id: string;
  status: number;
  content: string;
  reasoning: string;
  roles: number;
  finish: string | null;
  completionTokens: number | null;
  promptTokens: number | null;
  /** Code of an error, inside the stream or instead of it. */
  error: string | null;
  done: boolean;
  /** Ids and time stamps of the chunks: one of each, or the answer shows its seam. */
  chunkIds: Set<string>;
  created: Set<number>;
  /** From the last chunk of text to the error event. */
  errorAfterMs: number | null;
}

export async function hear(
  url: string,
  key: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<Heard> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  });
  const heard: Heard = {
    id: response.headers.get('x-request-id') ?? '',
    status: response.status,
    content: '',
    reasoning: '',
    roles: 0,
    finish: null,
    completionTokens: null,
    promptTokens: null,
    error: null,
    done: false,
    chunkIds: new Set(),
    created: new Set(),
    errorAfterMs: null,
  };
  if (response.status !== 200) {
    heard.error = ((await response.json()) as { error: { code: string } }).error.code;
    return heard;
  }
  let lastMs = performance.now();
  let rest = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + piece).split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      if (!event.startsWith('data: ')) continue;
      const data = event.slice(6);
      if (data === '[DONE]') {
        heard.done = true;
        continue;
      }
      const chunk = JSON.parse(data);
      if (chunk.error) {
        heard.error = chunk.error.code;
        heard.errorAfterMs = performance.now() - lastMs;
        continue;
      }
      lastMs = performance.now();
      heard.chunkIds.add(chunk.id);
      heard.created.add(chunk.created);
      const choice = chunk.choices[0];
      if (choice?.delta.role) heard.roles++;
      heard.content += choice?.delta.content ?? '';
      heard.reasoning += choice?.delta.reasoning ?? choice?.delta.reasoning_content ?? '';
      heard.finish = choice?.finish_reason ?? heard.finish;
      if (chunk.usage) {
        heard.completionTokens = chunk.usage.completion_tokens;
        heard.promptTokens = chunk.usage.prompt_tokens;
      }
    }
  }
  return heard;
}

/** Waits until the worker runs something, so that a kill strikes in the middle of it. */
export function eventuallyBusy(worker: WorkerProcess): Promise<true> {
  return eventually('the worker is busy', async () => (await worker.state()).engine.running > 0, { everyMs: 5 });
}
