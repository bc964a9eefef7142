/** Bodies that are no JSON of a schema: answers such as files and event streams, and files that come in. */
import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Request, Response } from 'express';
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

/**
 * The bytes of a body as they come. Whoever stops reading them leaves the connection whole: the rest is thrown away, so
 * that the client gets the refusal and not a broken line. A cut upload ends with an error, never as a shorter file.
 */
export function contentOf(request: Request): Readable {
  const content = new PassThrough();
  const cut = () => new AppError('invalid_request', { message: 'The upload was cut.' });
  request.once('error', () => content.destroy(cut()));
  request.once('close', () => {
    if (!request.complete) content.destroy(cut());
  });
  content.once('close', () => {
    request.unpipe(content);
    request.resume();
  });
  return request.pipe(content);
}
