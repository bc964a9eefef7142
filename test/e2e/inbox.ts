/** A server that takes whatever is posted to it and answers 200: a mail relay, a receiver of webhooks. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Posted {
  headers: IncomingHttpHeaders;
  text: string;
}

export interface Inbox {
  url: string;
  /** In the order of their coming. */
  posted: Posted[];
  stop(): void;
}

export async function startInbox(): Promise<Inbox> {
  const posted: Posted[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    posted.push({ headers: request.headers, text });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    posted,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
