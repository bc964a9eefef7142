/** What the routes of one worker share: its model, engine, counters and faults. */

import type { Dialect } from '../dialects/dialect.ts';
import type { Metrics } from '../dialects/vllm/metrics.ts';
import type { Engine } from '../engine/engine.ts';
import type { GrammarClient } from '../grammar/client.ts';
import type { Tokenizer } from '../model/bpe.ts';
import type { Fault } from './faults.ts';

export interface WorkerSettings {
  model: string;
  modelRoot: string;
  /** Id of the embedding model, or undefined when this worker has none. */
  embeddingModel: string | undefined;
  maxModelLen: number;
  thinkingByDefault: boolean;
  speed: number;
  blockSize: number;
  maxSequences: number;
}

/** What happened to one aborted request. Times are milliseconds since the worker started. */
export interface AbortRecord {
  requestId: string;
  /** When the worker noticed that the client had left. */
  noticedMs: number;
  /** When the engine had let go of every sequence. */
  abortedMs: number;
  /** Tokens made until then. */
  generatedTokens: number;
}

export interface Totals {
  requests: number;
  finished: number;
  failed: number;
  aborted: number;
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
  aborts: AbortRecord[];
}

export interface Worker {
  settings: WorkerSettings;
  dialect: Dialect;
  /** How to abort what is under way, by request id. */
  running: Map<string, () => void>;
  engine: Engine;
  tokenizer: Tokenizer;
  grammar: GrammarClient;
  metrics: Metrics;
  fingerprint: string;
  totals: Totals;
  /** Requests between their first byte and their answer's last (`/load`). */
  openRequests: number;
  /** The worker-wide fault. */
  fault: Fault | undefined;
  /** 16 hex digits. */
  randomId(): string;
  /** 32 random bits. */
  randomSeed(): number;
  /** Milliseconds since the worker started. */
  sinceStartMs(): number;
  /** Seconds since the Unix epoch. */
  epochSeconds(): number;
  /** Ends the process without goodbye (fault `die;how=exit`). */
  kill(): void;
}
