/**
 * Asks a worker thread to prepare a schema, or whether XGrammar can compile a constraint, within a time limit. Verdicts on
 * grammars and refusals of schemas are kept (not what took too long: that may be the machine); prepared schemas are kept
 * by the gate.
 */
import { Worker } from 'node:worker_threads';
import type { CompileJob, CompileReply, Problem } from './compile-worker.ts';
import { GRAMMAR_COMPILE_MS } from './limits.ts';
import { Lru } from './lru.ts';
import type { PreparedSchema, SchemaAsk } from './prepare-schema.ts';

/** `rejected`: XGrammar refuses it or broke over it; `too_slow`; `busy`: too many are waiting, nothing was tried. */
type NotDone = { ok: false; reason: 'rejected' | 'too_slow' | 'busy' };
export type CompileVerdict = { ok: true } | NotDone;
export type PrepareVerdict =
  | { ok: true; prepared: PreparedSchema }
  | { ok: false; reason: 'problem'; problem: Problem }
  | NotDone;

/** What the gate needs of it. */
export interface SchemaCompiler {
  check(kind: 'ebnf' | 'regex', text: string): Promise<CompileVerdict>;
  prepare(ask: SchemaAsk): Promise<PrepareVerdict>;
}

/** Times are the thread's own CPU time: a crowded machine is no reason to refuse a schema. */
export interface CompilerOptions {
  schemaMs: number;
  grammarMs: number;
  /** The first job of a fresh thread also pays for loading the WebAssembly. */
  startMs: number;
  maxWaiting: number;
}

/** No job takes longer than so many times its limit, however little of the machine it gets. */
const MOST_WALL = 20;

export const DEFAULT_COMPILER_OPTIONS: CompilerOptions = {
  schemaMs: 1_000,
  grammarMs: GRAMMAR_COMPILE_MS,
  startMs: 5_000,
  maxWaiting: 64,
};

/** A job without its number. */
type Work = { kind: 'schema' | 'ebnf' | 'regex'; text: string } | { kind: 'prepare'; ask: SchemaAsk };

interface Waiting {
  job: CompileJob;
  done: (answer: CompileReply | NotDone) => void;
}

interface Current {
  waiting: Waiting;
  timer: NodeJS.Timeout;
  limitMs: number;
  /** Monotonic. */
  untilMs: number;
}

export class GrammarCompilerPool implements SchemaCompiler {
  readonly #options: CompilerOptions;
  readonly #verdicts = new Lru<CompileVerdict>(2_000, 8_000_000);
  readonly #refusals = new Lru<PrepareVerdict>(2_000, 8_000_000);
  readonly #running = new Map<string, Promise<CompileReply | NotDone>>();
  readonly #queue: Waiting[] = [];
  #worker: Worker | undefined;
  #warm = false;
  #current: Current | undefined;
  /** CPU time of the thread at its last answer. */
  #usedMs = 0;
  #nextId = 1;
  #closed = false;

  constructor(options: Partial<CompilerOptions> = {}) {
    this.#options = { ...DEFAULT_COMPILER_OPTIONS, ...options };
  }

  /** Threads started so far: one more after each that was ended. */
  started = 0;

  /** Starts the thread and loads the WebAssembly before the first customer waits for it. */
  async warmUp(): Promise<void> {
    await this.#run('warm up', { kind: 'regex', text: 'a' });
  }

  async check(kind: 'schema' | 'ebnf' | 'regex', text: string): Promise<CompileVerdict> {
    const key = `${kind} ${text}`;
    const known = this.#verdicts.get(key);
    if (known !== undefined) return known;
    const answer = await this.#run(key, { kind, text });
    const verdict: CompileVerdict = 'reason' in answer ? answer : answer.ok ? { ok: true } : REJECTED;
    if (isLasting(verdict)) this.#verdicts.set(key, verdict, key.length);
    return verdict;
  }

