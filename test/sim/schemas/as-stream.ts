/** A document as a worker streams it, read as the router reads it. */
import type { AnswerChecks } from '@tollgate/router/answer-form';
import { StreamReader } from '@tollgate/router/relay/stream-reader';
import type { DocumentCheck } from '@tollgate/router/schema-gate/validate';

/** Characters of one delta: some documents are cut inside escapes, names and numbers. */
const DELTA_CHARS = 7;

const event = (delta: object, reason: string | null): string =>
  `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;

/** `complete`: the client got the finish reason `stop` and `[DONE]`; `refused`: it gets an error event in their place. */
export function asStream(document: DocumentCheck | null, text: string): { complete: boolean; refused: boolean } {
  const checks: AnswerChecks = { document, constrained: true, json: true, tools: new Map(), onInvalid: 'error' };
  const shape = { sglang: false, reasoningField: 'reasoning' } as const;
  const reader = new StreamReader({ usage: 'hidden', choices: 1, hasTools: false, maxTokens: 100_000, checks, shape });
  const characters = [...text];
  const events = [event({ role: 'assistant', content: '' }, null)];
  for (let at = 0; at < characters.length; at += DELTA_CHARS)
    events.push(event({ content: characters.slice(at, at + DELTA_CHARS).join('') }, null));
  events.push(event({}, 'stop'), 'data: [DONE]\n\n');
  const given = events.map((each) => reader.push(Buffer.from(each))).join('') + reader.last;
  const complete = given.includes('"finish_reason":"stop"') && given.endsWith('data: [DONE]\n\n');
  return { complete, refused: reader.fault?.kind === 'invalid_output' || reader.fault?.kind === 'runaway' };
}
