/** The dashboard's build: hashed files for ever, everything else that wants a page gets the one page. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Router } from 'express';

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const FOREVER = 'public, max-age=31536000, immutable';
/** Never a page: a wrong address there must say so. */
const NOT_PAGES = /^\/(api|docs\/errors|openapi\.json|healthz|readyz|v1|assets)(\/|$)/;

/** Null when there is no build. */
export function dashboardFiles(folder: string): Router | null {
  const index = join(folder, 'index.html');
  if (!existsSync(index)) return null;
  const html = readFileSync(index);
  const router = express.Router();
  router.use(
    express.static(folder, {
      index: false,
      redirect: false,
      dotfiles: 'ignore',
      setHeaders: (response, path) => {
        response.setHeader('content-security-policy', POLICY);
        response.setHeader('cache-control', path.includes('/assets/') ? FOREVER : 'no-cache');
      },
    }),
  );
  router.use((request, response, next) => {
    const wantsPage =
      request.method === 'GET' && !NOT_PAGES.test(request.path) && request.accepts(['json', 'html']) === 'html';
    if (!wantsPage) {
      next();
      return;
    }
    response.set({ 'content-security-policy': POLICY, 'cache-control': 'no-cache' }).type('html').send(html);
  });
  return router;
}
