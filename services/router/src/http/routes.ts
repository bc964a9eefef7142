/** Express's part: addresses to pipeline. Express types stop in this folder. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { openAiModel } from '@tollgate/shared/contracts/openai/models';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { hostDocumentText } from '@tollgate/shared/runtime/host-document';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { authenticate, checkScope, mayUseModel } from '../admission/authenticate.ts';
import type { RequestContext } from '../context.ts';
import { ContractError, type ContractProfile } from '../contract/profile.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';
import { ENDPOINTS } from '../endpoints/index.ts';
import { PASS_THROUGH, passThrough } from '../passthrough/pass-through.ts';
import type { PassThroughRoute } from '../passthrough/routes.ts';
import { type Exchange, type PipelineParts, serve } from '../pipeline.ts';
import { type QuoteParts, quote } from '../quote.ts';
import { hasDots, SERVICE_PATHS, type ServiceName, type ServicePath } from '../service-paths.ts';
import { readJson } from './body.ts';
import { sendError } from './error-response.ts';
import { commonHeaders } from './headers.ts';
import type { createPassThroughProxy } from './pass-through-proxy.ts';
import type { ServiceProxy } from './service-proxy.ts';

export interface RouteParts {
  /** The first is the one that strangers' addresses are answered by. */
  profiles: readonly ContractProfile[];
  /** Host name -> contract that is served there without its prefix. */
  hosts: ReadonlyMap<string, string>;
  pipeline: PipelineParts;
  bodyLimitBytes: number;
  /** Opens the context of a request. */
  open: (profile: ContractProfile, endpoint: string, clientRequestId: string | null) => RequestContext;
  /** Ends one that was no generation. */
  closeSmall: (ctx: RequestContext) => void;
  models: () => readonly CatalogModel[];
  keyView: (record: KeyRecord) => Promise<unknown>;
  passThrough: { routes: readonly PassThroughRoute[]; carry: ReturnType<typeof createPassThroughProxy> };
  services: { urls: ReadonlyMap<ServiceName, string>; pass: ServiceProxy };
  /** What a quote needs beside the pipeline's own parts. */
  quoting: Pick<QuoteParts, 'money' | 'outboxBound' | 'expectedFirstTokenMs'>;
  /** Public keys of receipts, as JSON text; null while nobody can tell them. */
  receiptKeys: () => Promise<string | null>;
  ready: () => { ready: boolean; reasons: string[] };
}

export function createRoutes(parts: RouteParts): RequestListener {
  const app = createApp(parts);
  const generations = generationsByUrl(parts);
  return (req, res) => {
    const generation = req.method === 'POST' ? generations.get(req.url!) : undefined;
    if (generation === undefined) app(req, res);
    else generation(req, res).catch((error: unknown) => refuse(req, res, parts, toAppError(error)));
  };
}

/** Every address that the host answers at. */
export function createApp(parts: RouteParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // A query string means nothing here; not parsing it saves work.
  app.set('query parser', false);

  if (parts.hosts.size > 0) app.use(contractOfHost(parts));
  for (const profile of parts.profiles) addContract(app, profile, parts);
  for (const profile of parts.profiles.filter(isDocumented)) addDocument(app, profile);
  for (const route of parts.passThrough.routes) addPassThrough(app, route, parts);
  app.get('/healthz', (_req, res) => text(res, 200, 'ok\n'));
  app.get('/.well-known/jwks.json', (_req, res) => void tellKeys(res, parts));
  app.get('/readyz', (_req, res) => {
    const { ready, reasons } = parts.ready();
    text(res, ready ? 200 : 503, ready ? 'ready\n' : `not ready: ${reasons.join(', ')}\n`);
  });

  for (const [path, allow] of addresses(parts.profiles)) {
    app.all(path, (req, res) => {
      res.setHeader('allow', allow);
      refuse(req, res, parts, new AppError('method_not_allowed'));
    });
  }
  app.use((req, res) => refuse(req, res, parts, nothingHere(req.path, profileOf(req.path, parts))));
  app.use((error: unknown, req: Request, res: Response, _next: NextFunction) => {
    // Express's own errors (a malformed %-escape in the path) are the client's; anything else is ours.
    const status = (error as { status?: number }).status;
    refuse(req, res, parts, status === 400 ? new AppError('not_found') : toAppError(error));
  });
  return app;
}

