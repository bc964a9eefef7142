import type { CatalogModel } from '../../domain/catalog.ts';

/** One entry of `GET /v1/models`. `max_model_len` is vLLM's own field name, which many clients read. */
export interface OpenAiModel {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
  max_model_len: number;
}

export interface OpenAiModelList {
  object: 'list';
  data: OpenAiModel[];
}

export function openAiModel(model: CatalogModel): OpenAiModel {
  return {
    id: model.id,
    object: 'model',
    created: model.createdAt,
    owned_by: model.ownedBy,
    max_model_len: model.maxModelLen,
  };
}
