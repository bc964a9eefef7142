/** Asks a worker who it is: its models, its engine and version, the paths that it serves. */
import type { Engine } from '@tollgate/shared/domain/worker';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { isListed } from '../discovery/source.ts';
import type { Pools } from '../upstream/pools.ts';
import { dialectOf, readModels, VERSION_PATHS } from './identity.ts';
import type { Worker } from './worker.ts';

export interface IdentifyParts {
  pools: Pools;
  timeoutMs: number;
  logger: Logger;
  /** Context that the catalogue promises for a model; null = not sold. */
  promisedContext: (model: string) => number | null;
  /** Paths that workers may serve beside chat. */
  paths: readonly string[];
}

/**
 * Reads which models the worker serves. Those with less context than promised do not count, nor do those that its source
 * did not name (`listed`; null: it named none). Throws when the worker does not answer as one.
 */
export async function identify(worker: Worker, listed: readonly string[] | null, parts: IdentifyParts): Promise<void> {
  const { pools, timeoutMs, promisedContext, logger } = parts;
  const answer = await pools.call(worker.url, { method: 'GET', path: '/v1/models' }, timeoutMs);
  if (answer.status !== 200) throw new Error(`/v1/models answered ${answer.status}`);
  const { models: served, engine } = readModels(answer.text);
  const models: string[] = [];
  for (const { id, maxModelLen: context } of served) {
    if (!isListed(id, listed)) continue;
    const promised = promisedContext(id);
    if (context !== null) worker.maxModelLen = context;
    if (promised !== null && context !== null && context < promised) {
      logger.error({ worker: worker.url, model: id, context, promised }, 'worker has less context than sold');
    } else models.push(id);
  }
  await learnDialect(worker, engine ?? worker.engine, parts);
  worker.paths = await learnPaths(worker, parts);
  worker.models = models;
}

/**
 * Which of the paths the worker serves. Both engines answer a GET of a POST route with 405 and of no route with 404,
 * whether or not their documentation is switched off.
 */
async function learnPaths({ url }: Worker, { pools, timeoutMs, paths }: IdentifyParts): Promise<ReadonlySet<string>> {
  const served = new Set<string>();
  await Promise.all(
    paths.map(async (path) => {
      const answer = await pools.call(url, { method: 'GET', path }, timeoutMs).catch(() => null);
      if (answer?.status === 405) served.add(path);
    }),
  );
  return served;
}

async function learnDialect(
  worker: Worker,
  engine: Engine,
  { pools, timeoutMs, logger }: IdentifyParts,
): Promise<void> {
  const answer = await pools.call(worker.url, { method: 'GET', path: VERSION_PATHS[engine] }, timeoutMs);
  const dialect = dialectOf(engine, answer.status === 200 ? answer.text : '');
  if (dialect.engine !== worker.engine) logger.info({ worker: worker.url, engine }, 'worker told its engine');
  worker.dialect = dialect;
}
