/** Answers of the responses API: the finished object, and the events of a stream. */
import type { WireError } from '@tollgate/shared/contracts/openai/chat';
import type { AnswerChecks } from '../answer-form.ts';
import type { PlainAnswer } from '../relay/plain-answer.ts';
import { finalCounts, type TokenCounts } from '../relay/token-counts.ts';
import type { EventMeaning, EventProtocol } from '../relay/typed-reader.ts';
import type { Violation } from '../schema-gate/validate.ts';
import { type FinishedAnswer, judgeAnswer } from './native-form.ts';

interface WireItem {
  type?: string;
  name?: string;
  arguments?: string;
  content?: { type?: string; text?: string }[] | null;
}

interface WireResponse {
  object?: string;
  status?: string;
  output?: WireItem[];
  usage?: {
    input_tokens?: number;
    output_tokens?: number;
    input_tokens_details?: { cached_tokens?: number | null } | null;
    output_tokens_details?: { reasoning_tokens?: number | null } | null;
  } | null;
  error?: WireError | null;
}

/** What vLLM adds to OpenAI's shape. */
const ENGINE_FIELDS = ['kv_transfer_params', 'ec_transfer_params', 'input_messages', 'output_messages'];
const ENGINE_NULLS = /,"(?:kv_transfer_params|ec_transfer_params|input_messages|output_messages)":null/g;

interface Read {
  counts: TokenCounts | null;
  finished: FinishedAnswer;
  violation: Violation | undefined;
}

/** null when it is no finished response. */
function readResponse({ status, output, usage }: WireResponse, checks: AnswerChecks | null): Read | null {
  if ((status !== 'completed' && status !== 'incomplete') || !Array.isArray(output)) return null;
  const calls = output.flatMap(({ type, name = '', arguments: text = '' }) =>
    type === 'function_call' ? [{ name, arguments: text }] : [],
  );
  const text = output
    .flatMap(({ type, content }) => (type === 'message' ? (content ?? []) : []))
    .map((part) => part.text ?? '')
    .join('');
  const reason = status === 'incomplete' ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop';
  const finished = { reason, text, calls };
  return { counts: countsOf(usage), finished, violation: judgeAnswer(checks, finished) };
}

function countsOf(usage: WireResponse['usage']): TokenCounts | null {
  if (!usage) return null;
  const { input_tokens: prompt_tokens, output_tokens: completion_tokens } = usage;
  return finalCounts({
    ...(prompt_tokens === undefined ? {} : { prompt_tokens }),
    ...(completion_tokens === undefined ? {} : { completion_tokens }),
    prompt_tokens_details: usage.input_tokens_details ?? null,
    completion_tokens_details: usage.output_tokens_details ?? null,
  });
}

export function readPlainResponse(body: Buffer, checks: AnswerChecks | null): PlainAnswer | null {
  let parsed: WireResponse & Record<string, unknown>;
  try {
    parsed = JSON.parse(body.toString('utf8')) as WireResponse & Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || parsed.object !== 'response') return null;
  const read = readResponse(parsed, checks);
  if (read === null) return null;
  for (const name of ENGINE_FIELDS) delete parsed[name];
  parsed.store = false;
  return {
    counts: read.counts,
    finishReasons: [read.finished.reason],
    guessedTokens: Math.ceil(read.finished.text.length / 4),
    violation: read.violation ?? null,
    body: Buffer.from(JSON.stringify(parsed)).toString('latin1'),
  };
}

/** Deltas of text that is the answer itself; thoughts and arguments are pieces of it too, but not of its document. */
const ANSWER_TEXT = 'response.output_text.delta';

export function responseEvents(checks: AnswerChecks | null): EventProtocol {
  return {
    closesWhenCounted: true,
    read(type, data, event): EventMeaning {
      if (type.endsWith('.delta')) {
        const { delta } = data();
        const text = typeof delta === 'string' ? delta : '';
        return { kind: 'piece', characters: text.length, ...(type === ANSWER_TEXT ? { text } : {}) };
      }
      switch (type) {
        case 'response.completed':
        case 'response.incomplete':
          return finished(data().response as WireResponse, event, checks);
        case 'response.failed':
          return { kind: 'failed', error: (data().response as WireResponse | undefined)?.error ?? {} };
        case 'error':
          return { kind: 'failed', error: errorOf(data()) };
        default:
          return { kind: 'other' };
      }
    },
  };
}

/** vLLM calls an answer that met its limit `completed`; a client must see by the event that it is not. */
function finished(response: WireResponse, event: string, checks: AnswerChecks | null): EventMeaning {
  const read = readResponse(response ?? {}, checks);
  if (read?.counts == null) throw new Error('not a finished response');
  const { reason } = read.finished;
  const named = reason === 'length' ? event.replaceAll('response.completed', 'response.incomplete') : event;
  return {
    kind: 'counted',
    counts: read.counts,
    finishReason: reason,
    text: named.replace(ENGINE_NULLS, ''),
    ...(read.violation === undefined ? {} : { violation: read.violation }),
  };
}

export function errorOf(data: Record<string, unknown>): WireError {
  const { error } = data;
  return (typeof error === 'object' && error !== null ? error : data) as WireError;
}