type Handler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/**
 * Generations by their exact addresses: they go straight to the pipeline, without a walk through all layers of Express.
 * Whatever else means the same address (another case, a slash or a query at its end, a contract's own host) takes it.
 */
function generationsByUrl(parts: RouteParts): ReadonlyMap<string, Handler> {
  const found = new Map<string, Handler>();
  if (parts.hosts.size > 0) return found;
  for (const profile of parts.profiles) {
    for (const name of profile.endpoints) {
      found.set(profile.basePath + name, (req, res) => generate(req, res, profile, ENDPOINTS[name], parts));
    }
  }
  return found;
}

/** At a contract's own host its paths begin without the prefix: they are read as if it were there. */
function contractOfHost({ hosts, profiles }: RouteParts): (req: Request, res: Response, next: NextFunction) => void {
  const prefixes = new Map<string, string>();
  for (const [host, name] of hosts) {
    const profile = profiles.find((entry) => entry.name === name);
    if (profile === undefined) throw new ContractError([`${host}: the contract ${name} is not served`]);
    prefixes.set(host, profile.prefix);
  }
  return (req, _res, next) => {
    const prefix = prefixes.get((req.headers.host ?? '').toLowerCase().replace(/:\d+$/, ''));
    if (prefix && !OWN.has(req.path)) req.url = prefix + req.url;
    next();
  };
}

/** Addresses of the router itself, the same at every host. */
const OWN = new Set(['/healthz', '/readyz', '/.well-known/jwks.json']);

/** The addresses of one contract. */
function addContract(app: Express, profile: ContractProfile, parts: RouteParts): void {
  const base = profile.basePath;
  for (const name of profile.endpoints) {
    app.post(base + name, (req, res) => generate(req, res, profile, ENDPOINTS[name], parts));
  }
  for (const entry of SERVICE_PATHS) {
    if (!profile.paths.has(entry.in)) continue;
    app.all([base + entry.path, `${base}${entry.path}/*rest`], (req, res) => passOn(req, res, profile, entry, parts));
  }
  if (profile.paths.has('/quote')) {
    app.post(`${base}/quote`, (req, res) =>
      small(profile, parts, '/quote', async (ctx) => {
        const body = await readJson(req, parts.bodyLimitBytes, profile.contentTypeRequired);
        return quote(ctx, body, { ...parts.pipeline, ...parts.quoting });
      })(req, res),
    );
  }
  app.get(
    `${base}/models`,
    small(profile, parts, '/models', async (_ctx, key) => ({
      object: 'list',
      data: sold(key, parts).map((model) => shownModel(model, profile)),
    })),
  );
  // A model id may hold a slash, raw or as %2F: the rest of the path is the id.
  app.get(new RegExp(`^${base}/models/(.+)$`), (req, res) =>
    small(profile, parts, '/models/{id}', async (_ctx, key) =>
      shownModel(oneModel(modelId(req.path, base), key, parts), profile),
    )(req, res),
  );
  if (profile.hasCatalog) {
    app.get(
      `${base}/catalog`,
      small(profile, parts, '/catalog', async (_ctx, key) => ({
        object: 'list',
        data: sold(key, parts).map((model) => ({ ...shownModel(model, profile), pricing: shownPrices(model) })),
      })),
    );
  }
  app.get(
    `${base}/key`,
    small(profile, parts, '/key', (_ctx, key) => parts.keyView(key)),
  );
}

/** The contract that the OpenAPI document of the host tells of. */
const isDocumented = ({ name }: ContractProfile) => name === 'openai';

/** For anybody: it says nothing of this installation. */
function addDocument(app: Express, { basePath }: ContractProfile): void {
  const document = hostDocumentText();
  app.get(`${basePath}/openapi.json`, (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' }).end(document);
  });
}

