/** Who pays for what (MONEY.md section 6), as one pure function. */
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { AbsorbedCause, CountSource } from '@tollgate/shared/domain/usage';
import type { TokenCounts } from '../relay/token-counts.ts';

/** How the request ended, as far as money is concerned. */
export interface Ending {
  outcome: Outcome;
  stream: boolean;
  /** Sent to a worker. */
  dispatched: boolean;
  /** A byte of an answer went to the client. */
  answerStarted: boolean;
  counts: TokenCounts;
  promptBytes: number;
  /** Output tokens as guessed from what was passed on: used when the engine told none. */
  guessedTokens: number;
  /** Prompt tokens as the worker's tokenizer counts them, when it was asked (nobody else told). */
  tokenizedPrompt: number | null;
  abandonedTokens: number;
  /** Tokens that were made twice when the answer went on at another worker. */
  resumeTokens: number;
  /** Tokens of a first answer that broke its schema. */
  invalidTokens: number;
}

export type Bill =
  /** Nothing to pay. `tokensKept` stay charged to the token rate. */
  | { kind: 'void'; tokensKept: number }
  | {
      kind: 'bill';
      promptTokens: number;
      cachedTokens: number;
      completionTokens: number;
      reasoningTokens: number;
      source: CountSource;
      absorbed: Partial<Record<AbsorbedCause, number>>;
    };

const BYTES_PER_TOKEN = 4;

export function billOf(ending: Ending): Bill {
  switch (ending.outcome) {
    case 'served':
      return bill(ending, ending.counts.cachedTokens ?? 0);
    case 'client_gone':
    case 'slow_reader_cut':
      return billLeaver(ending);
    case 'worker_lost':
    case 'worker_error':
    case 'timed_out':
    case 'drained':
      // Ours to answer for: what was delivered is paid, the prompt at the cached price.
      return ending.answerStarted ? bill(ending, Number.MAX_SAFE_INTEGER) : { kind: 'void', tokensKept: 0 };
    default:
      return { kind: 'void', tokensKept: 0 };
  }
}

function billLeaver(ending: Ending): Bill {
  if (!ending.dispatched) return { kind: 'void', tokensKept: 0 };
  // Cached counts come only with the last chunk: without it the prompt is fresh.
  if (ending.answerStarted) return bill(ending, ending.counts.cachedTokens ?? 0);
  if (ending.stream) return { kind: 'void', tokensKept: promptTokensOf(ending).tokens };
  // A plain answer: the worker did the prompt; what it had written by then nobody saw, and it is absorbed.
  return bill({ ...ending, counts: { ...ending.counts, completionTokens: 0 }, guessedTokens: 0 }, 0);
}

function bill(ending: Ending, cachedTokens: number): Bill {
  const { counts } = ending;
  const prompt = promptTokensOf(ending);
  const unseen = counts.promptTokens === null;
  const completionTokens = unseen ? ending.guessedTokens : counts.completionTokens;
  return {
    kind: 'bill',
    promptTokens: prompt.tokens,
    cachedTokens: Math.min(cachedTokens, prompt.tokens),
    completionTokens,
    reasoningTokens: Math.min(counts.reasoningTokens, completionTokens),
    source: (unseen && ending.guessedTokens > 0) || counts.isGuess ? 'estimated' : prompt.source,
    absorbed: absorbedBy(ending),
  };
}

function absorbedBy({ abandonedTokens, resumeTokens, invalidTokens }: Ending): Partial<Record<AbsorbedCause, number>> {
  return {
    ...(abandonedTokens > 0 ? { retry: abandonedTokens } : {}),
    ...(resumeTokens > 0 ? { resume: resumeTokens } : {}),
    ...(invalidTokens > 0 ? { invalid_retry: invalidTokens } : {}),
  };
}

function promptTokensOf({ counts, tokenizedPrompt, promptBytes }: Ending): { tokens: number; source: CountSource } {
  if (counts.promptTokens !== null) return { tokens: counts.promptTokens, source: 'engine' };
  if (tokenizedPrompt !== null) return { tokens: tokenizedPrompt, source: 'engine' };
  return { tokens: Math.ceil(promptBytes / BYTES_PER_TOKEN), source: 'estimated' };
}

/** True when the prompt's tokens are wanted and nobody told them: worth asking the worker's tokenizer. */
export function wantsTokenizer({ outcome, dispatched, stream, answerStarted, counts }: Ending): boolean {
  const left = outcome === 'client_gone' || outcome === 'slow_reader_cut';
  return left && dispatched && counts.promptTokens === null && (!stream || answerStarted);
}
