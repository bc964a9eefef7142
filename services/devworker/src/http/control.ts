/** The worker's own routes, which no real vLLM has: its state, and faults for all requests. */
import { isObject } from '../dialects/vllm/pydantic.ts';
import { parseFault } from './faults.ts';
import { sendBody } from './respond.ts';
import type { Route } from './routes.ts';
import type { Worker } from './worker.ts';

/** Counters since start, for tests and for the curious. */
export function workerState(worker: Worker): object {
  const { settings, totals, engine } = worker;
  return {
    model: settings.model,
    uptimeMs: worker.sinceStartMs(),
    speed: settings.speed,
    openRequests: worker.openRequests,
    fault: worker.fault ?? null,
    totals,
    engine: { ...engine.stats(), pendingPrefillTokens: engine.pendingPrefillTokens() },
  };
}

export const handleState: Route['handle'] = (worker, _req, res) =>
  sendBody(res, 200, JSON.stringify(workerState(worker)));

/** `{"fault":"die;after=3"}` sets the worker's fault, `{"fault":null}` takes it away. */
export const handleFaults: Route['handle'] = (worker, _req, res, body) => {
  const fault = isObject(body) ? body.fault : undefined;
  try {
    if (fault === null) worker.fault = undefined;
    else if (typeof fault === 'string') worker.fault = parseFault(fault);
    else throw new Error('give {"fault": "<kind>;<key>=<value>"} or {"fault": null}');
    sendBody(res, 200, JSON.stringify({ fault: worker.fault ?? null }));
  } catch (error) {
    sendBody(res, 400, JSON.stringify({ error: (error as Error).message }));
  }
};
