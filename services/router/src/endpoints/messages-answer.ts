/** Answers of Anthropic's messages API as vLLM writes them: the finished message, and the events of a stream. */
import type { PlainAnswer } from '../relay/plain-answer.ts';
import { finalCounts, type TokenCounts } from '../relay/token-counts.ts';
import type { EventMeaning, EventProtocol } from '../relay/typed-reader.ts';
import { errorOf } from './responses-answer.ts';

interface WireUsage {
  input_tokens?: number;
  output_tokens?: number;
  cache_read_input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
}

interface WireMessage {
  type?: string;
  content?: { type?: string; text?: string; thinking?: string }[];
  stop_reason?: string | null;
  usage?: WireUsage;
}

/** Anthropic's stop reasons as the rest of the product knows them. */
const FINISH: Record<string, string> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

/**
 * vLLM's `input_tokens` are all tokens of the prompt. Anthropic's own are those that no cache held: so where more was
 * read from the cache than the input is said to be, the parts are added up.
 */
export function messageCounts(usage: WireUsage | undefined, promptTokens: number | null): TokenCounts | null {
  const input = usage?.input_tokens;
  const output = usage?.output_tokens;
  if (input === undefined || output === undefined) return null;
  const cached = usage?.cache_read_input_tokens ?? 0;
  const apart = input + cached + (usage?.cache_creation_input_tokens ?? 0);
  const prompt = promptTokens ?? (cached > input ? apart : input);
  return finalCounts({
    prompt_tokens: prompt,
    completion_tokens: output,
    prompt_tokens_details: { cached_tokens: Math.min(cached, prompt) },
  });
}

export function readPlainMessage(body: Buffer): PlainAnswer | null {
  let parsed: WireMessage & Record<string, unknown>;
  try {
    parsed = JSON.parse(body.toString('utf8')) as WireMessage & Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || parsed.type !== 'message') return null;
  const reason = FINISH[parsed.stop_reason ?? ''];
  if (reason === undefined || !Array.isArray(parsed.content)) return null;
  delete parsed.kv_transfer_params;
  parsed.stop_sequence ??= null;
  const characters = parsed.content.reduce((sum, { text, thinking }) => sum + (text ?? thinking ?? '').length, 0);
  return {
    counts: messageCounts(parsed.usage, null),
    finishReasons: [reason],
    guessedTokens: Math.ceil(characters / 4),
    violation: null,
    body: Buffer.from(JSON.stringify(parsed)).toString('latin1'),
  };
}

export function messageEvents(): EventProtocol {
  let promptTokens: number | null = null;
  return {
    closesWhenCounted: false,
    read(type, data): EventMeaning {
      switch (type) {
        case 'message_start': {
          const { usage } = data().message as WireMessage;
          if (usage?.input_tokens === undefined) return { kind: 'other' };
          promptTokens = usage.input_tokens;
          return { kind: 'started', promptTokens };
        }
        case 'content_block_delta':
          return { kind: 'piece', characters: deltaLength(data().delta) };
        case 'message_delta': {
          const { delta, usage } = data() as { delta?: { stop_reason?: string | null }; usage?: WireUsage };
          const counts = messageCounts(usage, promptTokens);
          const finishReason = FINISH[delta?.stop_reason ?? ''];
          if (counts === null || finishReason === undefined) throw new Error('no counts');
          return { kind: 'counted', counts, finishReason };
        }
        case 'message_stop':
          return { kind: 'closed' };
        case 'error':
          return { kind: 'failed', error: errorOf(data()) };
        default:
          return { kind: 'other' };
      }
    },
  };
}

function deltaLength(delta: unknown): number {
  const { text, thinking, partial_json: json } = (delta ?? {}) as Record<string, unknown>;
  const written = text ?? thinking ?? json;
  return typeof written === 'string' ? written.length : 0;
}
