/**
 * The chunk that ends a choice. OpenAI's has an empty delta; vLLM and SGLang may put the text of the last token beside
 * the finish reason. Text is latin1: JSON is read and written as it stands, every character above ASCII stays a byte.
 */
import type { WireStreamChunk } from '@tollgate/shared/contracts/openai/chat';

/** What of the event is text or calls, as an event of its own ('' = nothing), and the end with `"delta":{}`. */
export function apartFromEnd(event: string): [text: string, end: string] {
  let chunk: WireStreamChunk;
  try {
    chunk = JSON.parse(event.slice('data: '.length)) as WireStreamChunk;
  } catch {
    return ['', event];
  }
  const [choice, ...others] = chunk.choices ?? [];
  // Engines end one choice per chunk.
  if (choice === undefined || others.length > 0) return ['', event];
  const { delta = {} } = choice;
  const end = { ...chunk, choices: [{ ...choice, delta: {}, ...('logprobs' in choice ? { logprobs: null } : {}) }] };
  const isEmpty = Object.values(delta).every((value) => value === null || value === '');
  const text = isEmpty ? '' : sse({ ...chunk, choices: [{ ...choice, finish_reason: null }] });
  return [text, sse(end)];
}

const sse = (chunk: object): string => `data: ${JSON.stringify(chunk)}\n\n`;
