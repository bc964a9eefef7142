/** One supervised process: started, watched, restarted with back-off, stopped with grace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { markOf, type ProcessMark } from './processes.ts';

export interface ChildPlan {
  name: string;
  command: string;
  args: string[];
  env: Record<string, string>;
  logFile: string;
  /** Whether the child listens on an IPC channel (every Node service does): it ends when the channel closes. */
  ipc: boolean;
  /** Grace after SIGTERM before SIGKILL. */
  graceMs: number;
  /** Resolves true once the process does its work. Polled. */
  ready(): Promise<boolean>;
}

export interface ChildEvents {
  /** The process started (again). */
  started(name: string, mark: ProcessMark | null): void;
  /** It ended without being told to; it is started again after `againInMs`. */
  crashed(name: string, code: number | null, againInMs: number): void;
}

export interface Child {
  readonly name: string;
  /** Resolves when ready; rejects when the process gives up first or the deadline passes. */
  untilReady(limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** Exit status of a wrong configuration: starting again would not help. */
const EXIT_CONFIG = 78;
const FIRST_BACKOFF_MS = 300;
const LAST_BACKOFF_MS = 10_000;
/** A process that ran this long is healthy: its next crash starts with the short pause again. */
const HEALTHY_MS = 30_000;
/** This many ends before the first readiness mean that it will never be ready. */
const TRIES_BEFORE_READY = 3;
const PROBE_EVERY_MS = 60;
const LOG_LIMIT_BYTES = 10_000_000;

export class ChildFailed extends Error {
  override readonly name = 'ChildFailed';
  readonly child: string;
  constructor(child: string, message: string) {
    super(message);
    this.child = child;
  }
}

export function startChild(plan: ChildPlan, logger: Logger, events: ChildEvents): Child {
  let process_: ChildProcess | undefined;
  let stopping = false;
  let wasReady = false;
  let ends = 0;
  let backoffMs = FIRST_BACKOFF_MS;
  let timer: NodeJS.Timeout | undefined;
  let failure: ChildFailed | undefined;
  let ended: Promise<void> = Promise.resolve();

  rotate(plan.logFile);

  function launch(): void {
    timer = undefined;
    const startedMs = performance.now();
    // Output goes straight into the file: a child must outlive its supervisor's pipes to stop in good order.
    const log = openSync(plan.logFile, 'a', 0o600);
    // Own process group: Ctrl-C in the terminal reaches the supervisor only, which stops things in order.
    const child = spawn(plan.command, plan.args, {
      detached: true,
      env: plan.env,
      stdio: ['ignore', log, log, ...(plan.ipc ? (['ipc'] as const) : [])],
    });
    closeSync(log);
    process_ = child;
    ended = new Promise((resolve) => {
      const onEnd = (code: number | null) => {
        process_ = undefined;
        resolve();
        if (!stopping) onCrash(code, performance.now() - startedMs);
      };
      child.once('error', () => onEnd(null));
      child.once('exit', onEnd);
    });
    if (child.pid !== undefined) events.started(plan.name, markOf(child.pid));
  }

  function onCrash(code: number | null, ranMs: number): void {
    ends += 1;
    if (code === EXIT_CONFIG) {
      failure = new ChildFailed(plan.name, `${plan.name} refuses its configuration`);
    } else if (!wasReady && ends >= TRIES_BEFORE_READY) {
      failure = new ChildFailed(plan.name, `${plan.name} ended ${ends} times before it was ready`);
    }
    if (failure) return;
    if (ranMs > HEALTHY_MS) backoffMs = FIRST_BACKOFF_MS;
    logger.warn({ child: plan.name, code, backoffMs }, 'child ended; starting it again');
    events.crashed(plan.name, code, backoffMs);
    timer = setTimeout(launch, backoffMs);
    backoffMs = Math.min(backoffMs * 2, LAST_BACKOFF_MS);
  }

  launch();
  return {
    name: plan.name,
    async untilReady(limitMs) {
      const endMs = performance.now() + limitMs;
      for (;;) {
        if (failure) throw failure;
        if (stopping) throw new ChildFailed(plan.name, `${plan.name} was stopped`);
        if (process_ && (await plan.ready().catch(() => false))) {
          wasReady = true;
          return;
        }
        if (performance.now() > endMs) {
          throw new ChildFailed(plan.name, `${plan.name} was not ready within ${Math.round(limitMs / 1000)} s`);
        }
        await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
      }
    },
    async stop() {
      stopping = true;
      clearTimeout(timer);
      const child = process_;
      if (!child) return;
      child.kill('SIGTERM');
      const kill = setTimeout(() => {
        logger.warn({ child: plan.name, graceMs: plan.graceMs }, 'child did not stop in time; killing it');
        child.kill('SIGKILL');
      }, plan.graceMs);
      await ended;
      clearTimeout(kill);
    },
  };
}

/** One old log is kept. */
function rotate(path: string): void {
  try {
    if (statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // No log yet.
  }
}
