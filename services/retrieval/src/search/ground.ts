/**
 * What the router asks for a grounded request: the passages that fit into the token budget, in an order that does not
 * depend on scores, so that the same passages make the same prompt and prefix caches hit.
 */
import type { GroundAnswer, GroundPassage } from '@tollgate/shared/contracts/retrieval';
import type { FoundPassage } from './search.ts';

/** Best first while they fit; one that is too long is passed over, shorter ones after it may still fit. */
export function choosePassages(found: readonly FoundPassage[], maxTokens: number): FoundPassage[] {
  const chosen: FoundPassage[] = [];
  let left = maxTokens;
  for (const passage of found) {
    const cost = passage.tokens + OVERHEAD_TOKENS;
    if (cost > left) continue;
    chosen.push(passage);
    left -= cost;
  }
  return chosen.sort(inDocumentOrder);
}

/** Number, name and place of a passage in the prompt, roughly. */
const OVERHEAD_TOKENS = 24;

function inDocumentOrder(a: FoundPassage, b: FoundPassage): number {
  if (a.storeId !== b.storeId) return a.storeId < b.storeId ? -1 : 1;
  if (a.fileId !== b.fileId) return a.fileId < b.fileId ? -1 : 1;
  return a.seq - b.seq;
}

export function groundAnswer(passages: readonly FoundPassage[], embeddingTokens: number): GroundAnswer {
  return { passages: passages.map(shown), embedding_tokens: embeddingTokens };
}

function shown(passage: FoundPassage): GroundPassage {
  return {
    vector_store_id: passage.storeId,
    file_id: passage.fileId,
    filename: passage.filename,
    chunk: passage.seq,
    heading: passage.heading,
    place: passage.place,
    text: passage.text,
    score: Math.round(passage.score * 10_000) / 10_000,
    attributes: passage.attributes,
  };
}
