/**
 * Arguments of streamed tool calls, gathered so that a call cut at the output limit is not passed as a finished one:
 * a real vLLM ends it with `finish_reason:"tool_calls"` and half a document (facts/real-engine.md 3.3).
 */
import type { WireToolCall } from '@tollgate/shared/contracts/openai/chat';

export class ToolArguments {
  private readonly calls = new Map<string, string>();

  add(choice: number, calls: readonly WireToolCall[]): void {
    for (const call of calls) {
      const key = `${choice}:${call.index ?? 0}`;
      this.calls.set(key, (this.calls.get(key) ?? '') + (call.function?.arguments ?? ''));
    }
  }

  /**
   * Whether every call of the choice has whole arguments. None at all count as whole (a tool without parameters)
   * unless the output limit was reached.
   */
  areWhole(choice: number, limitReached: boolean): boolean {
    const prefix = `${choice}:`;
    for (const [key, text] of this.calls) {
      if (!key.startsWith(prefix)) continue;
      if (text.trim() === '' ? limitReached : !isJson(text)) return false;
    }
    return true;
  }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
