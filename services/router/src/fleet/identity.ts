/** What a worker says about itself: which engine, which version, which models with how much context. */
import type { Engine } from '@tollgate/shared/domain/worker';
import type { EngineDialect } from '../schema-gate/dialect.ts';

export interface ServedModel {
  id: string;
  /** Tokens of prompt and answer together; null when it does not say. */
  maxModelLen: number | null;
}

/** Reads `GET /v1/models`. `engine` is null when the list does not tell. Throws when it is no list. */
export function readModels(text: string): { models: ServedModel[]; engine: Engine | null } {
  const { data } = JSON.parse(text) as { data?: { id?: unknown; max_model_len?: unknown; owned_by?: unknown }[] };
  const models: ServedModel[] = [];
  let engine: Engine | null = null;
  for (const { id, max_model_len: context, owned_by: owner } of data ?? []) {
    if (owner === 'vllm' || owner === 'sglang') engine = owner;
    if (typeof id === 'string') models.push({ id, maxModelLen: typeof context === 'number' ? context : null });
  }
  return { models, engine };
}

/** Where each engine tells its version. */
export const VERSION_PATHS: Record<Engine, string> = { vllm: '/version', sglang: '/server_info' };

/** What is assumed of an engine that does not tell its version: the floor that operators are told. */
const UNKNOWN: Record<Engine, readonly [number, number]> = { vllm: [0, 29], sglang: [0, 5] };
/** The first vLLM with XGrammar 0.2. */
const VLLM_XGRAMMAR_02 = 20;

/** The dialect of an engine by the answer of its version route; `text` may be anything. */
export function dialectOf(engine: Engine, text: string): EngineDialect {
  const found = /"version"\s*:\s*"v?(\d{1,4})\.(\d{1,4})/.exec(text);
  const version = found === null ? UNKNOWN[engine] : ([Number(found[1]), Number(found[2])] as const);
  const old = engine === 'vllm' && version[0] === 0 && version[1] < VLLM_XGRAMMAR_02;
  return { engine, version, xgrammar: old ? '0.1' : '0.2' };
}
