/** Receives a JSON body: bounded bytes, no compression, then bounded depth and element count. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { AppError } from '@tollgate/shared/domain/errors';
import { parseJsonBody } from '../contract/json-scan.ts';
import { ClientLeft } from '../relay/deliver.ts';

/**
 * `typeRequired`: whether a body of no stated type is a breach of the contract. `received` sees the bytes as they came.
 */
export async function readJson(
  request: IncomingMessage,
  maxBytes: number,
  typeRequired = false,
  received?: (body: Buffer) => void,
): Promise<unknown> {
  checkMediaType(request, typeRequired);
  const body = await readBody(request, maxBytes);
  received?.(body);
  return parseJsonBody(body, isUtf8);
}

/** Absent is taken for JSON, since nothing contradicts it, unless the contract wants it said. */
function checkMediaType({ headers }: IncomingMessage, required: boolean): void {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new AppError('unsupported_media_type', { message: 'Compressed bodies are not accepted.' });
  }
  const type = headers['content-type'];
  if (type === undefined && !required) return;
  if (type === undefined) throw new AppError('unsupported_media_type');
  const semicolon = type.indexOf(';');
  const media = (semicolon === -1 ? type : type.slice(0, semicolon)).trim().toLowerCase();
  if (media !== 'application/json') throw new AppError('unsupported_media_type');
  const charset = /;\s*charset="?([^";\s]+)/i.exec(type)?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new AppError('unsupported_media_type', { message: 'Send the body in UTF-8.' });
  }
}

function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
      reject(tooLarge(maxBytes));
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    let ended = false;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
      else {
        chunks.length = 0;
        reject(tooLarge(maxBytes));
      }
    });
    request.on('end', () => {
      ended = true;
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    });
    request.on('close', () => {
      if (!ended) reject(new ClientLeft('client_gone'));
    });
    request.on('error', () => reject(new ClientLeft('client_gone')));
  });
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', { message: `The request body is larger than ${maxBytes} bytes.` });
}
