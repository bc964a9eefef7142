/** POST /v1/chat/completions. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ModelContext, Prepared } from '../dialects/dialect.ts';
import type { ChatStyle } from '../dialects/vllm/chat-request.ts';
import { ApiError } from '../dialects/vllm/errors.ts';
import type { Counts } from '../dialects/vllm/usage.ts';
import type { Seen } from '../engine/engine.ts';
import type { ChoiceState } from '../generation/choice.ts';
import type { FixedText } from '../generation/job.ts';
import type { Run } from '../generation/run.ts';
import { createSender, type Fault } from './faults.ts';
import { loadHeader } from './load-header.ts';
import { decodeWithQuirk } from './prepare.ts';
import { beginStream, sendBody } from './respond.ts';
import { beginRun } from './runs.ts';
import type { Worker } from './worker.ts';

export function modelContext(worker: Worker): ModelContext {
  const { model, maxModelLen, thinkingByDefault } = worker.settings;
  return { tokenizer: worker.tokenizer, model, maxModelLen, thinkingByDefault };
}

/** Sums what the choices of one request cost. Prompt and cache are counted once, as vLLM does. */
export function countTokens(promptTokens: number, choices: readonly ChoiceState[], seen: readonly Seen[]): Counts {
  return {
    prompt: promptTokens,
    completion: choices.reduce((sum, choice) => sum + choice.count, 0),
    cached: seen[0]?.cachedTokens ?? 0,
    created: seen[0]?.createdTokens ?? 0,
    reasoning: choices.reduce((sum, choice) => sum + choice.reasoningTokens, 0),
  };
}

/** Answers a parsed body. Throws ApiError for what is refused before the first byte. */
export async function handleChat(
  worker: Worker,
  req: IncomingMessage,
  res: ServerResponse,
  body: unknown,
  fault: Fault | undefined,
): Promise<void> {
  const { dialect } = worker;
  let prepared: Prepared<ChatStyle>;
  let fixed: (FixedText | undefined)[];
  const freshSeed = worker.randomSeed();
  const left = watchForLeaving(res);
  try {
    prepared = dialect.prepareChat(body, modelContext(worker));
    fixed = await decodeWithQuirk(worker, prepared.job, freshSeed, fault);
  } catch (error) {
    refuseLate(error, worker, res, body);
    return;
  }
  if (left.gone) return;
  const { job, style } = prepared;
  const requestId = dialect.requestId('chatcmpl', style.requestId, askedId(req), worker.randomId());
  const startedS = worker.epochSeconds();
  // vLLM stamps a request once, SGLang every chunk.
  const createdS = dialect.name === 'vllm' ? () => startedS : worker.epochSeconds;
  const toolCallId = () => dialect.toolCallId(worker.randomId());
  const { tokenizer, fingerprint } = worker;
  const shared = { id: requestId, createdS, fingerprint, style, tokenizer, promptIds: job.promptIds, toolCallId };
  const sender = style.stream ? createSender(beginStream(res), fault, worker.kill) : undefined;
  const stream = sender && dialect.createChatStream({ ...shared, n: job.n, send: (event) => sender.send(event) });
  const { run, seen, ended } = beginRun(worker, job, {
    fixed,
    freshSeed,
    fault,
    onToken: (choice) => stream?.onToken(choice),
  });
  const abort = () => recordAbort(worker, requestId, [run]);
  const delayMs = style.stream ? dialect.abortDelayMs : 0;
  left.onGone = delayMs === 0 ? abort : () => void setTimeout(abort, delayMs).unref();
  worker.running.set(requestId, () => {
    run.abort();
    res.destroy();
  });
  if (left.gone) left.onGone();
  await ended;
  const counts = countTokens(job.promptIds.length, run.choices, seen);
  worker.running.delete(requestId);
  const aborted = run.choices.some((choice) => choice.finish === undefined);
  recordTotals(worker, counts, aborted);
  if (aborted) return;
  if (stream && sender) {
    stream.onEnd(counts);
    sender.end();
  } else {
    const answer = dialect.chatBody({ ...shared, choices: run.choices, counts });
    sendBody(res, 200, answer, { before: loadHeader(req, worker) });
  }
}

export function recordTotals(worker: Worker, counts: Counts, aborted: boolean): void {
  const { totals } = worker;
  if (aborted) totals.aborted++;
  else totals.finished++;
  totals.promptTokens += counts.prompt;
  totals.completionTokens += counts.completion;
  totals.cachedTokens += counts.cached;
}

/** The engine's input processor refuses only after a stream has begun: there it is told inside. Anything else is thrown. */
export function refuseLate(error: unknown, { dialect }: Worker, res: ServerResponse, body: unknown): void {
  if (!(error instanceof ApiError) || !error.late || !wantsStream(body)) throw error;
  const writer = beginStream(res);
  writer.write(dialect.errorEvent(error));
  writer.write('data: [DONE]\n\n');
  writer.end();
}

/** The id that the client gives its request. */
export function askedId(req: IncomingMessage): string | undefined {
  const value = req.headers['x-request-id'];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Whether a raw body asks for a stream, read as laxly as the field itself is. */
export function wantsStream(body: unknown): boolean {
  const { stream } = body as { stream?: unknown };
  return stream === true || stream === 1 || (typeof stream === 'string' && stream.toLowerCase() === 'true');
}

/** Ends the runs of a client that has left, and notes how long that took. */
export function recordAbort(worker: Worker, requestId: string, runs: readonly Run[]): void {
  const noticedMs = worker.sinceStartMs();
  for (const run of runs) run.abort();
  worker.totals.aborts.push({
    requestId,
    noticedMs,
    abortedMs: worker.sinceStartMs(),
    generatedTokens: runs.flatMap((run) => run.choices).reduce((sum, choice) => sum + choice.count, 0),
  });
  // The newest are enough for a test; a load test must not fill the memory.
  if (worker.totals.aborts.length > MAX_ABORT_RECORDS) worker.totals.aborts.shift();
}

const MAX_ABORT_RECORDS = 1000;

export interface Leaving {
  gone: boolean;
  onGone: () => void;
}

/** Notices that the client closed the connection before the answer was complete. */
export function watchForLeaving(res: ServerResponse): Leaving {
  const leaving: Leaving = { gone: false, onGone: () => {} };
  res.on('close', () => {
    if (res.writableFinished) return;
    leaving.gone = true;
    leaving.onGone();
  });
  return leaving;
}
