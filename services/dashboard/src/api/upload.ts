/** Uploads with progress: the one thing that `fetch` cannot tell. Same origin, session and CSRF token as `client.ts`. */
import { queryText } from '../lib/search.ts';
import { changeHeaders, errorOf } from './client.ts';
import { ApiError } from './error.ts';

export interface UploadOptions {
  query: Readonly<Record<string, unknown>>;
  file: Blob;
  /** Bytes that left, of how many. */
  onProgress(sent: number, total: number): void;
  signal: AbortSignal;
}

/** Sends a file's bytes as the body. @throws ApiError, also when it was aborted (`cancelled`) */
export function upload<T>(path: string, { query, file, onProgress, signal }: UploadOptions): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.open('POST', path + queryText(query));
    for (const [name, value] of Object.entries(changeHeaders())) request.setRequestHeader(name, value);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = ({ loaded }) => onProgress(loaded, file.size);
    request.onload = () => {
      const { status, responseText } = request;
      if (status < 200 || status >= 300)
        reject(errorOf(status, responseText, request.getResponseHeader('x-request-id')));
      else resolve(JSON.parse(responseText) as T);
    };
    request.onerror = () =>
      reject(new ApiError(0, { message: 'The upload did not get through.', code: 'unreachable' }, null));
    request.onabort = () => reject(new ApiError(0, { message: 'Stopped.', code: 'cancelled' }, null));
    request.onloadend = () => signal.removeEventListener('abort', stop);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    request.send(file);
  });
}
