/**
 * Arguments of streamed tool calls, gathered so that a call cut at the output limit is not passed as a finished one:
 * a real vLLM ends it with `finish_reason:"tool_calls"` and half a document (facts/real-engine.md 3.3).
 */
import type { WireToolCall } from '@tollgate/shared/contracts/openai/chat';
import type { Violation } from '../schema-gate/validate.ts';
import type { AnswerCheck } from './answer-check.ts';

export type CallsVerdict = { kind: 'whole' } | { kind: 'cut' } | { kind: 'invalid'; violation: Violation };

export class ToolArguments {
  private readonly calls = new Map<string, { name: string; text: string }>();

  add(choice: number, calls: readonly WireToolCall[]): void {
    for (const { index, function: fn } of calls) {
      const key = `${choice}:${index ?? 0}`;
      let call = this.calls.get(key);
      if (call === undefined) {
        call = { name: '', text: '' };
        this.calls.set(key, call);
      }
      call.name ||= fn?.name ?? '';
      call.text += fn?.arguments ?? '';
    }
  }

  /** Whether the choice has any call. */
  has(choice: number): boolean {
    const prefix = `${choice}:`;
    for (const key of this.calls.keys()) if (key.startsWith(prefix)) return true;
    return false;
  }

  /**
   * Whether every call of the choice has whole arguments that its tool allows. None at all count as whole (a tool
   * without parameters) unless the output limit was reached.
   */
  judge(choice: number, limitReached: boolean, check: AnswerCheck | null): CallsVerdict {
    const prefix = `${choice}:`;
    for (const [key, { name, text }] of this.calls) {
      if (!key.startsWith(prefix)) continue;
      const verdict = text.trim() === '' && !limitReached ? WHOLE : judgeArguments(name, text, check);
      if (verdict.kind !== 'whole') return verdict;
    }
    return WHOLE;
  }
}

const WHOLE: CallsVerdict = { kind: 'whole' };

/**
 * The model wrote a call that the worker's parser could not read (a raw control character in a string is enough): vLLM then passes
 * the model's own words on as text, with a finish reason as if all were well (seen on 0.29 with tools that must be called).
 */
export const UNREAD_CALL: Violation = {
  pointer: '',
  keyword: 'tool_calls',
  message: 'the model wrote a tool call that cannot be read',
};
/** How a call begins in the model's own words. */
export const CALL_MARK = '<tool_call>';
const HUGE: Violation = { pointer: '', keyword: 'number', message: 'a number is too large' };

export function judgeArguments(name: string, text: string, check: AnswerCheck | null): CallsVerdict {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'cut' };
  }
  if (!allFinite(value)) return { kind: 'invalid', violation: HUGE };
  const verdict = check?.toolCall(name, text);
  return verdict?.kind === 'invalid' ? verdict : WHOLE;
}

/** False when a number is one that JavaScript reads as Infinity, such as the `784e243551` of a grammar without bounds. */
function allFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(allFinite);
}
