/** POST /v1/chat/completions. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { chatBody } from '../dialects/vllm/chat-plain.ts';
import { type ChatStyle, type ModelContext, type Prepared, prepareChat } from '../dialects/vllm/chat-request.ts';
import { createChatStream } from '../dialects/vllm/chat-stream.ts';
import { ApiError, errorEvent } from '../dialects/vllm/errors.ts';
import type { Counts } from '../dialects/vllm/usage.ts';
import type { Seen } from '../engine/engine.ts';
import type { ChoiceState } from '../generation/choice.ts';
import type { FixedText } from '../generation/job.ts';
import { type Run, startRun } from '../generation/run.ts';
import { createSender, type Fault } from './faults.ts';
import { loadHeader } from './load-header.ts';
import { decodeWithQuirk } from './prepare.ts';
import { beginStream, sendBody } from './respond.ts';
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
  let prepared: Prepared<ChatStyle>;
  let fixed: (FixedText | undefined)[];
  const freshSeed = worker.randomSeed();
  const left = watchForLeaving(res);
  try {
    prepared = prepareChat(body, modelContext(worker));
    fixed = await decodeWithQuirk(worker, prepared.job, freshSeed, fault);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.late || !wantsStream(body)) throw error;
    // The engine's input processor refuses only after the stream has begun.
    const writer = beginStream(res);
    writer.write(errorEvent(error));
    writer.write('data: [DONE]\n\n');
    writer.end();
    return;
  }
  if (left.gone) return;
  const { job, style } = prepared;
  const header = req.headers['x-request-id'];
  const requestId = `chatcmpl-${typeof header === 'string' && header !== '' ? header : (style.requestId ?? worker.randomId())}`;
  const createdS = worker.epochSeconds();
  const toolCallId = () => `chatcmpl-tool-${worker.randomId()}`;
  const { tokenizer, fingerprint } = worker;
  const seen: Seen[] = [];

  await new Promise<void>((resolve) => {
    let run: Run | undefined;
    const shared = { id: requestId, createdS, fingerprint, style, tokenizer, promptIds: job.promptIds, toolCallId };
    const sender = style.stream ? createSender(beginStream(res), fault, worker.kill) : undefined;
    const stream = sender && createChatStream({ ...shared, n: job.n, send: (event) => sender.send(event) });
    left.onGone = () => recordAbort(worker, requestId, run ? [run] : []);
    worker.metrics.onRequest(job.n, job.maxTokens);
    run = startRun({
      engine: worker.engine,
      tokenizer,
      job,
      fixed,
      freshSeed,
      slowFactor: fault?.kind === 'slow' ? fault.factor : undefined,
      listener: {
        onToken: (choice) => stream?.onToken(choice),
        onChoiceEnd(choice, _reason, measured) {
          seen[choice.index] = measured;
          worker.metrics.onSequence(job.promptIds.length, measured, choice.finish);
        },
        onEnd() {
          const counts = countTokens(job.promptIds.length, run!.choices, seen);
          const aborted = run!.choices.some((choice) => choice.finish === undefined);
          recordTotals(worker, counts, aborted);
          if (aborted) {
            resolve();
            return;
          }
          if (stream && sender) {
            stream.onEnd(counts);
            sender.end();
          } else {
            const answer = chatBody({ ...shared, choices: run!.choices, counts });
            sendBody(res, 200, answer, { before: loadHeader(req, worker) });
          }
          resolve();
        },
      },
    });
    if (left.gone) left.onGone();
  });
}

export function recordTotals(worker: Worker, counts: Counts, aborted: boolean): void {
  const { totals } = worker;
  if (aborted) totals.aborted++;
  else totals.finished++;
  totals.promptTokens += counts.prompt;
  totals.completionTokens += counts.completion;
  totals.cachedTokens += counts.cached;
}

function wantsStream(body: unknown): boolean {
  return (body as { stream?: unknown } | null)?.stream === true;
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
