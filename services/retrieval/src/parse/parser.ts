/** Parses files in threads of their own, within time and memory: one thread per file, thrown away after it. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Chunk } from '../chunk/chunker.ts';
import { PARSE_LIMITS, type ParseLimits, type UnreadableCode, UnreadableFile } from './block.ts';
import type { ParseJob, ParseReply } from './parse-worker.ts';

export interface ParserOptions {
  timeMs: number;
  /** Heap of the thread, and what it may hold outside of it (buffers). */
  memoryMb: number;
  maxChunks: number;
  limits?: ParseLimits;
}

export interface ParseRequest {
  filename: string;
  bytes: Uint8Array;
  chunkTokens: number;
  overlapTokens: number;
}

const WATCH_MS = 50;
const MB = 1024 * 1024;

/**
 * Chunks of a file.
 * @throws {UnreadableFile} with the reason that the file's owner is told.
 */
export function parseInThread(request: ParseRequest, options: ParserOptions, clock: Clock): Promise<Chunk[]> {
  const { timeMs, memoryMb } = options;
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./parse-worker.${extension}`, import.meta.url), {
    execArgv: extension === 'ts' ? ['--conditions=tollgate-source'] : [],
    resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 32, stackSizeMb: 8 },
    stdout: true,
    stderr: true,
  });
  return new Promise<Chunk[]>((resolve, reject) => {
    // Buffers do not count into the limit of a thread's heap, nor into this thread's figures: it is asked, busy as it is.
    const watch = clock.setInterval(() => {
      worker.getHeapStatistics().then(
        ({ external_memory: bytes }) => {
          if (bytes > memoryMb * MB) fail('parse_memory', `the file unfolds to more than ${memoryMb} MB`);
        },
        // It has ended meanwhile.
        () => {},
      );
    }, WATCH_MS);
    const timer = clock.setTimeout(
      () => fail('parse_timeout', `the file could not be parsed within ${timeMs} ms`),
      timeMs,
    );
    const end = (): void => {
      watch.cancel();
      timer.cancel();
      void worker.terminate();
    };
    const fail = (code: UnreadableCode, message: string): void => {
      end();
      reject(new UnreadableFile(code, message));
    };
    worker.on('message', (reply: ParseReply) => {
      end();
      if (reply.ok) resolve(reply.chunks);
      else reject(new UnreadableFile(reply.code as UnreadableCode, reply.message));
    });
    worker.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY')
        fail('parse_memory', `the file needs more than ${memoryMb} MB to be parsed`);
      else fail('invalid_file', 'the file cannot be parsed');
    });
    worker.on('exit', () => fail('invalid_file', 'the file cannot be parsed'));
    const job: ParseJob = { ...request, limits: options.limits ?? PARSE_LIMITS, maxChunks: options.maxChunks };
    worker.postMessage(job);
  });
}
