/** Every address of the API's host, read off the very tables and routers that serve it: nothing here is written by hand. */
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { createApp, type RouteParts } from '@tollgate/router/http/routes';
import { SERVICE_PATHS } from '@tollgate/router/service-paths';
import { createLogger } from '@tollgate/shared/runtime/logger';
import type { Express, Router } from 'express';
import { fileRoutes } from '../../services/console/src/http/files.ts';
import { ownUsageRoutes } from '../../services/console/src/http/own-usage.ts';
import { batchRoutes } from '../../services/metering/src/http/batches.ts';
import { internalRoutes } from '../../services/retrieval/src/http/internal.ts';
import { vectorStoreRoutes } from '../../services/retrieval/src/http/vector-stores.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
/** Handlers are never called here, so what stands behind them need not exist. */
const nothing = {} as never;

interface Declared {
  /** `GET`; `ALL` = whatever the method. */
  method: string;
  path: string | RegExp;
}

/** What an Express application or router has, without what a middleware may still do. */
export function declared({ stack }: Pick<Router, 'stack'>): Declared[] {
  return stack.flatMap(({ route }) => {
    if (!route) return [];
    const names = Object.keys((route as unknown as { methods: Record<string, boolean> }).methods);
    // `all` of a router leaves one mark, `all` of an application every method that there is.
    const methods = names.includes('_all') || names.length > 9 ? ['ALL'] : names.map((name) => name.toUpperCase());
    const paths = [route.path].flat() as (string | RegExp)[];
    return paths.flatMap((path) => methods.map((method) => ({ method, path })));
  });
}

const named = ({ method, path }: Declared) => `${method} ${path}`;
const specific = ({ method }: Declared) => method !== 'ALL';

/** Of the services behind the router: what they answer for a key, and what only services may ask. */
export function serviceRoutes(): { forKeys: string[]; internal: string[] } {
  const ofConsole = [
    ...declared(fileRoutes(nothing, 'a service token')),
    ...declared(ownUsageRoutes(nothing, 'a service token')),
  ].filter(specific);
  const ofMetering = declared(batchRoutes(nothing, logger)).map(({ method, path }) => ({
    method,
    path: `/v1/batches${path === '/' ? '' : path}`,
  }));
  const ofRetrieval = [...vectorStoreRoutes(nothing), ...internalRoutes(nothing)].map(({ method, path }) => ({
    method: method.toUpperCase(),
    path,
  }));
  const all = [...ofConsole, ...ofMetering, ...ofRetrieval].map(named);
  return {
    forKeys: all.filter((name) => name.includes(' /v1/')),
    internal: all.filter((name) => !name.includes(' /v1/')),
  };
}

/** Of the router itself, under the contract `openai`; `passed` = the paths whose answers come from other services. */
export function routerRoutes(): { own: string[]; passed: string[] } {
  const profiles = loadProfiles({ docsBase: '', names: ['openai'] });
  const parts = { profiles, hosts: new Map(), passThrough: { routes: [], carry: nothing } };
  const app: Express = createApp(parts as unknown as RouteParts);
  const all = declared(app.router as unknown as Router);
  const passed = new Set(SERVICE_PATHS.flatMap(({ path }) => [`/v1${path}`, `/v1${path}/*rest`]));
  const own = all.filter(specific).map(named);
  // What answers any method is either passed on, or the 405 of an address that has a method of its own.
  const paths = new Set(all.filter(specific).map(({ path }) => String(path)));
  const unknown = all.filter(
    (each) => !specific(each) && !passed.has(String(each.path)) && !paths.has(String(each.path)),
  );
  if (unknown.length > 0) throw new Error(`routes that answer any method: ${unknown.map(named).join(', ')}`);
  return { own, passed: all.filter((each) => !specific(each) && passed.has(String(each.path))).map(named) };
}
