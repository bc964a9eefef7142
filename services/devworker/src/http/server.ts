/** The HTTP server of one worker: reads bodies, finds the route, answers errors in the real server's words. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ApiError } from '../dialects/vllm/errors.ts';
import { type FieldError, validationError } from '../dialects/vllm/pydantic.ts';
import { FAULT_HEADER, type Fault, parseFault } from './faults.ts';
import { JsonDecodeError, JsonTooDeepError, parsePythonJson } from './python-json.ts';
import { sendBody } from './respond.ts';
import { findRoute } from './routes.ts';
import type { Worker } from './worker.ts';

/** uvicorn closes an idle connection after 5 s. */
const KEEP_ALIVE_MS = 5_000;
const PREFLIGHT_VARY =
  'Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network';

async function readText(req: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

function mediaTypeError(): ApiError {
  return new ApiError(
    400,
    'Bad Request',
    "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed",
  );
}

/** Parses a request body, or throws what the real server answers. */
function parseBody(req: IncomingMessage, text: string, optional: boolean): unknown {
  const type = req.headers['content-type'] ?? '';
  if (!optional && !/^application\/json\s*(;|$)/i.test(type)) throw mediaTypeError();
  const missing = () => validationError([{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }]);
  if (text === '') throw missing();
  try {
    const body = parsePythonJson(text);
    if (body === null) throw missing();
    return body;
  } catch (error) {
    if (!(error instanceof JsonDecodeError)) throw error;
    const invalid: FieldError = {
      type: 'json_invalid',
      loc: ['body', error.position],
      msg: 'JSON decode error',
      input: {},
      ctx: { error: error.message },
    };
    throw validationError([invalid]);
  }
}

function answerError(worker: Worker, res: ServerResponse, error: unknown): void {
  const { errorBody } = worker.dialect;
  if (error instanceof ApiError) sendBody(res, error.status, errorBody(error));
  else if (error instanceof JsonTooDeepError) sendBody(res, 400, '{"detail":"There was an error parsing the body"}');
  else sendBody(res, 500, errorBody(new ApiError(500, 'InternalServerError', 'Internal server error')));
}

function answerPreflight(res: ServerResponse): void {
  res.removeHeader('connection');
  res.sendDate = false;
  res.writeHead(200, 'OK', [
    ...['date', new Date().toUTCString(), 'server', 'uvicorn', 'vary', PREFLIGHT_VARY],
    ...['access-control-allow-origin', '*', 'access-control-allow-methods'],
    ...['DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY', 'access-control-max-age', '600'],
    ...['content-length', '2', 'content-type', 'text/plain; charset=utf-8'],
  ]);
  res.end('OK');
}

/** The fault of this request: its own header, else the worker's. */
function faultOf(worker: Worker, req: IncomingMessage): Fault | undefined {
  const header = req.headers[FAULT_HEADER];
  if (typeof header !== 'string') {
    const { fault } = worker;
    if (fault && fault.times > 0 && --fault.times === 0) worker.fault = undefined;
    return fault;
  }
  try {
    return parseFault(header);
  } catch (error) {
    throw new ApiError(400, 'BadRequestError', (error as Error).message, FAULT_HEADER);
  }
}

/** Deals with faults that strike before the route. True: the request has been dealt with. */
function strikeEarly(worker: Worker, fault: Fault | undefined, res: ServerResponse): boolean {
  if (!fault) return false;
  if (fault.kind === 'refuse' || (fault.kind === 'die' && fault.at === 'headers')) {
    res.destroy();
    return true;
  }
  if (fault.kind === 'hang' && fault.at === 'headers') return true;
  if (fault.kind === 'status') {
    sendBody(
      res,
      fault.code,
      worker.dialect.errorBody(new ApiError(fault.code, 'InternalServerError', 'Internal server error')),
    );
    return true;
  }
  return false;
}

async function handle(worker: Worker, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const path = (req.url ?? '/').split('?', 1)[0]!;
  const method = req.method ?? 'GET';
  if (method === 'OPTIONS' && req.headers.origin && req.headers['access-control-request-method']) {
    answerPreflight(res);
    return;
  }
  const methods = findRoute(worker, path);
  if (!methods) {
    sendBody(res, 404, '{"detail":"Not Found"}');
    return;
  }
  const route = methods.get(method);
  if (!route) {
    const allow = [...methods.keys()].join(', ');
    sendBody(res, 405, '{"detail":"Method Not Allowed"}', { before: ['allow', allow] });
    return;
  }
  if (!route.generates) {
    await route.handle(
      worker,
      req,
      res,
      method === 'POST' ? parseBody(req, await readText(req), false) : undefined,
      undefined,
    );
    return;
  }
  const fault = faultOf(worker, req);
  if (strikeEarly(worker, fault, res)) return;
  worker.openRequests++;
  worker.totals.requests++;
  try {
    await route.handle(worker, req, res, parseBody(req, await readText(req), false), fault);
  } catch (error) {
    worker.totals.failed++;
    throw error;
  } finally {
    worker.openRequests--;
  }
}

export function createWorkerServer(worker: Worker): Server {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true, requestTimeout: 0 }, (req, res) => {
    handle(worker, req, res).catch((error) => answerError(worker, res, error));
  });
  return server;
}
