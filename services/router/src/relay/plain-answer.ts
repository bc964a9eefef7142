/** Reads a worker's plain (not streamed) chat answer: counts, finish reasons, and the body that the client gets. */
import type { WireChoice, WireCompletion, WireMessage } from '@tollgate/shared/contracts/openai/chat';
import type { AnswerChecks } from '../answer-form.ts';
import type { Violation } from '../schema-gate/validate.ts';
import { AnswerCheck } from './answer-check.ts';
import { type ChunkShape, cleanText } from './chunk-shape.ts';
import { finalCounts, openAiUsage, type TokenCounts } from './token-counts.ts';
import { CALL_MARK, judgeArguments, UNREAD_CALL } from './tool-arguments.ts';

export interface PlainAnswer {
  counts: TokenCounts | null;
  finishReasons: (string | null)[];
  /** From the length of the text, when the engine told no counts. */
  guessedTokens: number;
  /** A finished document that breaks its schema; the answer must not be passed on. */
  violation: Violation | null;
  /** latin1 text, one character per byte: the HTTP server writes head and text at once. */
  body: string;
}

/** What engines add to OpenAI's shape, and what they write as null or empty where OpenAI writes nothing. */
const ANSWER_FIELDS = [
  'prompt_logprobs',
  'prompt_token_ids',
  'prompt_text',
  'kv_transfer_params',
  'ec_transfer_params',
  'metrics',
  'metadata',
  'sglext',
];
const SERVICE_TIER = ['service_tier'];
const CHOICE_FIELDS = ['stop_reason', 'matched_stop', 'token_ids', 'routed_experts'];
const CALL_FIELDS = ['index'];
const THOUGHT_FIELDS = ['reasoning', 'reasoning_content'];
const EMPTY_FIELDS = ['annotations', 'audio', 'function_call', 'reasoning', 'reasoning_content', 'tool_calls'];

export interface PlainOptions {
  checks: AnswerChecks | null;
  shape: ChunkShape;
  hasTools: boolean;
}

/** null when the bytes are not a completion. A choice that the worker aborted makes the whole answer unusable too. */
export function readPlainAnswer(body: Buffer, { checks, shape, hasTools }: PlainOptions): PlainAnswer | null {
  let parsed: WireCompletion;
  try {
    parsed = JSON.parse(body.toString('utf8')) as WireCompletion;
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || !Array.isArray(parsed.choices)) return null;
  const check = checks === null ? null : new AnswerCheck(checks);
  const counts = finalCounts(parsed.usage);
  const finishReasons: (string | null)[] = [];
  let violation: Violation | null = null;
  for (const [i, choice] of parsed.choices.entries()) {
    if (choice.finish_reason === 'abort') return null;
    if (check !== null && isMisplaced(choice)) return null;
    if (choice.message?.content) choice.message.content = cleanContent(choice.message.content, hasTools, choice);
    const judged = isUnreadCall(choice, hasTools) ? UNREAD_CALL : judge(choice, choice.index ?? i, check);
    if (typeof judged === 'object' && judged !== null) violation ??= judged;
    else if (judged !== undefined) choice.finish_reason = judged;
    finishReasons.push(choice.finish_reason ?? null);
    drop(choice, CHOICE_FIELDS);
    if (choice.message) shapeMessage(choice.message, shape);
  }
  const guessedTokens = Math.ceil(textLength(parsed) / 4);
  drop(parsed, ANSWER_FIELDS);
  if (counts !== null) parsed.usage = openAiUsage(counts);
  if (parsed.service_tier === null) drop(parsed, SERVICE_TIER);
  // SGLang has none; contracts list the field.
  parsed.system_fingerprint ??= null;
  return { counts, finishReasons, guessedTokens, violation, body: asBytes(JSON.stringify(parsed)) };
}

/** UTF-8 with one character per byte. */
function asBytes(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1');
}

function textLength({ choices = [] }: WireCompletion): number {
  let length = 0;
  for (const { message } of choices) {
    length += message?.content?.length ?? 0;
    for (const call of message?.tool_calls ?? []) length += call.function?.arguments?.length ?? 0;
  }
  return length;
}

/** With thinking off the whole document came as a thought: a known fault of workers, another one may do better. */
function isMisplaced({ message, finish_reason: reason }: WireChoice): boolean {
  if (reason !== 'stop' || !message || message.content || (message.tool_calls ?? []).length > 0) return false;
  return Boolean(message.reasoning ?? message.reasoning_content);
}

/** A call cut by the output limit comes as raw text of the model's own form; nobody can read it (facts 3.3). */
function cleanContent(content: string, hasTools: boolean, { finish_reason: reason }: WireChoice): string | null {
  const at = hasTools && reason === 'length' ? content.indexOf('<tool_call>') : -1;
  return at === -1 ? cleanText(content) : cleanText(content.slice(0, at)) || null;
}

/** What says that it called tools, and did not. */
function isUnreadCall({ finish_reason: reason, message }: WireChoice, hasTools: boolean): boolean {
  if (!hasTools || (message?.tool_calls ?? []).length > 0) return false;
  return reason === 'tool_calls' || (reason === 'stop' && (message?.content ?? '').trimStart().startsWith(CALL_MARK));
}

/** The finish reason that is true, or why the choice must not be passed on. */
function judge(choice: WireChoice, index: number, check: AnswerCheck | null): string | null | undefined | Violation {
  const reason = choice.finish_reason;
  if (reason === 'repetition') return 'length';
  for (const { function: fn } of choice.message?.tool_calls ?? []) {
    if (!fn?.arguments) continue;
    const verdict = judgeArguments(fn.name ?? '', fn.arguments, check);
    if (verdict.kind === 'cut') return 'length';
    if (verdict.kind === 'invalid') return verdict.violation;
  }
  if (check === null || typeof reason !== 'string') return reason;
  check.push(index, choice.message?.content ?? '');
  const verdict = check.finish(index, reason, choice.stop_reason ?? choice.matched_stop);
  if (verdict.kind === 'cut') return 'length';
  return verdict.kind === 'invalid' ? verdict.violation : reason;
}

/** JSON leaves out what is undefined; an object that a field is deleted from becomes a slow one to read and to write. */
function drop(value: object, fields: readonly string[]): void {
  const record = value as Record<string, unknown>;
  for (const field of fields) if (record[field] !== undefined) record[field] = undefined;
}

function shapeMessage(message: WireMessage, { reasoningField }: ChunkShape): void {
  const thoughts = message.reasoning ?? message.reasoning_content ?? null;
  const record = message as Record<string, unknown>;
  for (const field of EMPTY_FIELDS) {
    const value = record[field];
    if (value === null || (Array.isArray(value) && value.length === 0)) record[field] = undefined;
  }
  for (const call of message.tool_calls ?? []) drop(call, CALL_FIELDS);
  message.refusal ??= null;
  if (thoughts === null) return;
  drop(message, THOUGHT_FIELDS);
  message[reasoningField] = thoughts;
}