function addresses(profiles: readonly ContractProfile[]): [string | RegExp, string][] {
  const documents = profiles.filter(isDocumented).map(({ basePath }) => `${basePath}/openapi.json`);
  const ofContracts = profiles.flatMap(({ basePath, hasCatalog, endpoints, paths }): [string | RegExp, string][] => [
    ...endpoints.map((name): [string, string] => [basePath + name, 'POST']),
    ...(paths.has('/quote') ? [[`${basePath}/quote`, 'POST'] as [string, string]] : []),
    [`${basePath}/models`, 'GET, HEAD'],
    [new RegExp(`^${basePath}/models/(.+)$`), 'GET, HEAD'],
    [`${basePath}/key`, 'GET, HEAD'],
    ...(hasCatalog ? [[`${basePath}/catalog`, 'GET, HEAD'] as [string, string]] : []),
  ]);
  return [...ofContracts, ...[...OWN, ...documents].map((path): [string, string] => [path, 'GET, HEAD'])];
}

/** Whose words an error at this address is told in. */
function profileOf(path: string, { profiles }: RouteParts): ContractProfile {
  return profiles.find(({ basePath }) => path.startsWith(`${basePath}/`)) ?? profiles[0]!;
}

function nothingHere(path: string, profile: ContractProfile): AppError {
  const advice = profile.advice.get(path.slice(profile.basePath.length));
  return new AppError(
    'not_found',
    advice === undefined ? {} : { message: `There is nothing at this address. ${advice}` },
  );
}

async function generate(
  req: IncomingMessage,
  res: ServerResponse,
  profile: ContractProfile,
  endpoint: Endpoint,
  parts: RouteParts,
): Promise<void> {
  const ctx = parts.open(profile, endpoint.name, clientRequestId(req));
  ctx.userAgent = userAgent(req);
  await serve(ctx, endpoint, exchangeOf(req, res, profile, parts), parts.pipeline);
}

function exchangeOf(req: IncomingMessage, res: ServerResponse, profile: ContractProfile, parts: RouteParts): Exchange {
  return {
    headers: authHeaders(req),
    header: (name) => singleHeader(req, name),
    readJson: (received) => readJson(req, parts.bodyLimitBytes, profile.contentTypeRequired, received),
    response: res,
    sendError: (context, error) => sendError(context, req, res, error),
  };
}

/** A worker endpoint that the operator opened; errors are told as the first contract does. */
function addPassThrough(app: Express, route: PassThroughRoute, parts: RouteParts): void {
  const profile = parts.profiles[0]!;
  for (const method of route.methods) {
    app[method === 'GET' ? 'get' : 'post'](route.path, async (req, res) => {
      const ctx = parts.open(profile, PASS_THROUGH, clientRequestId(req));
      ctx.userAgent = userAgent(req);
      const exchange = exchangeOf(req, res, profile, parts);
      await passThrough(ctx, route, exchange, parts.passThrough.carry(ctx, route.workerPath, req, res), parts.pipeline);
    });
  }
}

/** A request that another service answers. */
async function passOn(
  req: Request,
  res: Response,
  profile: ContractProfile,
  entry: ServicePath,
  parts: RouteParts,
): Promise<void> {
  const ctx = parts.open(profile, entry.path, clientRequestId(req));
  res.once('close', () => parts.closeSmall(ctx));
  try {
    const header = (name: string) => singleHeader(req, name);
    ctx.key = profile.identify(await authenticate(authHeaders(req), parts.pipeline.auth), header);
    checkScope(ctx.key, entry.scope);
    const target = parts.services.urls.get(entry.service);
    if (target === undefined)
      throw new AppError('service_unavailable', { internal: `no ${entry.service} is configured` });
    if (hasDots(req.url)) throw new AppError('not_found');
    parts.services.pass(ctx, target, req.url.slice(profile.basePath.length), req, res);
  } catch (error) {
    ctx.error = toAppError(error);
    sendError(ctx, req, res, ctx.error);
  }
}

