/**
 * Metering's own port: batches, kept bodies, and `POST /ingest` for usage records that a stopping router could not get confirmed, and for
 * `tollgate usage import`. Authenticated by the service token.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KEPT_BODIES_PATH } from '@tollgate/shared/contracts/kept-body';
import type { Db } from '@tollgate/shared/db/client';
import { tx } from '@tollgate/shared/db/tx';
import type { ListenAddress } from '@tollgate/shared/runtime/config';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { serviceTokenCheck } from '@tollgate/shared/runtime/service-caller';
import express from 'express';
import type { BatchApi } from '../batches/api.ts';
import { BodyDesk } from '../bodies/keep.ts';
import type { Recorded, Recorder } from '../drain/recorder.ts';
import { batchRoutes } from './batches.ts';

export interface HttpDeps {
  db: Db;
  recorder: Recorder;
  serviceToken: string;
  logger: Logger;
  ready: () => Promise<boolean>;
  /** Told after records were posted: verdicts about these accounts are out of date. */
  onFreed: (freed: Recorded['freed']) => Promise<void>;
  /** null = batches run elsewhere, or nowhere. */
  batches: BatchApi | null;
  bodies: Pick<BodyDesk, 'take'>;
}

export interface HttpServer {
  url: string;
  port: number;
  close(): Promise<void>;
}

const BODY_LIMIT = '16mb';
const RECORDS_MAX = 10_000;
const PER_TRANSACTION = 500;

export async function startHttpServer(listen: ListenAddress, deps: HttpDeps): Promise<HttpServer> {
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', (_, response) => void response.json({ status: 'ok' }));
  app.get('/readyz', async (_, response) => {
    const ready = await deps.ready();
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not_ready' });
  });
  app.post(
    '/ingest',
    authenticate(deps.serviceToken),
    express.json({ limit: BODY_LIMIT }),
    async (request, response) => {
      const records: unknown = request.body?.records;
      if (
        !Array.isArray(records) ||
        records.length > RECORDS_MAX ||
        !records.every((text) => typeof text === 'string')
      ) {
        refuse(response, 400, 'invalid_request', `records must be an array of at most ${RECORDS_MAX} texts`);
        return;
      }
      try {
        response.json(await ingest(deps, records as string[]));
      } catch (error) {
        deps.logger.warn({ err: error, records: records.length }, 'ingest failed');
        refuse(
          response,
          503,
          'store_unavailable',
          'the ledger cannot be reached; nothing is lost when you send this again',
        );
      }
    },
  );
  app.post(
    KEPT_BODIES_PATH,
    authenticate(deps.serviceToken),
    express.json({ limit: BodyDesk.callBytes }),
    async (request, response) => {
      try {
        const kept = await deps.bodies.take(request.body);
        if (kept === null) refuse(response, 400, 'invalid_request', 'bodies must be a list of kept bodies');
        else response.json({ kept });
      } catch (error) {
        deps.logger.warn({ err: error }, 'kept bodies wait at the routers');
        refuse(response, 503, 'store_unavailable', 'the database cannot be reached; send these again');
      }
    },
  );
  if (deps.batches !== null) {
    app.use('/v1/batches', authenticate(deps.serviceToken), batchRoutes(deps.batches, deps.logger));
  }
  app.use((_: express.Request, response: express.Response) =>
    refuse(response, 404, 'not_found', 'there is nothing here'),
  );
  app.use((error: { status?: number }, _: express.Request, response: express.Response, next: express.NextFunction) => {
    if (response.headersSent) return next(error);
    const status = error.status ?? 500;
    refuse(response, status, status < 500 ? 'invalid_request' : 'internal_error', 'the request could not be read');
  });

  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

/** Posts the records; those that are none are kept as dead letters and count as taken: sending them again helps nobody. */
async function ingest({ db, recorder, onFreed }: HttpDeps, records: readonly string[]) {
  const total = { accepted: 0, posted: 0, repeated: 0, deadLetters: 0 };
  for (let from = 0; from < records.length; from += PER_TRANSACTION) {
    const texts = records.slice(from, from + PER_TRANSACTION).map((text) => ({
      source: `ingest|${createHash('sha256').update(text).digest('hex')}`,
      text,
      streamId: null,
    }));
    const recorded = await tx(db, (trx) => recorder.record(trx, texts));
    recorded.report();
    await onFreed(recorded.freed);
    total.accepted += texts.length;
    total.posted += recorded.posted;
    total.repeated += recorded.repeated;
    total.deadLetters += recorded.deadLetters;
  }
  return total;
}

function authenticate(token: string): express.RequestHandler {
  const isService = serviceTokenCheck(token);
  return (request, response, next) => {
    if (isService(request.headers.authorization)) return next();
    refuse(response, 401, 'invalid_service_token', 'the service token is missing or wrong');
  };
}

function refuse(response: express.Response, status: number, code: string, message: string): void {
  const type = status < 500 ? 'invalid_request_error' : 'server_error';
  response.status(status).json({ error: { message, type, param: null, code } });
}
