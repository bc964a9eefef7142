/** `rag_params` of a chat request: what it may say, checked before anything is asked or charged. */
import {
  GROUND_DEFAULTS,
  GROUND_LIMITS,
  RETRIEVAL_MODES,
  type RetrievalMode,
} from '@tollgate/shared/contracts/retrieval';
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isAbsent,
  type JsonObject,
  missing,
  unsupported,
} from '../contract/checks.ts';

export interface RagParams {
  vectorStoreIds: readonly string[];
  topK: number;
  scoreThreshold: number;
  /** As the client wrote it; retrieval checks it. */
  filters: unknown;
  maxContextTokens: number;
  mode: RetrievalMode;
  /** Whether the model is asked to cite, and where it did is told as annotations. */
  citations: boolean;
}

const KNOWN = new Set([
  'collections',
  'vector_store_ids',
  'top_k',
  'score_threshold',
  'filters',
  'max_context_tokens',
  'mode',
  'citations',
]);

/** Null and absent: off. Throws ParameterError with the path of the field. */
export function readRagParams(value: unknown): RagParams | null {
  if (isAbsent(value)) return null;
  const raw = checkObject('rag_params', value);
  for (const name of Object.keys(raw)) {
    if (!KNOWN.has(name)) throw unsupported(`rag_params.${name.slice(0, 64)}`, 'It is not known here.');
  }
  const number = (name: string, read: (path: string, given: unknown) => number, otherwise: number): number =>
    isAbsent(raw[name]) ? otherwise : read(`rag_params.${name}`, raw[name]);
  return {
    vectorStoreIds: readIds(raw),
    topK: number(
      'top_k',
      (path, given) => checkInteger(path, given, { min: 1, max: GROUND_LIMITS.topK }),
      GROUND_DEFAULTS.topK,
    ),
    scoreThreshold: number('score_threshold', (path, given) => checkNumber(path, given, { min: 0, max: 1 }), 0),
    filters: isAbsent(raw.filters) ? null : checkObject('rag_params.filters', raw.filters),
    maxContextTokens: number(
      'max_context_tokens',
      (path, given) => checkInteger(path, given, { min: 1, max: GROUND_LIMITS.contextTokens }),
      GROUND_DEFAULTS.contextTokens,
    ),
    mode: isAbsent(raw.mode) ? GROUND_DEFAULTS.mode : checkOneOf('rag_params.mode', raw.mode, RETRIEVAL_MODES),
    citations: isAbsent(raw.citations) ? true : checkBoolean('rag_params.citations', raw.citations),
  };
}

/** `collections` and `vector_store_ids` are two names of one thing. */
function readIds(raw: JsonObject): string[] {
  const name = isAbsent(raw.vector_store_ids) ? 'collections' : 'vector_store_ids';
  if (name === 'vector_store_ids' && !isAbsent(raw.collections)) {
    throw invalid('rag_params.collections', "it cannot be given together with 'vector_store_ids'.");
  }
  if (isAbsent(raw[name])) throw missing('rag_params.vector_store_ids');
  const path = `rag_params.${name}`;
  return checkArray(path, raw[name], 1, GROUND_LIMITS.collections).map((id, i) => {
    const text = checkString(`${path}[${i}]`, id, 64);
    if (!/^[A-Za-z0-9_-]+$/.test(text)) throw invalid(`${path}[${i}]`, 'it is not the id of a collection.');
    return text;
  });
}
