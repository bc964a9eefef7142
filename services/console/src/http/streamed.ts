/** Answers that are no JSON of a schema: files, event streams, redirections. */
import { once } from 'node:events';
import type { Response } from 'express';
import type { Streamed } from './route.ts';

/** Sends it with back-pressure; stops asking for more when the client is gone. */
export async function sendStreamed(response: Response, { status, headers, body }: Streamed): Promise<void> {
  response.status(status).set(headers);
  if (body === null || typeof body === 'string') {
    response.end(body ?? '');
    return;
  }
  response.flushHeaders();
  for await (const part of body) {
    if (response.destroyed) break;
    if (!response.write(part) && !response.destroyed) {
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
  }
  response.end();
}
