/** The HTTP server under Express: time-outs of requests (never of answers), and JSON even for what is no HTTP. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AppError } from '@tollgate/shared/domain/errors';
import type { ContractProfile } from '../contract/profile.ts';

const REQUEST_TIMEOUT_MS = 120_000;
const HEADERS_TIMEOUT_MS = 30_000;
/** Above the idle time-outs of usual balancers, so that they close first. */
const KEEP_ALIVE_MS = 65_000;

const STATUS: Record<string, [number, string]> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
};

/** How bytes that are no request are answered: no contract was chosen yet, and no id given. */
export interface ClientErrors {
  profile: Pick<ContractProfile, 'renderError'>;
  requestId(): string;
}

export function createHttpServer(listener: RequestListener, clientErrors: ClientErrors): Server {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
    listener,
  );
  server.on('clientError', (error, socket) => answerClientError(error, socket as Socket, clientErrors));
  return server;
}

/** Resolves to the server's own URL once it takes connections. */
export function listen(server: Server, address: { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      const { port } = server.address() as AddressInfo;
      resolve(`http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`);
    });
  });
}

/** Bytes that are no request have no context: a fixed answer, and the connection ends. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket, { profile, requestId }: ClientErrors): void {
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const [status, reason] = STATUS[error.code ?? ''] ?? [400, 'Bad Request'];
  const body = JSON.stringify(profile.renderError(new AppError('invalid_request', { message: `${reason}.` })).body);
  const headers = [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId()}`,
    'connection: close',
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
