/** What anybody may read: probes, the OpenAPI documents, the page of each error. */
import { AppError } from '@tollgate/shared/domain/errors';
import { hostDocumentText } from '@tollgate/shared/runtime/host-document';
import express, { type RequestHandler, type Router } from 'express';
import { errorIndexHtml, errorIndexMarkdown, errorPageHtml, errorPageMarkdown, isErrorCode } from '../errors/pages.ts';

export interface OpenRoutesOptions {
  openApi: object;
  /** Why this console cannot serve, or null when it can. */
  unready(): Promise<string | null>;
  /** Routes for other services of the installation, which authenticate by themselves. */
  services?: readonly Router[];
}

const probe: RequestHandler = (_request, response, next) => {
  response.locals.operation = 'probe';
  next();
};

export function openRoutes({ openApi, unready, services = [] }: OpenRoutesOptions): Router {
  const router = express.Router();
  const host = hostDocumentText();
  for (const routes of services) router.use(routes);
  router.get('/healthz', probe, (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/readyz', probe, async (_request, response) => {
    const reason = await unready();
    response
      .status(reason === null ? 200 : 503)
      .json(reason === null ? { status: 'ready' } : { status: 'unready', reason });
  });
  router.get('/openapi.json', (_request, response) => {
    response.json(openApi);
  });
  // Of the routers' host, at the address that it has there: the dashboard may ask no other host than this.
  router.get('/v1/openapi.json', (_request, response) => {
    response.type('json').send(host);
  });
  router.get('/docs/errors', (request, response) => {
    response.format({
      html: () => response.send(errorIndexHtml()),
      'text/markdown': () => response.send(errorIndexMarkdown()),
      default: () => response.type('html').send(errorIndexHtml()),
    });
    request.resume();
  });
  router.get('/docs/errors/:code', (request, response) => {
    const raw = String(request.params.code);
    const wantsMarkdown = raw.endsWith('.md');
    const code = wantsMarkdown ? raw.slice(0, -3) : raw;
    if (!isErrorCode(code)) throw new AppError('not_found');
    if (wantsMarkdown) response.type('text/markdown').send(errorPageMarkdown(code));
    else
      response.format({
        html: () => response.send(errorPageHtml(code)),
        'text/markdown': () => response.send(errorPageMarkdown(code)),
        default: () => response.type('html').send(errorPageHtml(code)),
      });
  });
  return router;
}
