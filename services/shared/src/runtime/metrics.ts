/** Prometheus registry of a process and the small HTTP server that shows it on a port of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ListenAddress } from './config.ts';
import { type Exemplars, OPEN_METRICS_TYPE, openMetricsText } from './exemplars.ts';

export { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** A registry with the process's own figures and `tollgate_build_info`. Names start with `tollgate_`. */
export function createRegistry(service: string, version: string): Registry {
  const registry = new Registry();
  // Its timer wakes an idle process: ten times a second is often enough for a histogram of delays.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const info = new Gauge({
    name: 'tollgate_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['service', 'version', 'node'],
    registers: [registry],
  });
  info.set({ service, version, node: process.versions.node }, 1);
  return registry;
}

export interface MetricsServerOptions {
  /** Whether the process can serve: `/readyz` answers 200 or 503. Always ready when absent. */
  ready?: () => boolean | Promise<boolean>;
  /** Told to who asks for OpenMetrics. */
  exemplars?: Exemplars | undefined;
}

export interface MetricsServer {
  host: string;
  port: number;
  url: string;
  close(): Promise<void>;
}

/** Serves `/metrics`, `/healthz` and `/readyz`. Rejects with the system's error when the port is taken. */
export async function startMetricsServer(
  listen: ListenAddress,
  registry: Registry,
  { ready = () => true, exemplars }: MetricsServerOptions = {},
): Promise<MetricsServer> {
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    try {
      if (path === '/metrics') {
        const isOpen = exemplars !== undefined && request.headers.accept?.includes('application/openmetrics-text');
        const text = isOpen ? await openMetricsText(registry, exemplars) : await registry.metrics();
        response.writeHead(200, { 'content-type': isOpen ? OPEN_METRICS_TYPE : registry.contentType }).end(text);
      } else if (path === '/healthz') {
        response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      } else if (path === '/readyz') {
        const isReady = await ready();
        response.writeHead(isReady ? 200 : 503, { 'content-type': 'text/plain' });
        response.end(isReady ? 'ready\n' : 'not ready\n');
      } else {
        response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
      }
    } catch {
      response.writeHead(500, { 'content-type': 'text/plain' }).end('error\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return {
    host: listen.host,
    port,
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
