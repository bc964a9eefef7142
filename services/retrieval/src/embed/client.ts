/** Embeddings from the fleet, through the router like everybody's: metered, billed to the account that is worked for. */
import { AppError, ERRORS, type ErrorCode } from '@tollgate/shared/domain/errors';
import { IDEMPOTENCY_HEADER } from '@tollgate/shared/domain/idempotency';

export interface EmbedderOptions {
  /** Base of the router's API without `/v1`. */
  routerUrl: string;
  timeoutMs: number;
}

export interface Embedded {
  vectors: Float32Array[];
  /** As the engine counted; what was billed. */
  tokens: number;
}

/**
 * Gives vectors of unit length. With a `repeatKey` (an Idempotency-Key) a repeat is not billed again.
 * Throws AppError: what the router refused with (402, 429, ...), or `retrieval_unavailable`.
 */
export type Embed = (
  model: string,
  dimensions: number,
  texts: readonly string[],
  actingKey: string,
  signal?: AbortSignal,
  repeatKey?: string | null,
) => Promise<Embedded>;

interface Answer {
  data?: { index?: number; embedding?: string | number[] }[];
  usage?: { prompt_tokens?: number };
  error?: { code?: string; message?: string };
}

export function createEmbedder({ routerUrl, timeoutMs }: EmbedderOptions): Embed {
  return async (model, dimensions, texts, actingKey, signal, repeatKey = null) => {
    const limit = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let answer: Answer;
    try {
      response = await fetch(`${routerUrl}/v1/embeddings`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${actingKey}`,
          ...(repeatKey === null ? {} : { [IDEMPOTENCY_HEADER]: repeatKey }),
        },
        body: JSON.stringify({ model, input: texts, encoding_format: 'base64' }),
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
      answer = (await response.json()) as Answer;
    } catch (cause) {
      throw new AppError('retrieval_unavailable', { retryAfterMs: 2_000, cause, internal: 'no embeddings' });
    }
    if (!response.ok) throw refused(response, answer);
    return { vectors: vectorsOf(answer, texts.length, dimensions, model), tokens: answer.usage?.prompt_tokens ?? 0 };
  };
}

/** The account's own troubles (credit, caps, rates), and those of a repeat, are told as they are; ours are a 503. */
function refused(response: Response, { error }: Answer): AppError {
  const code = error?.code;
  const retryAfterMs = Number(response.headers.get('retry-after-ms')) || 2_000;
  if (code !== undefined && Object.hasOwn(ERRORS, code)) {
    const { blame, status } = ERRORS[code as ErrorCode];
    if (blame === 'account' || code === 'model_not_found' || code === 'answer_not_kept') {
      return new AppError(code as ErrorCode, status === 429 ? { retryAfterMs } : {});
    }
  }
  return new AppError('retrieval_unavailable', {
    retryAfterMs,
    internal: `embeddings: ${response.status} ${code ?? ''}`,
  });
}

function vectorsOf({ data }: Answer, count: number, dimensions: number, model: string): Float32Array[] {
  const vectors = new Array<Float32Array>(count);
  for (const [at, { index = at, embedding }] of (data ?? []).entries()) {
    if (embedding === undefined || index < 0 || index >= count) continue;
    vectors[index] = unit(typeof embedding === 'string' ? fromBase64(embedding) : Float32Array.from(embedding));
  }
  for (let i = 0; i < count; i++) {
    const length = vectors[i]?.length;
    if (length === dimensions) continue;
    throw new AppError('retrieval_unavailable', {
      retryAfterMs: 60_000,
      internal: `the model ${model} answers vectors of ${length ?? 'no'} dimensions, the collection has ${dimensions}`,
    });
  }
  return vectors;
}

function fromBase64(text: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  // A copy: a pooled buffer need not begin at a multiple of four.
  return new Float32Array(Uint8Array.from(bytes).buffer, 0, bytes.length >> 2);
}

function unit(vector: Float32Array): Float32Array {
  let square = 0;
  for (const value of vector) square += value * value;
  const length = Math.sqrt(square) || 1;
  return vector.map((value) => value / length);
}
