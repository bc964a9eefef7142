/** What a grounded answer says about where it comes from: sources, annotations, tokens of the passages apart. */
import type { GroundPassage } from '@tollgate/shared/contracts/retrieval';

/** What became of grounding a request; stands on the request from then on. */
export interface Grounding {
  passages: readonly GroundPassage[];
  citations: boolean;
  /** Tokens of the question's vector: billed as a request of its own. */
  embeddingTokens: number;
  /** Bytes that grounding added to the prompt, of how many in all: for the share of its tokens. */
  addedBytes: number;
  promptBytes: number;
  /** What a stream has told so far: text by choice, and how its chunks begin. It outlives a change of workers. */
  told: { texts: string[]; head: { id: string; created: number; model: string } | null };
}

export interface Source {
  index: number;
  vector_store_id: string;
  file_id: string;
  filename: string;
  heading: string;
  place: string;
  chunk: number;
  score: number;
  attributes: Record<string, string | number | boolean>;
  content: { type: 'text'; text: string }[];
}

export function sourcesOf({ passages }: Grounding): Source[] {
  return passages.map((passage, i) => ({
    index: i + 1,
    vector_store_id: passage.vector_store_id,
    file_id: passage.file_id,
    filename: passage.filename,
    heading: passage.heading,
    place: passage.place,
    chunk: passage.chunk,
    score: passage.score,
    attributes: passage.attributes,
    content: [{ type: 'text', text: passage.text }],
  }));
}

/** Each `[n]` of the text that names a passage, in OpenAI's shape of a file citation. Positions count UTF-16 units. */
export function annotationsOf(text: string, { passages, citations }: Grounding): object[] {
  if (!citations) return [];
  const found: object[] = [];
  for (const match of text.matchAll(/\[(\d{1,3})\]/g)) {
    const passage = passages[Number(match[1]) - 1];
    if (passage === undefined) continue;
    found.push({
      type: 'file_citation',
      text: match[0],
      start_index: match.index,
      end_index: match.index + match[0].length,
      file_citation: { file_id: passage.file_id, filename: passage.filename, index: Number(match[1]) },
    });
  }
  return found;
}

/** Share of the prompt's tokens that the passages made; an engine counts the prompt as one. */
export function groundingTokens(promptTokens: number, { addedBytes, promptBytes }: Grounding): number {
  if (promptBytes === 0) return 0;
  return Math.min(promptTokens, Math.round((promptTokens * addedBytes) / promptBytes));
}

const USAGE =
  /"prompt_tokens":(\d+),"completion_tokens":\d+,"total_tokens":\d+,"prompt_tokens_details":\{"cached_tokens":\d+/g;

/** Usage as the router writes it, with the grounding tokens beside the cached ones. */
export function withGroundingTokens(text: string, grounding: Grounding): string {
  return text.replace(USAGE, (usage, prompt: string) => {
    const tokens = groundingTokens(Number(prompt), grounding);
    return `${usage},"grounding_tokens":${tokens},"grounding_embedding_tokens":${grounding.embeddingTokens}`;
  });
}
