/**
 * Start in order, stop in reverse. What a service opens it hands to `defer`; SIGTERM, SIGINT, the loss of
 * a supervising parent or a fatal error then closes everything last-opened-first within the grace period.
 */
import type { Logger } from 'pino';

export interface LifecycleOptions {
  logger: Logger;
  /** How long all stop steps together may take. */
  graceMs: number;
}

export interface Lifecycle {
  /** Aborted as soon as stopping begins: loops and long polls watch it. */
  readonly signal: AbortSignal;
  readonly stopping: boolean;
  /** Registers a stop step. Steps run in reverse order of registration, one after the other. */
  defer(name: string, stop: () => void | Promise<void>): void;
  /** Installs signal handlers and resolves when everything was stopped. */
  run(): Promise<void>;
  /** Stops once; later calls return the same promise. `reason` goes to the log. */
  stop(reason?: string): Promise<void>;
  /** Logs a fatal error, stops, and makes the process end with status 1. */
  fail(error: unknown): Promise<void>;
}

/** A second signal ends the process at once with this status (128 + SIGINT). */
const IMPATIENT_EXIT = 130;
/** One Ctrl-C may arrive several times: from the terminal, and passed on by npm and by the bootstrap. */
const SAME_SIGNAL_MS = 1_000;

export function createLifecycle({ logger, graceMs }: LifecycleOptions): Lifecycle {
  const controller = new AbortController();
  const steps: { name: string; stop: () => void | Promise<void> }[] = [];
  let stopped: Promise<void> | undefined;
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });

  async function runSteps(): Promise<void> {
    for (let step = steps.pop(); step; step = steps.pop()) {
      try {
        await step.stop();
      } catch (error) {
        // One step that fails must not keep the others from closing.
        logger.error({ err: error, step: step.name }, 'stop step failed');
        process.exitCode = 1;
      }
    }
  }

  async function stopWithin(reason: string): Promise<void> {
    logger.info({ reason }, 'stopping');
    controller.abort(new Error(`stopping: ${reason}`));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), graceMs);
    });
    const result = await Promise.race([runSteps(), late]);
    clearTimeout(timer);
    if (result === 'late') {
      logger.error({ graceMs, left: steps.map((step) => step.name) }, 'did not stop within the grace period');
      process.exitCode = 1;
    } else {
      logger.info('stopped');
    }
    finish();
  }

  const lifecycle: Lifecycle = {
    signal: controller.signal,
    get stopping() {
      return stopped !== undefined;
    },
    defer(name, stop) {
      steps.push({ name, stop });
    },
    stop(reason = 'asked') {
      stopped ??= stopWithin(reason);
      return stopped;
    },
    async fail(error) {
      logger.fatal({ err: error }, 'fatal');
      process.exitCode = 1;
      await lifecycle.stop('fatal error');
    },
    async run() {
      let firstSignalMs: number | undefined;
      const onSignal = (name: NodeJS.Signals) => {
        firstSignalMs ??= performance.now();
        if (performance.now() - firstSignalMs > SAME_SIGNAL_MS) process.exit(IMPATIENT_EXIT);
        void lifecycle.stop(name);
      };
      const onDisconnect = () => void lifecycle.stop('supervisor gone');
      const onFatal = (error: unknown) => void lifecycle.fail(error);
      // A supervisor (`tollgate dev`) keeps an IPC channel open; when it dies by SIGKILL the channel closes.
      // An idle process must still be able to end, hence unref; an open handle keeps it alive until stopped.
      const keepAlive = setInterval(() => {}, 2 ** 30);
      process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
      process.on('disconnect', onDisconnect);
      process.on('unhandledRejection', onFatal).on('uncaughtException', onFatal);
      try {
        await finished;
      } finally {
        clearInterval(keepAlive);
        process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
        process.off('disconnect', onDisconnect);
        process.off('unhandledRejection', onFatal).off('uncaughtException', onFatal);
        // The channel would keep the event loop alive after a clean stop.
        if (process.connected) process.disconnect?.();
      }
    },
  };
  return lifecycle;
}
