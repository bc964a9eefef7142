/** `/v1/files` in OpenAI's shape. Callers are services (the router for a key, retrieval for a file's owner). */
import type { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import type { Identity } from '@tollgate/shared/contracts/internal';
import type { FileRecord } from '@tollgate/shared/db/file-records';
import type { RepeatAsk } from '@tollgate/shared/db/post-repeats';
import { AppError } from '@tollgate/shared/domain/errors';
import { IDEMPOTENCY_HEADER, REPLAYED_HEADER, readIdempotencyKey } from '@tollgate/shared/domain/idempotency';
import { isId } from '@tollgate/shared/domain/ids';
import express, { type Request, type Router } from 'express';
import { z } from 'zod';
import { FILE_EXPIRY_SECONDS, readExpiry } from '../files/expiry.ts';
import { type FileService, UPLOAD_PURPOSES, type UploadDetails } from '../files/service.ts';
import { invalidRequest } from './errors.ts';
import { requireService, whoOf } from './service-caller.ts';

const MAX_NAME = 255;
export const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().max(80).optional(),
  purpose: z.string().max(64).optional(),
});

export function fileRoutes(files: FileService, serviceToken: string): Router {
  const router = express.Router();
  router.use('/v1/files', requireService(serviceToken));
  router.post('/v1/files', async (request, response) => {
    response.locals.operation = 'files.create';
    const who = whoOf(request);
    const key = keyOf(request);
    const repeat = key === null ? null : { key, onRepeat: () => void response.set(REPLAYED_HEADER, 'true') };
    response.json(fileView(await receive(request, files, who, repeat)));
  });
  router.get('/v1/files', async (request, response) => {
    response.locals.operation = 'files.list';
    const query = listQuery.safeParse(request.query);
    if (!query.success) throw invalidRequest('query', query.error);
    const { data, hasMore } = await files.list(whoOf(request), query.data);
    const shown = data.map(fileView);
    response.json({
      object: 'list',
      data: shown,
      first_id: shown[0]?.id ?? null,
      last_id: shown.at(-1)?.id ?? null,
      has_more: hasMore,
    });
  });
  router.get('/v1/files/:id', async (request, response) => {
    response.locals.operation = 'files.get';
    response.json(fileView(await files.get(whoOf(request), request.params.id)));
  });
  router.get('/v1/files/:id/content', async (request, response) => {
    response.locals.operation = 'files.content';
    const { record, content } = await files.content(whoOf(request), request.params.id);
    // Never as HTML: it is somebody's file, shown under this origin.
    response.set({
      'content-type': 'application/octet-stream',
      'content-length': String(record.bytes),
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(record.filename)}`,
      'x-content-type-options': 'nosniff',
    });
    content.on('error', () => response.destroy());
    response.on('close', () => content.destroy());
    content.pipe(response);
  });
  router.delete('/v1/files/:id', async (request, response) => {
    response.locals.operation = 'files.delete';
    await files.delete(whoOf(request), request.params.id);
    response.json({ id: request.params.id, object: 'file', deleted: true });
  });
  router.put('/internal/files/:id', requireService(serviceToken), async (request, response) => {
    response.locals.operation = 'files.write';
    const query = writeQuery.safeParse(request.query);
    const { id } = request.params;
    if (!query.success) throw invalidRequest('query', query.error);
    if (!isId('file', id)) throw new AppError('invalid_request', { param: 'id' });
    const { purpose, filename, expires_after_seconds: expiresAfterS = null } = query.data;
    const details = { purpose, expiresAfterS };
    response.json(fileView(await files.write(whoOf(request), id, details, nameOf(filename), request)));
  });
  return router;
}

/** What the product writes into an account's files. */
const writeQuery = z.object({
  purpose: z.enum(['batch_output']),
  filename: z.string().min(1).max(MAX_NAME),
  expires_after_seconds: z.coerce.number().int().min(FILE_EXPIRY_SECONDS.min).max(FILE_EXPIRY_SECONDS.max).optional(),
});

function fileView(file: FileRecord) {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: Math.floor(file.createdAtMs / 1_000),
    filename: file.filename,
    purpose: file.purpose,
    status: 'processed',
    ...(file.expiresAtMs === null ? null : { expires_at: Math.floor(file.expiresAtMs / 1_000) }),
  };
}

/**
 * One multipart form with `purpose`, `file` and `expires_after[...]`, streamed to the store. Fields may come behind the file
 * (some SDKs send them so): the file is then taken first and given up when a field is wrong.
 */
function receive(request: Request, files: FileService, who: Identity, repeat: RepeatAsk | null): Promise<FileRecord> {
  if (Number(request.headers['content-length'] ?? 0) > files.maxFileBytes + FORM_BYTES) {
    // Read and thrown away: a router between would take a closed connection for a broken service.
    request.resume();
    throw new AppError('body_too_large', { message: `A file may have ${files.maxFileBytes} bytes at most.` });
  }
  const type = request.headers['content-type'];
  if (type === undefined || !/^multipart\/form-data/i.test(type)) {
    throw new AppError('unsupported_media_type', { message: 'Send the file as multipart/form-data.' });
  }
  return new Promise((resolve, reject) => {
    const details = Promise.withResolvers<UploadDetails>();
    details.promise.catch(() => {});
    let purpose: string | null = null;
    const expiry = new Map<string, string>();
    let upload: Promise<FileRecord> | null = null;
    let incoming: Readable | null = null;
    let settled = false;
    let form: InstanceType<typeof Busboy>;
    try {
      form = new Busboy({
        headers: { ...request.headers, 'content-type': type },
        limits: { files: 1, fields: 16, fieldSize: 1_024, parts: 20, headerPairs: 50 },
      });
    } catch {
      throw new AppError('invalid_request', { message: 'The form has no boundary.' });
    }
    const finish = (error: unknown, record?: FileRecord): void => {
      if (settled) return;
      settled = true;
      details.reject(error);
      request.unpipe(form);
      request.resume();
      if (record === undefined) reject(error);
      else resolve(record);
    };
    form.on('field', (name: string, value: string) => {
      if (name.startsWith('expires_after')) expiry.set(name, value);
      if (name !== 'purpose') return;
      if (isPurpose(value)) purpose = value;
      else finish(wrongPurpose());
    });
    form.on('file', (name: string, stream: Readable, filename: string) => {
      if (name !== 'file' || upload !== null || settled) {
        stream.resume();
        return;
      }
      incoming = stream;
      upload = files.upload(who, { details: details.promise, filename: nameOf(filename), content: stream, repeat });
      upload.then(
        (record) => finish(null, record),
        (error: unknown) => {
          stream.resume();
          finish(error);
        },
      );
    });
    form.on('finish', () => {
      if (upload === null) return finish(missing('file'));
      if (purpose === null) return details.reject(missing('purpose'));
      try {
        details.resolve({ purpose, expiresAfterS: readExpiry(expiry) });
      } catch (error) {
        details.reject(error);
      }
    });
    form.on('error', () => finish(new AppError('invalid_request', { message: 'The form cannot be read.' })));
    request.on('close', () => {
      if (request.complete) return;
      const cut = new AppError('invalid_request', { message: 'The upload was cut.' });
      incoming?.destroy(cut);
      finish(cut);
    });
    request.pipe(form);
  });
}

/** Throws what is wrong with it only after the body was taken, as `receive` does. */
function keyOf(request: Request): string | null {
  try {
    return readIdempotencyKey(request.get(IDEMPOTENCY_HEADER));
  } catch (error) {
    request.resume();
    throw error;
  }
}

/** The form around a file: boundary, names, the other fields. */
const FORM_BYTES = 65_536;

function isPurpose(purpose: string): boolean {
  return (UPLOAD_PURPOSES as readonly string[]).includes(purpose);
}

function wrongPurpose(): AppError {
  return new AppError('invalid_request', {
    param: 'purpose',
    message: `Invalid 'purpose': expected one of ${UPLOAD_PURPOSES.join(', ')}.`,
  });
}

const missing = (name: string) =>
  new AppError('invalid_request', { param: name, message: `Missing required parameter: '${name}'.` });

/** The last part of a path, printable: a name for people, never a place. */
function nameOf(filename: string | undefined): string {
  const last = (filename ?? '').split(/[\\/]/).at(-1) ?? '';
  return last.replace(/[\p{Cc}\p{Cs}]/gu, '').slice(0, MAX_NAME) || 'file';
}
