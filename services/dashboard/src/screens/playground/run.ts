/** Sends a draft to the router (through the console, same limits and price as any key) and reads the stream. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { failureOf, send } from '../../api/client.ts';
import { ApiError } from '../../api/error.ts';
import { account } from '../../api/queries.ts';
import { readExplanation } from '../../lib/explanation.ts';
import { sseReader } from '../../lib/sse.ts';
import { IDLE, onChunk, type Run } from './run-state.ts';

export interface RunOptions {
  /** A key to run with instead of the session's own. */
  key: string | null;
  project: string | undefined;
  /** Asks why the worker was chosen: operators. */
  explain: boolean;
}

export function useRun(accountId: string) {
  const [run, setRun] = useState<Run>(IDLE);
  const abort = useRef<AbortController | null>(null);
  const current = useRef<Run>(IDLE);
  const frame = useRef(0);

  /** Screens repaint once per frame, however fast tokens come. */
  const show = useCallback((next: Run) => {
    current.current = next;
    if (frame.current === 0) {
      frame.current = requestAnimationFrame(() => {
        frame.current = 0;
        setRun(current.current);
      });
    }
  }, []);

  const start = useCallback(
    async (body: Record<string, unknown>, { key, project, explain }: RunOptions) => {
      abort.current?.abort();
      const controller = new AbortController();
      abort.current = controller;
      show({ ...IDLE, state: 'waiting', startMs: performance.now() });
      try {
        const response = await send('POST', `${account(accountId)}/playground/chat`, {
          query: { projectId: project },
          headers: {
            ...(key === null ? {} : { 'x-playground-key': key }),
            ...(explain ? { 'x-tollgate-route-explain': '1' } : {}),
          },
          body,
          signal: controller.signal,
        });
        if (!response.ok || !response.body) throw await failureOf(response);
        show({
          ...current.current,
          requestId: response.headers.get('x-request-id'),
          explanation: readExplanation(response.headers.get('x-tollgate-route-explain')),
        });
        const read = sseReader();
        const decoder = new TextDecoder();
        for await (const bytes of chunks(response.body)) {
          for (const { data } of read(decoder.decode(bytes, { stream: true }))) {
            show(onChunk(current.current, data, performance.now()));
          }
        }
        // A stream without its last word is a cut one, and never looks whole.
        if (current.current.state !== 'done' && current.current.state !== 'failed') {
          throw new ApiError(
            0,
            { message: 'The stream ended before the answer was complete.', code: 'worker_stream_broken' },
            current.current.requestId,
          );
        }
      } catch (error) {
        if (controller.signal.aborted) {
          if (abort.current === controller) show({ ...current.current, state: 'stopped' });
        } else show({ ...current.current, state: 'failed', error });
      }
    },
    [accountId, show],
  );
  const stop = useCallback(() => abort.current?.abort(), []);
  useEffect(
    () => () => {
      abort.current?.abort();
      cancelAnimationFrame(frame.current);
    },
    [],
  );
  return { run, start, stop };
}

/** Streams are async iterables in some browsers only. */
async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
