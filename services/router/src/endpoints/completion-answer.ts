/** Reads a worker's plain text completion: counts, finish reasons, and the body that the client gets. */
import type { WireUsage } from '@tollgate/shared/contracts/openai/chat';
import type { AnswerChecks } from '../answer-form.ts';
import { AnswerCheck } from '../relay/answer-check.ts';
import type { PlainAnswer } from '../relay/plain-answer.ts';
import { finalCounts, openAiUsage } from '../relay/token-counts.ts';
import type { Violation } from '../schema-gate/validate.ts';

interface WireTextChoice {
  index?: number;
  text?: string;
  finish_reason?: string | null;
  stop_reason?: string | number | null;
  matched_stop?: string | number | null;
}

interface WireTextCompletion {
  choices?: WireTextChoice[];
  usage?: WireUsage | null;
}

/** What engines add to OpenAI's shape. */
const ANSWER_FIELDS = ['kv_transfer_params', 'ec_transfer_params', 'metrics', 'metadata', 'service_tier'];
const CHOICE_FIELDS = [
  ...['stop_reason', 'matched_stop', 'token_ids', 'prompt_logprobs', 'prompt_token_ids', 'routed_experts'],
];

/** null when the bytes are not a text completion, or the worker gave up a choice itself. */
export function readPlainCompletion(body: Buffer, checks: AnswerChecks | null): PlainAnswer | null {
  let parsed: WireTextCompletion;
  try {
    parsed = JSON.parse(body.toString('utf8')) as WireTextCompletion;
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || !Array.isArray(parsed.choices)) return null;
  const check = checks === null ? null : new AnswerCheck(checks);
  const finishReasons: (string | null)[] = [];
  let violation: Violation | null = null;
  let characters = 0;
  for (const [i, choice] of parsed.choices.entries()) {
    if (typeof choice.text !== 'string' || choice.finish_reason === 'abort') return null;
    characters += choice.text.length;
    if (choice.finish_reason === 'repetition') choice.finish_reason = 'length';
    if (check !== null && typeof choice.finish_reason === 'string') {
      check.push(i, choice.text);
      const verdict = check.finish(i, choice.finish_reason, choice.stop_reason ?? choice.matched_stop);
      if (verdict.kind === 'cut') choice.finish_reason = 'length';
      if (verdict.kind === 'invalid') violation ??= verdict.violation;
    }
    finishReasons.push(choice.finish_reason ?? null);
    for (const name of CHOICE_FIELDS) delete (choice as Record<string, unknown>)[name];
  }
  for (const name of ANSWER_FIELDS) delete (parsed as Record<string, unknown>)[name];
  const counts = finalCounts(parsed.usage);
  if (counts !== null) parsed.usage = openAiUsage(counts);
  const text = Buffer.from(JSON.stringify(parsed)).toString('latin1');
  return { counts, finishReasons, guessedTokens: Math.ceil(characters / 4), violation, body: text };
}
