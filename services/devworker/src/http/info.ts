/** The routes that tell about the worker: health, models, version, load. */

import { detokenizeBody, tokenizeBody } from '../dialects/vllm/tokenize.ts';
import { modelContext } from './chat.ts';
import { sendBody } from './respond.ts';
import type { Route } from './routes.ts';
import type { Worker } from './worker.ts';

export const VLLM_VERSION = '0.29.0';

export const handleHealth: Route['handle'] = (_worker, _req, res) => sendBody(res, 200, '', { type: null });

export const handleVersion: Route['handle'] = (_worker, _req, res) =>
  sendBody(res, 200, JSON.stringify({ version: VLLM_VERSION }));

export const handleLoad: Route['handle'] = (worker, _req, res) =>
  sendBody(res, 200, JSON.stringify({ server_load: worker.openRequests }));

function modelCard(worker: Worker, id: string, root: string, maxModelLen: number): object {
  const created = worker.epochSeconds();
  return {
    id,
    object: 'model',
    created,
    owned_by: 'vllm',
    root,
    parent: null,
    max_model_len: maxModelLen,
    permission: [
      {
        id: `modelperm-${worker.randomId()}`,
        object: 'model_permission',
        created,
        allow_create_engine: false,
        allow_sampling: true,
        allow_logprobs: true,
        allow_search_indices: false,
        allow_view: true,
        allow_fine_tuning: false,
        organization: '*',
        group: null,
        is_blocking: false,
      },
    ],
  };
}

export const handleModels: Route['handle'] = (worker, _req, res) => {
  const { model, modelRoot, maxModelLen, embeddingModel } = worker.settings;
  const data = [modelCard(worker, model, modelRoot, maxModelLen)];
  if (embeddingModel !== undefined) data.push(modelCard(worker, embeddingModel, embeddingModel, maxModelLen));
  sendBody(res, 200, JSON.stringify({ object: 'list', data }));
};

export const handleMetrics: Route['handle'] = (worker, _req, res) =>
  sendBody(res, 200, worker.metrics.text(worker), { type: 'text/plain; version=1.0.0; charset=utf-8' });

export const handleTokenize: Route['handle'] = (worker, _req, res, body) =>
  sendBody(res, 200, tokenizeBody(body, modelContext(worker)));

export const handleDetokenize: Route['handle'] = (worker, _req, res, body) =>
  sendBody(res, 200, detokenizeBody(body, worker.settings.model, worker.tokenizer));
