/** One bounded call to retrieval. Anything but its answer is an error of the request that asked. */
import { type Identity, identityHeaders } from '@tollgate/shared/contracts/internal';
import type { GroundAnswer, GroundRequest } from '@tollgate/shared/contracts/retrieval';
import { AppError, ERRORS, type ErrorCode } from '@tollgate/shared/domain/errors';

export interface RetrievalClientOptions {
  url: string;
  serviceToken: string;
  timeoutMs: number;
  /** Calls of this router at the same time, and of one account among them. */
  concurrency: number;
  perAccount: number;
}

export type AskRetrieval = (who: Identity, request: GroundRequest) => Promise<GroundAnswer>;

const RETRY_MS = 1_000;
/** What retrieval may answer of the caller's own doing. All else is told as `retrieval_unavailable`. */
const PASSED_ON = new Set<string>([
  'not_found',
  'invalid_request',
  'unsupported_parameter',
  'insufficient_credits',
  'key_limit_reached',
  'credit_in_use',
  'account_frozen',
]);

export function createRetrievalClient(options: RetrievalClientOptions): AskRetrieval {
  const running = new Map<string, number>();
  let all = 0;
  return async (who, request) => {
    const own = running.get(who.accountId) ?? 0;
    if (all >= options.concurrency || own >= options.perAccount) {
      throw new AppError('retrieval_unavailable', { retryAfterMs: RETRY_MS, internal: 'too many groundings at once' });
    }
    all++;
    running.set(who.accountId, own + 1);
    try {
      return await ask(who, request, options);
    } finally {
      all--;
      const left = running.get(who.accountId)! - 1;
      if (left === 0) running.delete(who.accountId);
      else running.set(who.accountId, left);
    }
  };
}

async function ask(who: Identity, request: GroundRequest, options: RetrievalClientOptions): Promise<GroundAnswer> {
  let response: Response;
  let answer: GroundAnswer & { error?: { code?: string; message?: string; param?: string | null } };
  try {
    response = await fetch(`${options.url}/internal/ground`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${options.serviceToken}`,
        ...identityHeaders(who),
      },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(options.timeoutMs),
    });
    answer = (await response.json()) as typeof answer;
  } catch (cause) {
    throw new AppError('retrieval_unavailable', {
      retryAfterMs: RETRY_MS,
      cause,
      internal: 'retrieval does not answer',
    });
  }
  if (response.ok && Array.isArray(answer.passages)) return answer;
  const { code, message, param } = answer.error ?? {};
  if (code !== undefined && PASSED_ON.has(code)) {
    const retryAfterMs = ERRORS[code as ErrorCode].retryable ? RETRY_MS : undefined;
    throw new AppError(code as ErrorCode, {
      ...(message === undefined ? {} : { message }),
      param: param ?? 'rag_params',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  const retryAfterMs = Number(response.headers.get('retry-after-ms')) || RETRY_MS;
  throw new AppError('retrieval_unavailable', {
    retryAfterMs,
    internal: `retrieval answered ${response.status} ${code ?? ''}`,
  });
}
