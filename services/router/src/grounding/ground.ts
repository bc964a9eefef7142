/**
 * The step between validate and admit: passages are asked for, fenced, and put before the last question of the user. What
 * the client sent before it stays byte for byte what it was, so that prefix caches hit; the hold is bounded on the
 * result. No step of it changes Redis: a failure leaves nothing to give back.
 */

import { GROUND_LIMITS } from '@tollgate/shared/contracts/retrieval';
import { AppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { mintActingKey } from '@tollgate/shared/runtime/acting-key';
import type { Message } from '../contract/request.ts';
import type { AskRetrieval } from './client.ts';
import { fencePassages } from './fence.ts';
import type { RagParams } from './rag-params.ts';
import type { Grounding } from './sources.ts';

export interface GroundParts {
  /** Null: this router knows no retrieval service. */
  ask: AskRetrieval | null;
  serviceToken: string;
  /** For the names of fences. */
  secret: string;
  nowMs: () => number;
}

/** The part of a chat request that grounding reads and changes. */
export interface Groundable {
  messages: readonly Message[];
  rag?: RagParams | null;
  grounding?: Grounding | null;
}

const ACTING_MS = 30_000;

/** Sets `request.grounding` and puts the passages in. Throws 400, 402, 404, 503; nothing is held then. */
export async function groundRequest(request: Groundable, key: KeyRecord, parts: GroundParts): Promise<void> {
  const { rag } = request;
  if (!rag) return;
  if (parts.ask === null) {
    throw new AppError('unsupported_parameter', {
      param: 'rag_params',
      message: "Unsupported parameter: 'rag_params'. Retrieval is not switched on here.",
    });
  }
  const at = request.messages.findLastIndex(({ role }) => role === 'user');
  const question = at === -1 ? '' : textOf(request.messages[at]!).trim();
  if (question === '') {
    throw new AppError('invalid_request', {
      param: 'messages',
      message: "Invalid 'messages': 'rag_params' needs a message of the user with text.",
    });
  }
  const answer = await parts.ask(key, {
    vector_store_ids: rag.vectorStoreIds,
    // The end of a long message is where people put their question.
    question: question.slice(-GROUND_LIMITS.questionChars),
    mode: rag.mode,
    top_k: rag.topK,
    score_threshold: rag.scoreThreshold,
    filters: rag.filters,
    max_context_tokens: rag.maxContextTokens,
    acting_key: mintActingKey(key, parts.nowMs() + ACTING_MS, parts.serviceToken),
  });
  const { text } = fencePassages(answer.passages, rag.citations, parts.secret);
  const messages = [...request.messages];
  messages[at] = withText(messages[at]!, text);
  request.messages = messages;
  request.grounding = {
    passages: answer.passages,
    citations: rag.citations,
    embeddingTokens: answer.embedding_tokens,
    addedBytes: Buffer.byteLength(text),
    promptBytes: messages.reduce((sum, message) => sum + Buffer.byteLength(textOf(message)), 0),
    told: { texts: [], head: null },
  };
}

/** Titles are cut to three times 200 characters. */
const TITLE_BYTES = 1_800;
const RULES_BYTES = 1_000;
/** Quotes and line ends take two bytes in JSON. */
const ESCAPED = 2;

/** The most bytes that grounding can add to the messages' JSON: for a quote, which asks nobody. */
export function groundingBytesBound({ rag }: Pick<Groundable, 'rag'>): number {
  if (!rag) return 0;
  return ESCAPED * (rag.maxContextTokens * 4 + rag.topK * TITLE_BYTES + RULES_BYTES);
}

function textOf({ content }: Message): string {
  if (content === null) return '';
  return typeof content === 'string' ? content : content.map((part) => part.text).join('\n');
}

function withText(message: Message, text: string): Message {
  const { content } = message;
  if (Array.isArray(content)) return { ...message, content: [{ type: 'text', text }, ...content] };
  return { ...message, content: text + (content ?? '') };
}
