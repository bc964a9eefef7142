/** POST /v1/completions. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PreparedCompletion } from '../dialects/vllm/completions.ts';
import type { ChoiceState } from '../generation/choice.ts';
import type { FixedText } from '../generation/job.ts';
import { askedId, modelContext, recordAbort, recordTotals, refuseLate, watchForLeaving } from './chat.ts';
import { createSender, type Fault } from './faults.ts';
import { loadHeader } from './load-header.ts';
import { checkConstraint, decodeWithQuirk } from './prepare.ts';
import { beginStream, sendBody } from './respond.ts';
import { beginRun } from './runs.ts';
import type { Worker } from './worker.ts';

export async function handleCompletions(
  worker: Worker,
  req: IncomingMessage,
  res: ServerResponse,
  body: unknown,
  fault: Fault | undefined,
): Promise<void> {
  const { dialect } = worker;
  const left = watchForLeaving(res);
  const freshSeed = worker.randomSeed();
  let prepared: PreparedCompletion;
  let fixed: (FixedText | undefined)[][];
  try {
    prepared = dialect.prepareCompletion(body, modelContext(worker));
    if (prepared.checked) await checkConstraint(worker, prepared.checked);
    fixed = await Promise.all(prepared.jobs.map((job) => decodeWithQuirk(worker, job, freshSeed, fault)));
  } catch (error) {
    refuseLate(error, worker, res, body);
    return;
  }
  if (left.gone) return;
  const { jobs, style } = prepared;
  const id = dialect.requestId('cmpl', style.requestId, askedId(req), worker.randomId());
  const startedS = worker.epochSeconds();
  const shared = {
    id,
    createdS: dialect.name === 'vllm' ? () => startedS : worker.epochSeconds,
    fingerprint: worker.fingerprint,
    style,
    tokenizer: worker.tokenizer,
    jobs,
  };
  const sender = style.stream ? createSender(beginStream(res), fault, worker.kill) : undefined;
  const stream = sender && dialect.createCompletionStream({ ...shared, send: (event) => sender.send(event) });
  const begun = jobs.map((job, promptIndex) =>
    // `echo` with no tokens to generate needs no engine.
    job.maxTokens === 0
      ? null
      : beginRun(worker, job, {
          fixed: fixed[promptIndex]!,
          freshSeed,
          fault,
          onToken: (choice) => stream?.onToken(promptIndex, choice),
        }),
  );
  left.onGone = () =>
    recordAbort(
      worker,
      id,
      begun.flatMap((one) => one?.run ?? []),
    );
  await Promise.all(begun.map((one) => one?.ended));
  const choices = begun.map((one): readonly ChoiceState[] => one?.run.choices ?? []);
  const all = choices.flat();
  const counts = {
    prompt: jobs.reduce((sum, job) => sum + job.promptIds.length, 0),
    completion: all.reduce((sum, choice) => sum + choice.count, 0),
    cached: begun.reduce((sum, one) => sum + (one?.seen[0]?.cachedTokens ?? 0), 0),
  };
  const aborted = all.some((choice) => choice.finish === undefined);
  recordTotals(worker, { ...counts, created: 0, reasoning: 0 }, aborted);
  if (aborted) return;
  if (stream && sender) {
    stream.onEnd(counts);
    sender.end();
  } else
    sendBody(res, 200, dialect.completionBody({ ...shared, choices, counts }), { before: loadHeader(req, worker) });
}
