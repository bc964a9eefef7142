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
const generate = (handle: Route['handle']): Route => ({ generates: true, handle });

export const ROUTES: ReadonlyMap<string, ReadonlyMap<string, Route>> = new Map([
  ['/v1/chat/completions', new Map([['POST', generate(handleChat)]])],
  ['/v1/completions', new Map([['POST', generate(handleCompletions)]])],
  ['/v1/embeddings', new Map([['POST', generate(handleEmbeddings)]])],
  ['/tokenize', new Map([['POST', read(handleTokenize)]])],
  ['/detokenize', new Map([['POST', read(handleDetokenize)]])],
  ['/metrics', new Map([['GET', read(handleMetrics)]])],
  ['/v1/models', new Map([['GET', read(handleModels)]])],
  ['/health', new Map([['GET', read(handleHealth)]])],
  [
    '/ping',
    new Map([
      ['GET', read(handleHealth)],
      ['POST', read(handleHealth)],
    ]),
  ],
  ['/version', new Map([['GET', read(handleVersion)]])],
  ['/load', new Map([['GET', read(handleLoad)]])],
  ['/devworker/state', new Map([['GET', read(handleState)]])],
  [
    '/devworker/faults',
    new Map([
      ['GET', read(handleState)],
      ['POST', read(handleFaults)],
    ]),
  ],
]);
