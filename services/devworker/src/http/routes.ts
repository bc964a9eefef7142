/** Which paths the worker serves, with which methods. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { handleChat } from './chat.ts';
import { handleCompletions } from './completions.ts';
import { handleFaults, handleState } from './control.ts';
import { handleEmbeddings } from './embeddings.ts';
import type { Fault } from './faults.ts';
import {
  handleDetokenize,
  handleHealth,
  handleLoad,
  handleMetrics,
  handleModels,
  handleTokenize,
  handleVersion,
} from './info.ts';
import {
  handleBatchChat,
  handleDocs,
  handleGenerate,
  handleInvocations,
  handleRenderChat,
  handleRenderCompletions,
  handleRenderMessages,
  handleScoring,
} from './open-routes.ts';
import {
  answerSglangModel,
  handleAbortRequest,
  handleLoads,
  handleModelInfo,
  handleServerInfo,
  handleSglangHealth,
  handleSglangMetrics,
  handleSglangModels,
  handleSglangTokenize,
} from './sglang-info.ts';
import { answerStoredResponse, handleCountTokens, handleMessages, handleResponses } from './typed.ts';
import type { Worker } from './worker.ts';

export interface Route {
  /** Counts as load, may be struck by a fault. */
  generates: boolean;
  handle(
    worker: Worker,
    req: IncomingMessage,
    res: ServerResponse,
    body: unknown,
    fault: Fault | undefined,
  ): void | Promise<void>;
}

const read = (handle: Route['handle']): Route => ({ generates: false, handle });

type Methods = ReadonlyMap<string, Route>;

const get = (handle: Route['handle']): [string, Route] => ['GET', read(handle)];
const post = (handle: Route['handle']): [string, Route] => ['POST', read(handle)];
const run = (handle: Route['handle']): [string, Route] => ['POST', { generates: true, handle }];
const table = (routes: Record<string, [string, Route][]>): Map<string, Methods> =>
  new Map(Object.entries(routes).map(([path, methods]) => [path, new Map(methods)]));

const COMMON = {
  '/v1/chat/completions': [run(handleChat)],
  '/v1/completions': [run(handleCompletions)],
  '/v1/embeddings': [run(handleEmbeddings)],
  '/devworker/state': [get(handleState)],
  '/devworker/faults': [get(handleState), post(handleFaults)],
};

const VLLM = table({
  ...COMMON,
  '/v1/responses': [run(handleResponses)],
  '/v1/messages': [run(handleMessages)],
  '/v1/messages/count_tokens': [post(handleCountTokens)],
  '/v1/models': [get(handleModels)],
  '/tokenize': [post(handleTokenize)],
  '/detokenize': [post(handleDetokenize)],
  '/health': [get(handleHealth)],
  '/ping': [get(handleHealth), post(handleHealth)],
  '/version': [get(handleVersion)],
  '/load': [get(handleLoad)],
  '/metrics': [get(handleMetrics)],
  '/docs': [get(handleDocs)],
  '/invocations': [run(handleInvocations)],
  '/inference/v1/generate': [run(handleGenerate)],
  '/generative_scoring': [post(handleScoring)],
  '/v1/chat/completions/batch': [run(handleBatchChat)],
  '/v1/chat/completions/render': [post(handleRenderChat)],
  '/v1/completions/render': [post(handleRenderCompletions)],
  '/v1/messages/render': [post(handleRenderMessages)],
});

const SGLANG = table({
  ...COMMON,
  '/v1/models': [get(handleSglangModels)],
  '/model_info': [get(handleModelInfo)],
  '/get_model_info': [get(handleModelInfo)],
  '/server_info': [get(handleServerInfo)],
  '/get_server_info': [get(handleServerInfo)],
  '/v1/loads': [get(handleLoads)],
  '/health': [get(handleSglangHealth)],
  '/health_generate': [get(handleSglangHealth)],
  '/metrics': [get(handleSglangMetrics)],
  '/abort_request': [post(handleAbortRequest)],
  '/tokenize': [post(handleSglangTokenize)],
  '/v1/tokenize': [post(handleSglangTokenize)],
  '/detokenize': [post(handleDetokenize)],
});

const MODEL_PREFIX = '/v1/models/';
const RESPONSE_PREFIX = '/v1/responses/';
/** Not mounted where the model makes none. */
const EMBEDDINGS = '/v1/embeddings';

/** The methods of a path, or undefined when the worker does not serve it. */
export function findRoute(worker: Worker, path: string): Methods | undefined {
  if (path === EMBEDDINGS && worker.settings.embeddingModel === undefined) return undefined;
  if (worker.dialect.name === 'vllm') {
    if (!path.startsWith(RESPONSE_PREFIX)) return VLLM.get(path);
    return new Map([get((_worker, _req, res) => answerStoredResponse(path.slice(RESPONSE_PREFIX.length), res))]);
  }
  if (path.startsWith(MODEL_PREFIX)) {
    const id = decodeURIComponent(path.slice(MODEL_PREFIX.length));
    return new Map([get((asked, _req, res) => answerSglangModel(asked, id, res))]);
  }
  return SGLANG.get(path);
}
