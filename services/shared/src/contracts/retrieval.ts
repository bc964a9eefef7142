/** What router and retrieval say to each other: `POST /internal/ground` (service token). */

export type RetrievalMode = 'hybrid' | 'vector' | 'text';
export const RETRIEVAL_MODES = ['hybrid', 'vector', 'text'] as const satisfies readonly RetrievalMode[];

/** Bounds of `rag_params`, the same on both sides. */
export const GROUND_LIMITS = { collections: 8, topK: 50, contextTokens: 32_000, questionChars: 8_000 } as const;
export const GROUND_DEFAULTS = { topK: 8, contextTokens: 2_000, mode: 'hybrid' as RetrievalMode } as const;

export interface GroundRequest {
  vector_store_ids: readonly string[];
  question: string;
  mode: RetrievalMode;
  top_k: number;
  score_threshold: number;
  /** As the client wrote it; retrieval checks it. */
  filters: unknown;
  max_context_tokens: number;
  /** Pays for the question's vector. */
  acting_key: string;
}

export interface GroundPassage {
  vector_store_id: string;
  file_id: string;
  filename: string;
  /** Number of the chunk within its file, from 0. */
  chunk: number;
  heading: string;
  place: string;
  text: string;
  /** 0 to 1. */
  score: number;
  attributes: Record<string, string | number | boolean>;
}

export interface GroundAnswer {
  /** In the order of document and place, not of score. */
  passages: GroundPassage[];
  embedding_tokens: number;
}
