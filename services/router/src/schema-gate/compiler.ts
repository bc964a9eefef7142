/** Asks a worker thread whether XGrammar can compile a constraint, within a time limit; verdicts are cached. */
import { Worker } from 'node:worker_threads';
import type { CompileJob, CompileReply } from './compile-worker.ts';
import { GRAMMAR_COMPILE_MS } from './limits.ts';
import { Lru } from './lru.ts';

export type CompileVerdict =
  | { ok: true }
  /** `rejected`: XGrammar refuses it or broke over it; `too_slow`; `busy`: too many are waiting, nothing was tried. */
  | { ok: false; reason: 'rejected' | 'too_slow' | 'busy' };

export interface CompilerOptions {
  schemaMs: number;
  grammarMs: number;
  /** The first job of a fresh thread also pays for loading the WebAssembly. */
  startMs: number;
  maxWaiting: number;
}

export const DEFAULT_COMPILER_OPTIONS: CompilerOptions = {
  schemaMs: 1_000,
  grammarMs: GRAMMAR_COMPILE_MS,
  startMs: 5_000,
  maxWaiting: 64,
};

interface Waiting {
  job: CompileJob;
  done: (verdict: CompileVerdict) => void;
}

export class GrammarCompilerPool {
  readonly #options: CompilerOptions;
  readonly #verdicts = new Lru<CompileVerdict>(2_000, 8_000_000);
  readonly #running = new Map<string, Promise<CompileVerdict>>();
  readonly #queue: Waiting[] = [];
  #worker: Worker | undefined;
  #warm = false;
  #current: { waiting: Waiting; timer: NodeJS.Timeout } | undefined;
  #nextId = 1;

  constructor(options: Partial<CompilerOptions> = {}) {
    this.#options = { ...DEFAULT_COMPILER_OPTIONS, ...options };
  }

  /** Threads started so far: one more after each that was ended. */
  started = 0;

  async check(kind: CompileJob['kind'], text: string): Promise<CompileVerdict> {
    const key = `${kind} ${text}`;
    const known = this.#verdicts.get(key);
    if (known !== undefined) return known;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    if (this.#queue.length >= this.#options.maxWaiting) return { ok: false, reason: 'busy' };
    const verdict = new Promise<CompileVerdict>((done) => {
      this.#queue.push({ job: { id: this.#nextId++, kind, text }, done });
    });
    this.#running.set(key, verdict);
    this.#pump();
    try {
      const found = await verdict;
      this.#verdicts.set(key, found, key.length);
      return found;
    } finally {
      this.#running.delete(key);
    }
  }

  async close(): Promise<void> {
    await this.#replace();
  }

  #pump(): void {
    if (this.#current !== undefined) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#worker ??= this.#start();
    const limitMs = waiting.job.kind === 'schema' ? this.#options.schemaMs : this.#options.grammarMs;
    const timer = setTimeout(() => this.#fail('too_slow'), limitMs + (this.#warm ? 0 : this.#options.startMs));
    this.#current = { waiting, timer };
    this.#worker.ref();
    this.#worker.postMessage(waiting.job);
  }

  #start(): Worker {
    this.started++;
    this.#warm = false;
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./compile-worker.${extension}`, import.meta.url), {
      execArgv: extension === 'ts' ? ['--conditions=tollgate-source'] : [],
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
    worker.on('message', (reply: CompileReply) => this.#answer(worker, reply));
    worker.on('error', () => {
      if (this.#worker === worker) this.#fail('rejected');
    });
    return worker;
  }

  #answer(worker: Worker, reply: CompileReply): void {
    if (worker !== this.#worker || this.#current?.waiting.job.id !== reply.id) return;
    this.#warm = true;
    if (reply.retire) void this.#replace();
    this.#finish(reply.ok ? { ok: true } : { ok: false, reason: 'rejected' });
  }

  #fail(reason: 'rejected' | 'too_slow'): void {
    void this.#replace();
    this.#finish({ ok: false, reason });
  }

  #finish(verdict: CompileVerdict): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    clearTimeout(current.timer);
    this.#worker?.unref();
    current.waiting.done(verdict);
    this.#pump();
  }

  async #replace(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}
