/**
 * What a vLLM 0.29 serves to anybody beside the paths of its API: as powerful, guarded by nothing. The router forwards
 * none of it; it is here so that tests see a worker which would answer.
 */
import { messagesAsChat } from '../dialects/vllm/anthropic.ts';
import { readBody } from '../dialects/vllm/chat-request.ts';
import { ApiError, badRequest } from '../dialects/vllm/errors.ts';
import { isObject, pythonRepr, readInt, readList, readModel } from '../dialects/vllm/pydantic.ts';
import { rendered, tokensBody } from '../dialects/vllm/render.ts';
import type { Job } from '../generation/job.ts';
import { countTokens, handleChat, modelContext, recordAbort, recordTotals, watchForLeaving } from './chat.ts';
import { handleCompletions } from './completions.ts';
import { handleEmbeddings } from './embeddings.ts';
import { decodeWithQuirk } from './prepare.ts';
import { sendBody } from './respond.ts';
import type { Route } from './routes.ts';
import { beginRun } from './runs.ts';
import type { Worker } from './worker.ts';

const fieldsOf = (body: unknown): Record<string, unknown> => (isObject(body) ? body : {});

/** As `/v1/chat/completions`, `/v1/completions` or `/v1/embeddings`, by the field that only that one has. */
export const handleInvocations: Route['handle'] = (worker, req, res, body, fault) => {
  const fields = fieldsOf(body);
  const handle = 'messages' in fields ? handleChat : 'prompt' in fields ? handleCompletions : handleEmbeddings;
  return handle(worker, req, res, body, fault);
};

/** Runs jobs side by side; undefined when the client left before they ended. */
async function runAll(worker: Worker, res: Parameters<Route['handle']>[2], id: string, jobs: readonly Job[]) {
  const left = watchForLeaving(res);
  const freshSeed = worker.randomSeed();
  const fixed = await Promise.all(jobs.map((job) => decodeWithQuirk(worker, job, freshSeed, undefined)));
  const begun = jobs.map((job, at) => beginRun(worker, job, { fixed: fixed[at]!, freshSeed }));
  left.onGone = () =>
    recordAbort(
      worker,
      id,
      begun.map(({ run }) => run),
    );
  if (left.gone) left.onGone();
  await Promise.all(begun.map(({ ended }) => ended));
  const results = begun.map(({ run: { choices }, seen }, at) => ({
    choices,
    counts: countTokens(jobs[at]!.promptIds.length, choices, seen),
  }));
  for (const { choices, counts } of results)
    recordTotals(
      worker,
      counts,
      choices.some(({ finish }) => finish === undefined),
    );
  return left.gone ? undefined : results;
}

/** Several conversations in one request, one choice for each. */
export const handleBatchChat: Route['handle'] = async (worker, _req, res, body) => {
  const { messages, ...rest } = fieldsOf(body);
  if (!Array.isArray(messages) || messages.length === 0) throw badRequest('messages must be a list of conversations.');
  const prepared = messages.map((conversation) =>
    worker.dialect.prepareChat({ ...rest, messages: conversation, n: 1, stream: false }, modelContext(worker)),
  );
  const id = `chatcmpl-${worker.randomId()}`;
  const jobs = prepared.map(({ job }) => job);
  const results = await runAll(worker, res, id, jobs);
  if (results === undefined) return;
  const choices = results.map(({ choices: [choice] }, index) => ({ ...choice!, index }));
  const sum = (of: 'prompt' | 'completion') => results.reduce((total, { counts }) => total + counts[of], 0);
  const counts = { prompt: sum('prompt'), completion: sum('completion'), cached: 0, created: 0, reasoning: 0 };
  const answer = JSON.parse(
    worker.dialect.chatBody({
      id,
      createdS: worker.epochSeconds,
      fingerprint: worker.fingerprint,
      style: prepared[0]!.style,
      tokenizer: worker.tokenizer,
      promptIds: jobs[0]!.promptIds,
      toolCallId: () => worker.dialect.toolCallId(worker.randomId()),
      choices,
      counts,
    }),
  );
  answer.usage.prompt_tokens_details = null;
  answer.usage.completion_tokens_details = null;
  sendBody(res, 200, JSON.stringify(answer));
};

