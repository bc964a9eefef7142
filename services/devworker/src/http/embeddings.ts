/**
 * POST /v1/embeddings: deterministic lexical embeddings. Words and parts of words are hashed into a vector, so texts
 * that share words (or stems) are near each other, as a retrieval test needs it. Shapes from source, not recorded.
 */
import { readBody } from '../dialects/vllm/chat-request.ts';
import { badRequest, unknownModel } from '../dialects/vllm/errors.ts';
import { optional, readInt, readList, readModel, readString, readUnion } from '../dialects/vllm/pydantic.ts';
import { hashText } from '../model/seeded.ts';
import { sendBody } from './respond.ts';
import type { Route } from './routes.ts';

const DIMENSIONS = 1024;
const GRAM = 4;
/** Words that say nothing about the subject. */
const COMMON = new Set(
  'a an and are as at be but by do for from how i in is it of on or that the this to was what with you'.split(' '),
);

/** A unit vector. The same text has the same one everywhere. */
export function embedText(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const add = (feature: string, weight: number) => {
    const hash = hashText(feature);
    vector[hash % dimensions]! += hash & 0x40000000 ? weight : -weight;
  };
  for (const match of text
    .toLowerCase()
    .normalize('NFKC')
    .matchAll(/[\p{L}\p{N}]+/gu)) {
    const word = match[0];
    const weight = COMMON.has(word) ? 0.1 : 1;
    add(word, weight);
    for (let i = 0; i + GRAM <= word.length; i++) add(`#${word.slice(i, i + GRAM)}`, weight * 0.5);
  }
  const length = Math.hypot(...vector) || 1;
  // An empty text has a direction too: a vector of zeros would break every comparison.
  if (length === 1 && vector.every((value) => value === 0)) vector[0] = 1;
  return vector.map((value) => value / length);
}

interface Fields {
  model: string | undefined;
  input: string | number[] | (string | number[])[];
  encoding_format: string | undefined;
  dimensions: number | undefined;
}

const tokens = readList(readInt({ ge: 0 }));
const readFields = readModel<Fields>(
  {
    model: optional(readString),
    input: readUnion<Fields['input']>([
      ['list[int]', tokens],
      ['list[list[int]]', readList(tokens)],
      ['str', readString],
      ['list[str]', readList(readString)],
    ]),
    encoding_format: optional(readString),
    dimensions: optional(readInt({ ge: 1 })),
  },
  ['input'],
);

export const handleEmbeddings: Route['handle'] = (worker, _req, res, body) => {
  const { embeddingModel } = worker.settings;
  if (embeddingModel === undefined) {
    sendBody(res, 404, '{"detail":"Not Found"}');
    return;
  }
  const fields = readBody(readFields, body);
  if (fields.model !== undefined && fields.model !== embeddingModel) throw unknownModel(fields.model);
  const { input, dimensions = DIMENSIONS } = fields;
  if (dimensions > DIMENSIONS)
    throw badRequest(`dimensions must be at most ${DIMENSIONS}, got ${dimensions}.`, 'dimensions');
  const list =
    typeof input === 'string' || typeof input[0] === 'number'
      ? [input as string | number[]]
      : (input as (string | number[])[]);
  if (list.length === 0) throw badRequest('You must pass at least one prompt');
  let promptTokens = 0;
  const data = list.map((item, index) => {
    const text = typeof item === 'string' ? item : worker.tokenizer.decode(item);
    promptTokens += typeof item === 'string' ? worker.tokenizer.encode(item).length : item.length;
    const vector = embedText(text, dimensions);
    const embedding =
      fields.encoding_format === 'base64'
        ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
        : [...vector];
    return { index, object: 'embedding', embedding };
  });
  worker.totals.promptTokens += promptTokens;
  worker.totals.finished++;
  const answer = {
    id: `embd-${worker.randomId()}`,
    object: 'list',
    created: worker.epochSeconds(),
    model: embeddingModel,
    data,
    usage: {
      prompt_tokens: promptTokens,
      total_tokens: promptTokens,
      completion_tokens: 0,
      prompt_tokens_details: null,
    },
  };
  sendBody(res, 200, JSON.stringify(answer));
};
