import type { WireUsage } from '@tollgate/shared/contracts/openai/chat';

/** What the engine said so far of one answer's tokens. */
export interface TokenCounts {
  promptTokens: number | null;
  /** Only the last usage of an answer tells it. */
  cachedTokens: number | null;
  completionTokens: number;
  reasoningTokens: number;
  /** The engine's closing count, not one of a running stream. */
  final: boolean;
  /** A part of it nobody counted: an engine that tells no counts while it streams died in the middle. */
  isGuess?: boolean;
}

export const NO_COUNTS: Readonly<TokenCounts> = {
  promptTokens: null,
  cachedTokens: null,
  completionTokens: 0,
  reasoningTokens: 0,
  final: false,
};

/** Counts of an engine's closing usage; null when it is not usable for a bill. */
export function finalCounts(usage: WireUsage | null | undefined): TokenCounts | null {
  const prompt = usage?.prompt_tokens;
  const completion = usage?.completion_tokens ?? 0;
  if (!isCount(prompt) || !isCount(completion)) return null;
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  const reasoning = usage?.completion_tokens_details?.reasoning_tokens ?? usage?.reasoning_tokens ?? 0;
  return {
    promptTokens: prompt,
    cachedTokens: isCount(cached) ? Math.min(cached, prompt) : 0,
    completionTokens: completion,
    reasoningTokens: isCount(reasoning) ? Math.min(reasoning, completion) : 0,
    final: true,
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Counts as OpenAI writes them. */
export function openAiUsage({ promptTokens, cachedTokens, completionTokens, reasoningTokens }: TokenCounts): WireUsage {
  return {
    prompt_tokens: promptTokens ?? 0,
    completion_tokens: completionTokens,
    total_tokens: (promptTokens ?? 0) + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}
