/** The requests of the bench: one model, three sizes, many accounts. */
import { requestText } from './wire.ts';

export const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
const PATH = '/v1/chat/completions';
/** Replaced by the load generator with a number of its own where requests must be told apart. */
const MARK = 'mark-########';

export interface Shape {
  /** Bytes of the body, about. */
  bytes: number;
  stream: boolean;
  maxTokens?: number;
}

/** A body of about `bytes` bytes: a system message and a user's text. */
export function chatBody({ bytes, stream, maxTokens = 128 }: Shape): string {
  const words = 'Explain how a router picks the worker that will answer soonest, and why. ';
  const build = (text: string) =>
    JSON.stringify({
      model: MODEL,
      messages: [
        { role: 'system', content: 'You are a helpful assistant.' },
        { role: 'user', content: `${MARK} ${text}` },
      ],
      max_tokens: maxTokens,
      temperature: 0.7,
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    });
  const room = Math.max(0, bytes - build('').length);
  return build(words.repeat(Math.ceil(room / words.length)).slice(0, room));
}

/** One request per key, so that a run spreads over accounts as real traffic does. `more`: headers that a gateway needs. */
export function chatRequests(
  keys: readonly string[],
  shape: Shape,
  more: Readonly<Record<string, string>> = {},
): string[] {
  const body = chatBody(shape);
  return keys.map((key) =>
    requestText({
      path: PATH,
      headers: {
        authorization: `Bearer ${key}`,
        accept: shape.stream ? 'text/event-stream' : 'application/json',
        ...more,
      },
      body,
    }),
  );
}
