/** Reads a worker's plain (not streamed) chat answer: counts, finish reasons, and the body that the client gets. */
import type { WireCompletion } from '@tollgate/shared/contracts/openai/chat';
import { finalCounts, type TokenCounts } from './token-counts.ts';
import { isJson } from './tool-arguments.ts';

export interface PlainAnswer {
  counts: TokenCounts | null;
  finishReasons: (string | null)[];
  /** From the length of the text, when the engine told no counts. */
  guessedTokens: number;
  /** latin1 text, one character per byte: the HTTP server writes head and text at once. */
  body: string;
}

/** null when the bytes are not a completion. A choice that the worker aborted makes the whole answer unusable too. */
export function readPlainAnswer(body: Buffer): PlainAnswer | null {
  let parsed: WireCompletion;
  try {
    parsed = JSON.parse(body.toString('utf8')) as WireCompletion;
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || !Array.isArray(parsed.choices)) return null;
  let healed = false;
  const finishReasons: (string | null)[] = [];
  for (const choice of parsed.choices) {
    if (choice.finish_reason === 'abort') return null;
    const honest = honestReason(choice);
    if (honest !== choice.finish_reason) {
      choice.finish_reason = honest;
      healed = true;
    }
    finishReasons.push(honest ?? null);
  }
  return {
    counts: finalCounts(parsed.usage),
    finishReasons,
    guessedTokens: Math.ceil(textLength(parsed) / 4),
    body: (healed ? Buffer.from(JSON.stringify(parsed)) : body).toString('latin1'),
  };
}

function textLength({ choices = [] }: WireCompletion): number {
  let length = 0;
  for (const { message } of choices) {
    length += message?.content?.length ?? 0;
    for (const call of message?.tool_calls ?? []) length += call.function?.arguments?.length ?? 0;
  }
  return length;
}

function honestReason(choice: NonNullable<WireCompletion['choices']>[number]): string | null | undefined {
  const reason = choice.finish_reason;
  if (reason === 'repetition') return 'length';
  const calls = choice.message?.tool_calls ?? [];
  const whole = calls.every((call) => !call.function?.arguments || isJson(call.function.arguments));
  return whole ? reason : 'length';
}
