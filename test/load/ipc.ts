/** Question and answer between the bench and its helper processes (upstream, load generator, drainer). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '@tollgate/shared/testkit/config';

interface Question {
  id: number;
  method: string;
  argument: unknown;
}

interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

export type Handlers = Record<string, (argument: never) => unknown>;

/** In a helper process: answers questions until the bench goes away, then exits. */
export function serve(handlers: Handlers): void {
  process.on('message', async (question: Question) => {
    const answer: Answer = { id: question.id };
    try {
      const handler = handlers[question.method];
      if (!handler) throw new Error(`no method ${question.method}`);
      answer.result = await handler(question.argument as never);
    } catch (error) {
      answer.error = error instanceof Error ? error.message : String(error);
    }
    process.send?.(answer);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ id: 0 } satisfies Answer);
}

/** The bench's end of one helper process. */
export class Helper {
  readonly child: ChildProcess;
  #next = 1;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();

  private constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error !== undefined) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.result);
    });
    child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`helper ended (${signal ?? code})`));
      this.#waiting.clear();
    });
  }

  /** Starts `file` (beside this one) with the Node that runs the bench, and waits until it serves. */
  static async start(file: string): Promise<Helper> {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
      execArgv: ['--conditions=tollgate-source', '--disable-warning=ExperimentalWarning'],
      env: childEnvironment({ NODE_OPTIONS: undefined }),
      serialization: 'advanced',
    });
    const failed = once(child, 'exit').then(() => {
      throw new Error(`${file} ended before it was ready`);
    });
    await Promise.race([once(child, 'message'), failed]);
    failed.catch(() => {});
    return new Helper(child);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  ask<T>(method: string, argument?: unknown): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.child.send({ id, method, argument } satisfies Question, (error) => {
        if (error) reject(error);
      });
    });
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
