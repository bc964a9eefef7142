/** POST /v1/responses, /v1/messages and what stands beside them: chat underneath, typed events on top. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Prepared } from '../dialects/dialect.ts';
import { createMessageAnswer, messagesAsChat } from '../dialects/vllm/anthropic.ts';
import { type ChatStyle, readBody } from '../dialects/vllm/chat-request.ts';
import { ApiError, errorBody, pythonJson } from '../dialects/vllm/errors.ts';
import { isObject, readAny, readModel, validationError } from '../dialects/vllm/pydantic.ts';
import { createResponsesAnswer, responsesAsChat } from '../dialects/vllm/responses.ts';
import { blocksOf, createPieces, type Piece, type TypedAnswer, type TypedOptions } from '../dialects/vllm/typed-run.ts';
import type { FixedText } from '../generation/job.ts';
import { askedId, countTokens, modelContext, recordAbort, recordTotals, wantsStream, watchForLeaving } from './chat.ts';
import { createSender, type Fault } from './faults.ts';
import { decodeWithQuirk } from './prepare.ts';
import { beginStream, sendBody } from './respond.ts';
import type { Route } from './routes.ts';
import { beginRun } from './runs.ts';
import type { Worker } from './worker.ts';

interface TypedApi {
  asChat(body: Record<string, unknown>): Record<string, unknown>;
  answer(options: TypedOptions): TypedAnswer;
  id(body: Record<string, unknown>, req: IncomingMessage, fresh: string): string;
  /** How an error of the request is told. */
  error(error: ApiError): string;
  errorEvent(error: ApiError): string;
}

const RESPONSES: TypedApi = {
  asChat: responsesAsChat,
  answer: createResponsesAnswer,
  id: (body, _req, fresh) => (typeof body.request_id === 'string' ? body.request_id : `resp_${fresh}`),
  error: errorBody,
  errorEvent: (error) =>
    `event: error\ndata: ${pythonJson({ type: 'error', code: String(error.status), message: error.message, param: error.param, sequence_number: 0 })}\n\n`,
};

const anthropicError = ({ type, message }: ApiError) => ({ type: 'error', error: { type, message } });
const MESSAGES: TypedApi = {
  asChat: messagesAsChat,
  answer: createMessageAnswer,
  id: (_body, req, fresh) => `chatcmpl-${askedId(req) ?? fresh}`,
  error: (error) => JSON.stringify(anthropicError(error)),
  errorEvent: (error) => `event: error\ndata: ${JSON.stringify(anthropicError(error))}\n\n`,
};

async function handleTyped(
  worker: Worker,
  req: IncomingMessage,
  res: ServerResponse,
  body: Record<string, unknown>,
  fault: Fault | undefined,
  api: TypedApi,
): Promise<void> {
  const left = watchForLeaving(res);
  const freshSeed = worker.randomSeed();
  let prepared: Prepared<ChatStyle>;
  let fixed: (FixedText | undefined)[];
  try {
    prepared = worker.dialect.prepareChat(api.asChat(body), modelContext(worker));
    fixed = await decodeWithQuirk(worker, prepared.job, freshSeed, fault);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.late && wantsStream(body)) {
      const writer = beginStream(res);
      writer.write(api.errorEvent(error));
      writer.end();
    } else sendBody(res, error.status, api.error(error));
    return;
  }
  if (left.gone) return;
  const { job, style } = prepared;
  const id = api.id(body, req, worker.randomId());
  const answer = api.answer({
    id,
    createdS: worker.epochSeconds(),
    model: style.model,
    body,
    promptTokens: job.promptIds.length,
    randomId: () => worker.randomId(),
  });
  const piecesOf = createPieces(style.toolChoice !== 'none');
  const all: Piece[] = [];
  const sender = style.stream ? createSender(beginStream(res), fault, worker.kill) : undefined;
  const send = (events: readonly string[]) => {
    for (const event of events) sender?.send(event);
  };
  let hasBegun = false;
  const { run, seen, ended } = beginRun(worker, job, {
    fixed,
    freshSeed,
    fault,
    onToken(choice) {
      if (!hasBegun) send(answer.begin());
      hasBegun = true;
      const pieces = piecesOf(choice);
      if (sender) send(answer.onPieces(pieces));
      else all.push(...pieces);
    },
  });
  left.onGone = () => recordAbort(worker, id, [run]);
  if (left.gone) left.onGone();
  await ended;
  const choice = run.choices[0]!;
  const counts = countTokens(job.promptIds.length, run.choices, seen);
  const aborted = choice.finish === undefined;
  recordTotals(worker, counts, aborted);
  if (aborted) return;
  const called = choice.content.includes('<tool_call>') && style.toolChoice !== 'none';
  const finish = called && choice.finish === 'stop' ? 'tool_calls' : choice.finish === 'length' ? 'length' : 'stop';
  if (sender) {
    send(answer.end(counts, finish));
    sender.end();
  } else sendBody(res, 200, answer.plain(blocksOf(all), counts, finish));
}

const missingFields = (names: readonly string[]) =>
  readModel(Object.fromEntries(names.map((name) => [name, readAny])) as never, names as never);
const MESSAGE_FIELDS = missingFields(['messages', 'max_tokens']);
const COUNT_FIELDS = missingFields(['messages']);

export const handleResponses: Route['handle'] = (worker, req, res, body, fault) => {
  const fields = isObject(body) ? body : {};
  const { input } = fields;
  if (typeof input !== 'string' && !Array.isArray(input)) {
    throw validationError([
      { type: 'string_type', loc: ['body', 'input', 'str'], msg: 'Input should be a valid string', input },
      { type: 'list_type', loc: ['body', 'input', 'list[any]'], msg: 'Input should be a valid list', input },
    ]);
  }
  if (fields.previous_response_id != null) {
    sendBody(res, 404, unknownResponse(String(fields.previous_response_id)));
    return;
  }
  return handleTyped(worker, req, res, fields, fault, RESPONSES);
};

/** Nothing is ever stored here. */
export function answerStoredResponse(id: string, res: ServerResponse): void {
  sendBody(res, 404, unknownResponse(id));
}

function unknownResponse(id: string): string {
  return errorBody(new ApiError(404, 'invalid_request_error', `Response with id '${id}' not found.`, 'response_id'));
}

export const handleMessages: Route['handle'] = (worker, req, res, body, fault) => {
  readBody(MESSAGE_FIELDS, body);
  return handleTyped(worker, req, res, body as Record<string, unknown>, fault, MESSAGES);
};

export const handleCountTokens: Route['handle'] = (worker, _req, res, body) => {
  readBody(COUNT_FIELDS, body);
  const { job } = worker.dialect.prepareChat(messagesAsChat(body as Record<string, unknown>), modelContext(worker));
  const count = job.promptIds.length;
  sendBody(res, 200, JSON.stringify({ input_tokens: count, context_management: { original_input_tokens: count } }));
};