/** A small authenticated answer that costs nothing. */
function small(
  profile: ContractProfile,
  parts: RouteParts,
  endpoint: string,
  answer: (ctx: RequestContext, key: KeyRecord) => Promise<unknown>,
): (req: Request, res: Response) => Promise<void> {
  return async (req, res) => {
    const ctx = parts.open(profile, endpoint, clientRequestId(req));
    try {
      ctx.key = await authenticate(authHeaders(req), parts.pipeline.auth);
      const body = Buffer.from(JSON.stringify(await answer(ctx, ctx.key)));
      ctx.status = 200;
      const headers = { ...commonHeaders(ctx), 'content-type': 'application/json' };
      res.writeHead(200, { ...headers, 'content-length': String(body.length) });
      res.end(req.method === 'HEAD' ? undefined : body);
    } catch (error) {
      ctx.error = toAppError(error);
      sendError(ctx, req, res, ctx.error);
    } finally {
      parts.closeSmall(ctx);
    }
  };
}

function refuse(req: IncomingMessage, res: ServerResponse, parts: RouteParts, error: AppError): void {
  const ctx = parts.open(profileOf(req.url ?? '', parts), 'other', null);
  ctx.error = error;
  sendError(ctx, req, res, error);
  parts.closeSmall(ctx);
}

function sold(key: KeyRecord, parts: RouteParts): CatalogModel[] {
  return parts.models().filter((model) => model.enabled && mayUseModel(key, model.id));
}

function oneModel(id: string, key: KeyRecord, parts: RouteParts): CatalogModel {
  const model = parts.models().find((entry) => entry.id === id);
  if (!model?.enabled || !mayUseModel(key, id)) throw new AppError('model_not_found', { param: 'model' });
  return model;
}

function shownModel(model: CatalogModel, { modelFields }: ContractProfile): Record<string, unknown> {
  const whole = openAiModel(model);
  return Object.fromEntries(modelFields.map((field) => [field, whole[field]]));
}

/** Nano-USD per million tokens, as decimal strings. */
function shownPrices({ prices }: CatalogModel): Record<string, string> {
  return {
    unit: 'nano_usd_per_million_tokens',
    input: String(prices.inputNusd),
    cached_input: String(prices.cachedInputNusd),
    output: String(prices.outputNusd),
  };
}

function modelId(path: string, base: string): string {
  try {
    return decodeURIComponent(path.slice(`${base}/models/`.length));
  } catch {
    throw new AppError('model_not_found', { param: 'model' });
  }
}

function authHeaders(req: IncomingMessage): {
  authorization: string | undefined;
  xApiKey: string | undefined;
  raw: string[];
  peer: string | undefined;
  forwardedFor: string | undefined;
} {
  const apiKey = req.headers['x-api-key'];
  return {
    authorization: req.headers.authorization,
    xApiKey: typeof apiKey === 'string' ? apiKey : undefined,
    raw: req.rawHeaders,
    peer: req.socket.remoteAddress,
    forwardedFor: singleHeader(req, 'x-forwarded-for'),
  };
}

function singleHeader(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** The client's own id goes to the log and the usage record, never to a worker and never back as ours. */
function clientRequestId(req: IncomingMessage): string | null {
  const id = req.headers['x-client-request-id'] ?? req.headers['x-request-id'];
  return typeof id === 'string' && /^[\x21-\x7e]{1,128}$/.test(id) ? id : null;
}

const MAX_USER_AGENT = 256;

function userAgent(req: IncomingMessage): string | null {
  const name = req.headers['user-agent'];
  return name !== undefined && /^[\x20-\x7e]+$/.test(name) ? name.slice(0, MAX_USER_AGENT) : null;
}

async function tellKeys(res: ServerResponse, parts: RouteParts): Promise<void> {
  const keys = await parts.receiptKeys();
  if (keys === null) return text(res, 503, 'the keys of receipts cannot be told now\n');
  res.writeHead(200, { 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=300' }).end(keys);
}

function text(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(body);
}
