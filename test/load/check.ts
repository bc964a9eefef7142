/** Whether a gateway passes on what the upstream says, before anything of it is measured. */
import { PLAIN_CONTENT, streamContent, USAGE } from './canned.ts';
import type { Subject } from './subjects.ts';
import { chatBody } from './traffic.ts';

/** What a fresh upstream streams. */
const CHUNKS = 100;
const LIMIT_MS = 20_000;

/** Null when a plain and a streamed answer come whole, with their text and usage; else what is wrong, in one line. */
export async function wrongAnswer(subject: Subject): Promise<string | null> {
  for (const stream of [false, true]) {
    try {
      const response = await fetch(`http://127.0.0.1:${subject.port}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${subject.keys[0]}`,
          // Not kept: nothing of the check is open when the measuring begins.
          connection: 'close',
          ...subject.headers,
        },
        body: chatBody({ bytes: 1000, stream }),
        signal: AbortSignal.timeout(LIMIT_MS),
      });
      const text = await response.text();
      const what = stream ? 'a streamed request' : 'a plain request';
      if (response.status !== 200) return `${what}: status ${response.status} ${text.slice(0, 200)}`;
      const wrong = stream ? wrongStream(text) : wrongPlain(text);
      if (wrong !== null) return `${what}: ${wrong}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
  return null;
}

export function wrongPlain(text: string): string | null {
  const body = JSON.parse(text);
  if (body.choices?.[0]?.message?.content !== PLAIN_CONTENT) return `another text: ${text.slice(0, 200)}`;
  if (body.usage?.completion_tokens !== USAGE.completion_tokens) return 'no usage, or another';
  return null;
}

export function wrongStream(text: string, chunks = CHUNKS): string | null {
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  if (events.at(-1) !== 'data: [DONE]') return `no [DONE] at the end: ${text.slice(-200)}`;
  let content = '';
  let completionTokens = 0;
  for (const event of events.slice(0, -1)) {
    const chunk = JSON.parse(event.slice(6));
    content += chunk.choices?.[0]?.delta?.content ?? '';
    completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
  }
  if (content !== streamContent(chunks)) return `another text: ${content.slice(0, 100)}`;
  return completionTokens === chunks ? null : 'no usage, or another';
}
