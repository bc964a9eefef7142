/** What the router knows of a worker when it chooses one. A plain value: policies see snapshots, never clients. */
export type Engine = 'vllm' | 'sglang';
export type WorkerState = 'joining' | 'ready' | 'draining' | 'gone';

/** What an engine counted since its start, as read at `atMs` (ms since 1970). */
export interface WorkerCounters {
  promptTokens: number;
  completionTokens: number;
  /** Requests that ended, whatever their end. */
  requests: number;
  /** Unix time of its start in seconds; null when it does not tell. */
  startedS: number | null;
  atMs: number;
}

export interface WorkerSnapshot {
  /** Base URL without a trailing slash; also the worker's id. */
  url: string;
  engine: Engine;
  /** Model ids it serves. */
  models: readonly string[];
  maxModelLen: number;
  state: WorkerState;
  breakerOpen: boolean;
  /** Requests sent by this router and not ended. */
  running: number;
  /** Of these, those without a first token yet. */
  waiting: number;
  /** Prompt tokens sent and still without a first token: what a new prompt queues behind. */
  pendingPrefillTokens: number;
  /** Share of the KV cache in use, 0..1, as last polled; null when never seen. */
  kvUsage: number | null;
  maxConcurrency: number | null;
  /** Null or absent when the engine does not tell. */
  counters?: WorkerCounters | null;
}

/** The one word for "may receive traffic"; nothing else in the code spells this condition again. */
export function isAvailable(
  worker: Pick<WorkerSnapshot, 'state' | 'breakerOpen' | 'running' | 'maxConcurrency'>,
): boolean {
  const full = worker.maxConcurrency !== null && worker.running >= worker.maxConcurrency;
  return worker.state === 'ready' && !worker.breakerOpen && !full;
}
