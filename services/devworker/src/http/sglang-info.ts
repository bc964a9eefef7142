/** SGLang's routes about the worker. From source, not recorded. */
import { isObject } from '../dialects/vllm/pydantic.ts';
import { tokenizeBody } from '../dialects/vllm/tokenize.ts';
import { modelContext } from './chat.ts';
import { sendBody } from './respond.ts';
import type { Route } from './routes.ts';
import type { Worker } from './worker.ts';

/** /health runs a generation of one token, so it waits in the same queue as everybody. */
export const handleSglangHealth: Route['handle'] = (worker, _req, res) =>
  new Promise<void>((resolve) => {
    worker.engine.submit(
      { promptTokens: 1, outputTokens: 1 },
      {
        onFinish() {
          sendBody(res, 200, '', { type: null });
          resolve();
        },
      },
    );
  });

function card(worker: Worker): object {
  const { model, modelRoot, maxModelLen } = worker.settings;
  return {
    id: model,
    object: 'model',
    created: worker.epochSeconds(),
    owned_by: 'sglang',
    root: modelRoot,
    parent: null,
    max_model_len: maxModelLen,
  };
}

export const handleSglangModels: Route['handle'] = (worker, _req, res) =>
  sendBody(res, 200, JSON.stringify({ object: 'list', data: [card(worker)] }));

/** /v1/models/{id}, the only place where SGLang checks a model's name. */
export function answerSglangModel(worker: Worker, id: string, res: Parameters<Route['handle']>[2]): void {
  if (id === worker.settings.model) {
    sendBody(res, 200, JSON.stringify(card(worker)));
    return;
  }
  const error = {
    message: `The model '${id}' does not exist`,
    type: 'invalid_request_error',
    param: 'model',
    code: 'model_not_found',
  };
  sendBody(res, 404, JSON.stringify({ error }));
}

export const handleModelInfo: Route['handle'] = (worker, _req, res) => {
  const { model } = worker.settings;
  sendBody(
    res,
    200,
    JSON.stringify({ model_path: model, tokenizer_path: model, is_generation: true, weight_version: 'default' }),
  );
};

export const handleServerInfo: Route['handle'] = (worker, _req, res) => {
  const { model, maxModelLen, blockSize } = worker.settings;
  const info = {
    model_path: model,
    served_model_name: model,
    context_length: maxModelLen,
    page_size: blockSize,
    version: '0.5.21',
  };
  sendBody(res, 200, JSON.stringify(info));
};

export const handleLoads: Route['handle'] = (worker, _req, res) => {
  const stats = worker.engine.stats();
  const total = stats.totalBlocks * stats.blockSize;
  const load = {
    dp_rank: 0,
    num_running_reqs: stats.running,
    num_waiting_reqs: stats.waiting,
    num_waiting_uncached_tokens: worker.engine.pendingPrefillTokens(),
    num_used_tokens: Math.round(stats.kvUsage * total),
    num_total_tokens: Math.round(stats.kvUsage * total) + worker.engine.pendingPrefillTokens(),
    max_total_num_tokens: total,
    max_running_requests: worker.settings.maxSequences,
    token_usage: stats.kvUsage,
    gen_throughput: 0,
    cache_hit_rate: stats.queriedTokens === 0 ? 0 : stats.cachedPromptTokens / stats.queriedTokens,
    utilization: stats.running / worker.settings.maxSequences,
  };
  sendBody(
    res,
    200,
    JSON.stringify({
      timestamp: new Date(worker.epochSeconds() * 1000).toISOString(),
      dp_rank_count: 1,
      loads: [load],
    }),
  );
};

export const handleSglangMetrics: Route['handle'] = (worker, _req, res) => {
  const stats = worker.engine.stats();
  const labels = `{model_name="${worker.settings.model}"}`;
  const total = stats.totalBlocks * stats.blockSize;
  const families: [string, 'gauge' | 'counter', number][] = [
    ['num_running_reqs', 'gauge', stats.running],
    ['num_queue_reqs', 'gauge', stats.waiting],
    ['num_grammar_queue_reqs', 'gauge', 0],
    ['token_usage', 'gauge', stats.kvUsage],
    ['cache_hit_rate', 'gauge', stats.queriedTokens === 0 ? 0 : stats.cachedPromptTokens / stats.queriedTokens],
    ['num_used_tokens', 'gauge', Math.round(stats.kvUsage * total)],
    ['max_total_num_tokens', 'gauge', total],
    ['utilization', 'gauge', stats.running / worker.settings.maxSequences],
    ['prompt_tokens_total', 'counter', stats.promptTokens],
    ['generation_tokens_total', 'counter', stats.generatedTokens],
    ['cached_tokens_total', 'counter', stats.cachedPromptTokens],
    ['num_aborted_requests_total', 'counter', stats.aborted],
  ];
  const text = families
    .map(
      ([name, type, value]) =>
        `# HELP sglang:${name} ${name}\n# TYPE sglang:${name} ${type}\nsglang:${name}${labels} ${value}\n`,
    )
    .join('');
  sendBody(res, 200, text, { type: 'text/plain; version=0.0.4; charset=utf-8' });
};

/** `{"rid":"..."}` aborts at once every request whose id begins with it; `abort_all` all of them. */
export const handleAbortRequest: Route['handle'] = (worker, _req, res, body) => {
  const rid = isObject(body) && typeof body.rid === 'string' ? body.rid : '';
  const all = isObject(body) && body.abort_all === true;
  for (const [id, abort] of worker.running) if (all || (rid !== '' && id.startsWith(rid))) abort();
  sendBody(res, 200, '', { type: null });
};

export const handleSglangTokenize: Route['handle'] = (worker, _req, res, body) => {
  const { tokens, count, max_model_len } = JSON.parse(
    tokenizeBody(isObject(body) ? { ...body, model: undefined } : body, modelContext(worker)),
  ) as Record<string, unknown>;
  sendBody(res, 200, JSON.stringify({ tokens, count, max_model_len }));
};