  async prepare(ask: SchemaAsk): Promise<PrepareVerdict> {
    const key = `prepare ${JSON.stringify(ask)}`;
    const known = this.#refusals.get(key);
    if (known !== undefined) return known;
    const verdict = prepareVerdict(await this.#run(key, { kind: 'prepare', ask }));
    if (!verdict.ok && isLasting(verdict)) this.#refusals.set(key, verdict, key.length);
    return verdict;
  }

  /** Ends the thread; who still waits is told that nothing was tried. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = this.#replace();
    this.#finish(BUSY);
    await ended;
  }

  /** The same work that runs already is waited for, not done twice. */
  async #run(key: string, work: Work): Promise<CompileReply | NotDone> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    if (this.#queue.length >= this.#options.maxWaiting) return BUSY;
    const answer = new Promise<CompileReply | NotDone>((done) => {
      this.#queue.push({ job: { id: this.#nextId++, ...work }, done });
    });
    this.#running.set(key, answer);
    this.#pump();
    try {
      return await answer;
    } finally {
      this.#running.delete(key);
    }
  }

  #pump(): void {
    if (this.#closed) for (const { done } of this.#queue.splice(0)) done(BUSY);
    if (this.#current !== undefined) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#worker ??= this.#start();
    const { kind } = waiting.job;
    const ownMs = kind === 'schema' || kind === 'prepare' ? this.#options.schemaMs : this.#options.grammarMs;
    const limitMs = ownMs + (this.#warm ? 0 : this.#options.startMs);
    const current: Current = {
      waiting,
      limitMs,
      untilMs: performance.now() + limitMs * MOST_WALL,
      timer: setTimeout(() => void this.#look(current), limitMs),
    };
    this.#current = current;
    this.#worker.ref();
    this.#worker.postMessage(waiting.job);
  }

  /** A job's time may be up: ends it if it has used its CPU time, looks again later if the thread was kept waiting. */
  async #look(current: Current): Promise<void> {
    const usedMs = (await cpuMs(this.#worker)) - this.#usedMs;
    if (this.#current !== current) return;
    const leftMs = Math.min(current.limitMs - usedMs, current.untilMs - performance.now());
    if (leftMs <= 0) this.#fail('too_slow');
    else current.timer = setTimeout(() => void this.#look(current), Math.max(leftMs, 20));
  }

  #start(): Worker {
    this.started++;
    this.#warm = false;
    this.#usedMs = 0;
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
    this.#usedMs = reply.usedMs;
    if (reply.retire) void this.#replace();
    this.#finish(reply);
  }

  #fail(reason: 'rejected' | 'too_slow'): void {
    void this.#replace();
    this.#finish({ ok: false, reason });
  }

  #finish(answer: CompileReply | NotDone): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) {
      this.#pump();
      return;
    }
    clearTimeout(current.timer);
    this.#worker?.unref();
    current.waiting.done(answer);
    this.#pump();
  }

  async #replace(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

/** CPU time of a thread since its start, in milliseconds; the most there is when it does not say. */
async function cpuMs(worker: Worker | undefined): Promise<number> {
  if (worker === undefined) return Number.POSITIVE_INFINITY;
  const asked = worker.cpuUsage().then(
    ({ user, system }) => (user + system) / 1_000,
    () => Number.POSITIVE_INFINITY,
  );
  // A thread deep in WebAssembly may answer late; one that waits for the machine too.
  const silent = new Promise<number>((resolve) => setTimeout(() => resolve(0), 1_000).unref());
  return Promise.race([asked, silent]);
}

const BUSY: NotDone = { ok: false, reason: 'busy' };
const REJECTED: NotDone = { ok: false, reason: 'rejected' };

/** What a crowded machine makes of a schema says nothing of the schema. */
const isLasting = (verdict: CompileVerdict | PrepareVerdict): boolean =>
  verdict.ok || verdict.reason === 'rejected' || verdict.reason === 'problem';

function prepareVerdict(answer: CompileReply | NotDone): PrepareVerdict {
  if ('reason' in answer) return answer;
  if (answer.problem !== undefined) return { ok: false, reason: 'problem', problem: answer.problem };
  return answer.prepared === undefined ? REJECTED : { ok: true, prepared: answer.prepared };
}
