/**
 * The grammar thread as the worker sees it: started on first use, replaced after a compilation that ended its
 * WebAssembly instance or took too long; requests that were waiting behind it go to the next one.
 */
import { Worker } from 'node:worker_threads';
import type { DecodeRequest, GrammarClient } from './client.ts';
import { UNSUPPORTED_FEATURES } from './client.ts';
import { type Constraint, ConstraintError } from './constraint.ts';
import type { ThreadReply, ThreadRequest } from './thread.ts';

/** Longer than vLLM's 5 s for a regular expression: a development machine may have other work. */
const TIMEOUT_MS = 20_000;
const MAX_REMEMBERED = 1_000;

interface Waiting {
  request: ThreadRequest;
  resolve(decoded: { text: string; complete: boolean }): void;
  reject(error: Error): void;
}

export function createGrammarClient(): GrammarClient {
  let thread: Worker | undefined;
  let nextId = 1;
  /** In order; the first one is being worked on. */
  const waiting = new Map<number, Waiting>();
  const remembered = new Map<string, Promise<{ text: string; complete: boolean }>>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  /** The thread keeps the process alive only while someone waits for it. */
  function holdWhileWaiting(): void {
    if (waiting.size === 0) thread?.unref();
    else thread?.ref();
  }

  /** Nothing is being worked on. */
  function rest(): void {
    clearTimeout(timer);
    timer = undefined;
    holdWhileWaiting();
  }

  function limitTime(id: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const late = waiting.get(id);
      waiting.delete(id);
      late?.reject(new ConstraintError(late.request.constraint.kind, 'Compilation timed out.'));
      replaceThread();
    }, TIMEOUT_MS);
  }

  function replaceThread(): void {
    const old = thread;
    thread = undefined;
    void old?.terminate();
    if (waiting.size > 0 && !closed) {
      const next = startThread();
      for (const { request } of waiting.values()) next.postMessage(request);
    }
    rest();
  }

  function startThread(): Worker {
    // The entry has the extension of this very file: .ts in the source tree, .js in the built one.
    const entry = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);
    const started = new Worker(entry, { execArgv: [] });
    thread = started;
    started.on('message', (reply: ThreadReply) => {
      // What a broken thread still says about the requests behind the fatal one does not count.
      if (thread !== started) return;
      if (reply.begun) {
        limitTime(reply.id);
        return;
      }
      const entryWaiting = waiting.get(reply.id);
      waiting.delete(reply.id);
      if (reply.ok) entryWaiting?.resolve(reply);
      else {
        const kind = entryWaiting?.request.constraint.kind ?? 'json';
        entryWaiting?.reject(new ConstraintError(kind, reply.unsupported ? UNSUPPORTED_FEATURES : reply.message));
        if (reply.fatal) {
          replaceThread();
          return;
        }
      }
      rest();
    });
    started.on('error', (error) => {
      if (thread !== started) return;
      // A memory fault takes the whole thread with it: the request at hand is to blame.
      const [first] = waiting.values();
      if (first) {
        waiting.delete(first.request.id);
        first.reject(
          new ConstraintError(first.request.constraint.kind, error instanceof Error ? error.message : 'thread failed'),
        );
      }
      replaceThread();
    });
    return started;
  }

  function ask(
    op: ThreadRequest['op'],
    constraint: Constraint,
    seed: number,
    softLimit: number,
  ): Promise<{ text: string; complete: boolean }> {
    return new Promise((resolve, reject) => {
      if (closed) {
        reject(new Error('grammar thread is closed'));
        return;
      }
      const request: ThreadRequest = { id: nextId++, op, constraint, seed, softLimit };
      waiting.set(request.id, { request, resolve, reject });
      (thread ?? startThread()).postMessage(request);
      holdWhileWaiting();
    });
  }

  /** The same question has the same answer: greedy and seeded requests come again. */
  function remember(key: string, fresh: () => Promise<{ text: string; complete: boolean }>) {
    const known = remembered.get(key);
    if (known) return known;
    const asked = fresh();
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.set(key, asked);
    asked.catch(() => remembered.delete(key));
    return asked;
  }

  return {
    decode({ constraint, seed, softLimit }: DecodeRequest) {
      return remember(`${seed}/${softLimit}/${JSON.stringify(constraint)}`, () =>
        ask('decode', constraint, seed, softLimit),
      );
    },
    async check(constraint) {
      await remember(`check/${JSON.stringify(constraint)}`, () => ask('check', constraint, 0, 0));
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      const old = thread;
      thread = undefined;
      for (const { reject } of waiting.values()) reject(new Error('grammar thread is closed'));
      waiting.clear();
      await old?.terminate();
    },
  };
}
