/** `POST /embeddings`: vectors of texts. Only the prompt costs; nothing is written. */
import { checkInteger, checkOneOf, checkString, invalid } from '../contract/checks.ts';
import type { ContractProfile } from '../contract/profile.ts';
import type { GenerationRequest } from '../contract/request.ts';
import type { PlainAnswer } from '../relay/plain-answer.ts';
import { finalCounts } from '../relay/token-counts.ts';
import { findUsage, parseUsage } from '../relay/usage-scan.ts';
import type { Endpoint } from './endpoint.ts';
import { bodyOf, clientLabels, fieldTable, NO_TOOLS, readFields } from './fields.ts';
import { type Prompt, promptsJson, promptsSize, readPrompts } from './prompts.ts';

export interface EmbeddingRequest extends GenerationRequest {
  inputs: readonly Prompt[];
  encoding: 'float' | 'base64' | undefined;
  dimensions: number | undefined;
}

/** OpenAI's own: 2,048 inputs, 300,000 tokens. */
const LIMITS = { maxPrompts: 2_048, maxTokens: 300_000 };

export const OWN = fieldTable({
  model: (value) => checkString('model', value, 256),
  input: (value) => value,
  encoding_format: (value) => checkOneOf('encoding_format', value, ['float', 'base64']),
  dimensions: (value) => checkInteger('dimensions', value, { min: 1, max: 65_536 }),
  user: (value) => value,
});
const NONE: ReadonlySet<string> = new Set();

function parse(body: unknown, profile: ContractProfile): EmbeddingRequest {
  const read = readFields(body, OWN, NONE, profile);
  const inputs = readPrompts('input', bodyOf(body).input, LIMITS);
  if (read.model === undefined) throw invalid('model', 'name the embedding model.');
  return {
    ...NO_TOOLS,
    model: read.model as string,
    inputs,
    encoding: read.encoding_format as 'float' | 'base64' | undefined,
    dimensions: read.dimensions as number | undefined,
    stream: false,
    usageInStream: 'hidden',
    choices: 1,
    maxTokens: 0,
    minTokens: 0,
    // Half of the vectors would be worth nothing.
    needsWholeOutput: true,
    labels: clientLabels(read.user),
  };
}

/** A big batch is megabytes of numbers: it is passed on as it came, only its usage is read. */
export function readEmbeddings(body: Buffer): PlainAnswer | null {
  const text = body.toString('latin1');
  const span = findUsage(text);
  if (!text.startsWith('{') || !/\}\s*$/.test(text) || !text.includes('"data":[') || span === null) return null;
  try {
    const counts = finalCounts(parseUsage(text, span));
    if (counts === null) return null;
    return {
      counts: { ...counts, completionTokens: 0 },
      finishReasons: [],
      guessedTokens: 0,
      violation: null,
      body: text,
    };
  } catch {
    return null;
  }
}

export const EMBEDDINGS: Endpoint<EmbeddingRequest> = {
  name: '/embeddings',
  scope: 'embeddings',
  workerPath: '/v1/embeddings',
  engines: ['vllm', 'sglang'],
  errors: 'contract',
  parse,
  text: (request) => ({ messages: promptsJson(request.inputs), tools: null }),
  size: (request) => promptsSize(request.inputs, 1),
  body({ model, encoding, dimensions }, { text }) {
    let json = `{"model":${JSON.stringify(model)},"input":${text.messages}`;
    if (encoding !== undefined) json += `,"encoding_format":"${encoding}"`;
    if (dimensions !== undefined) json += `,"dimensions":${dimensions}`;
    return `${json}}`;
  },
  tokenizeBody: ({ model, inputs }) =>
    inputs.length === 1 && typeof inputs[0] === 'string' ? JSON.stringify({ model, prompt: inputs[0] }) : null,
  streamReader: () => {
    throw new Error('embeddings are never streamed');
  },
  plainReader: () => readEmbeddings,
};