const readGenerate = readModel<{ token_ids: number[] }>({ token_ids: readList(readInt({ ge: 0 })) }, ['token_ids']);

/** Token ids in, token ids out. */
export const handleGenerate: Route['handle'] = async (worker, _req, res, body) => {
  const { token_ids } = readBody(readGenerate, body);
  const { model, sampling_params: sampling } = fieldsOf(body);
  const asCompletion = { model, ...fieldsOf(sampling), prompt: token_ids };
  const { jobs } = worker.dialect.prepareCompletion(asCompletion, modelContext(worker));
  const id = `generate-tokens-${worker.randomId()}`;
  const results = await runAll(worker, res, id, jobs);
  if (results === undefined) return;
  const [{ choices, counts }] = results as [(typeof results)[number]];
  const head = { id, model: worker.settings.model, createdS: worker.epochSeconds() };
  sendBody(res, 200, tokensBody(head, choices, counts));
};

const renderAs = (asChat: (body: Record<string, unknown>) => Record<string, unknown>): Route['handle'] => {
  return (worker, _req, res, body) => {
    const chat = asChat(fieldsOf(body));
    const { job } = worker.dialect.prepareChat(chat, modelContext(worker));
    const id = `chatcmpl-${worker.randomId()}`;
    sendBody(res, 200, JSON.stringify(rendered(id, worker.settings.model, chat, job, true)));
  };
};

export const handleRenderChat = renderAs((body) => body);
export const handleRenderMessages = renderAs(messagesAsChat);

export const handleRenderCompletions: Route['handle'] = (worker, _req, res, body) => {
  const { jobs } = worker.dialect.prepareCompletion(body, modelContext(worker));
  const id = `cmpl-${worker.randomId()}`;
  const prompts = jobs.map((job) => rendered(id, worker.settings.model, fieldsOf(body), job, false));
  sendBody(res, 200, JSON.stringify(prompts));
};

const SCORING_FIELDS = ['query', 'items', 'label_token_ids'] as const;

/** Refuses as recorded what lacks a field; the rest was never recorded, and nothing here scores. */
export const handleScoring: Route['handle'] = (_worker, _req, _res, body) => {
  const fields = fieldsOf(body);
  const lacking = SCORING_FIELDS.filter((name) => !(name in fields));
  if (lacking.length === 0) throw new ApiError(501, 'NotImplementedError', 'This look-alike scores nothing.');
  const lines = lacking.map(
    (name) =>
      `${name}\n  Field required [type=missing, input_value=${pythonRepr(fields)}, input_type=dict]\n    For further information visit https://errors.pydantic.dev/2.14/v/missing`,
  );
  const count = `${lacking.length} validation error${lacking.length === 1 ? '' : 's'}`;
  throw badRequest(`${count} for GenerativeScoringRequest\n${lines.join('\n')}`);
};

const DOCS = `
    <!DOCTYPE html>
    <html>
    <head>
    <meta name="viewport" content="width=device-width, initial-scale=1.0">
    <link type="text/css" rel="stylesheet" href="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui.css">
    <link rel="shortcut icon" href="https://fastapi.tiangolo.com/img/favicon.png">
    <title>FastAPI - Swagger UI</title>
    </head>
    <body>
    <div id="swagger-ui">
    </div>
    <script src="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui-bundle.js"></script>
    <!-- \`SwaggerUIBundle\` is now available on the page -->
    <script>
    const ui = SwaggerUIBundle({
        url: '/openapi.json',
    "dom_id": "#swagger-ui",
"layout": "BaseLayout",
"deepLinking": true,
"showExtensions": true,
"showCommonExtensions": true,
oauth2RedirectUrl: window.location.origin + '/docs/oauth2-redirect',
    presets: [
        SwaggerUIBundle.presets.apis,
        SwaggerUIBundle.SwaggerUIStandalonePreset
        ],
    })
    </script>
    </body>
    </html>
    `;

/** The page of the web framework, as every server made with it has it. */
export const handleDocs: Route['handle'] = (_worker, _req, res) =>
  sendBody(res, 200, DOCS, { type: 'text/html; charset=utf-8' });
