import type { RequestContext } from '../context.ts';
import type { Pools } from './pools.ts';

/** Prompt tokens of the request as its worker's own tokenizer counts them, or null when it does not say in time. */
export async function countPromptTokens(
  ctx: RequestContext,
  pools: Pick<Pools, 'call'>,
  timeoutMs: number,
): Promise<number | null> {
  if (!ctx.workerUrl || !ctx.generation || !ctx.request || !ctx.text) return null;
  try {
    const body = ctx.generation.tokenizeBody(ctx.request, ctx.text);
    if (body === null) return null;
    const answer = await pools.call(ctx.workerUrl, { method: 'POST', path: '/tokenize', body }, timeoutMs);
    const { count } = JSON.parse(answer.text) as { count?: unknown };
    return answer.status === 200 && Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : null;
  } catch {
    return null;
  }
}
