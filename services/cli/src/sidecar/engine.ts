/** What the engine beside the sidecar says of itself. */
import type { Engine } from '@tollgate/shared/domain/worker';

export interface EngineState {
  isWell: boolean;
  engine: Engine;
  models: string[];
  /** Requests running and waiting there; null when it does not tell. */
  requests: number | null;
  /** Why it is not well. */
  why: string | null;
}

/** SGLang's /health generates a token. */
const LEAST_TIMEOUT_MS = 5_000;

/** Asks for health, models and load. Never rejects. */
export async function askEngine(url: string, everyMs: number): Promise<EngineState> {
  const get = (path: string) =>
    fetch(new URL(path, url), { signal: AbortSignal.timeout(Math.max(everyMs, LEAST_TIMEOUT_MS)) });
  const state: EngineState = { isWell: false, engine: 'vllm', models: [], requests: null, why: null };
  try {
    const health = await get('/health');
    await health.arrayBuffer();
    if (!health.ok) return { ...state, why: `/health answers ${health.status}` };
    const list = await get('/v1/models');
    if (!list.ok) return { ...state, why: `/v1/models answers ${list.status}` };
    const { data } = (await list.json()) as { data?: { id?: unknown; owned_by?: unknown }[] };
    for (const { id, owned_by: owner } of data ?? []) {
      if (typeof id === 'string') state.models.push(id);
      if (owner === 'sglang') state.engine = 'sglang';
    }
    if (state.models.length === 0) return { ...state, why: 'it serves no model' };
    const metrics = await get('/metrics');
    state.requests = metrics.ok ? requestsIn(await metrics.text()) : null;
    return { ...state, isWell: true };
  } catch (error) {
    return { ...state, why: error instanceof Error ? error.message : 'no answer' };
  }
}

/** Running and waiting requests of Prometheus text; null when neither is there. */
export function requestsIn(text: string): number | null {
  const pattern =
    /^(?:vllm:num_requests_(?:running|waiting)|sglang:num_(?:running|queue)_reqs)(?:\{[^}]*\})? ([\d.e+-]+)$/gm;
  let sum: number | null = null;
  for (const [, value] of text.matchAll(pattern)) sum = (sum ?? 0) + Number(value);
  return sum;
}
