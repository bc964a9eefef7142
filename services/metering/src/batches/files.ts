/** A batch's files lie in the console's file store; metering reads and writes them there in the owner's name. */
import { Readable } from 'node:stream';
import { identityHeaders } from '@tollgate/shared/contracts/internal';
import type { Batch } from '@tollgate/shared/db/batch-store';

export interface FileFacts {
  id: string;
  purpose: string;
  bytes: number;
}

type Owner = Pick<Batch, 'accountId' | 'projectId' | 'keyId' | 'userId'>;

export interface BatchFiles {
  /** Null when the owner has no such file. */
  facts(owner: Owner, fileId: string): Promise<FileFacts | null>;
  /** The input's bytes; null when it is gone. */
  read(batch: Batch): Promise<AsyncIterable<Uint8Array> | null>;
  /** Writes a file under an id of ours; again = anew. */
  write(batch: Batch, fileId: string, filename: string, content: Readable): Promise<void>;
  /** Bytes, row and what collections made of it. Nothing happens when it is gone. */
  remove(owner: Owner, fileId: string): Promise<void>;
}

export interface BatchFilesOptions {
  consoleUrl: string;
  serviceToken: string;
  /** For small answers; contents take what they take. */
  timeoutMs: number;
}

export function createBatchFiles({ consoleUrl, serviceToken, timeoutMs }: BatchFilesOptions): BatchFiles {
  const base = consoleUrl.replace(/\/+$/, '');
  const headers = ({ accountId, projectId, keyId, userId }: Owner) => ({
    authorization: `Bearer ${serviceToken}`,
    ...identityHeaders({ accountId, keyId, projectId: projectId === '' ? null : projectId, userId }),
  });

  async function get(owner: Owner, path: string, signal?: AbortSignal): Promise<Response | null> {
    const answer = await fetch(`${base}/v1/files/${path}`, {
      headers: headers(owner),
      ...(signal ? { signal } : {}),
    });
    if (answer.ok) return answer;
    await answer.body?.cancel();
    if (answer.status === 404) return null;
    throw new Error(`the file store answered ${answer.status}`);
  }

  return {
    async facts(owner, fileId) {
      const answer = await get(owner, encodeURIComponent(fileId), AbortSignal.timeout(timeoutMs));
      return answer === null ? null : ((await answer.json()) as FileFacts);
    },
    async read(batch) {
      const answer = await get(batch, `${encodeURIComponent(batch.inputFileId)}/content`);
      return answer === null ? null : (answer.body as unknown as AsyncIterable<Uint8Array>);
    },
    async write(batch, fileId, filename, content) {
      const query = new URLSearchParams({ purpose: 'batch_output', filename });
      if (batch.outputExpiresS !== null) query.set('expires_after_seconds', String(batch.outputExpiresS));
      const answer = await fetch(`${base}/internal/files/${fileId}?${query}`, {
        method: 'PUT',
        headers: { ...headers(batch), 'content-type': 'application/octet-stream' },
        body: Readable.toWeb(content) as unknown as ReadableStream<Uint8Array>,
        duplex: 'half',
      } as RequestInit);
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`the file store answered ${answer.status}`);
    },
    async remove(owner, fileId) {
      const answer = await fetch(`${base}/v1/files/${encodeURIComponent(fileId)}`, {
        method: 'DELETE',
        headers: headers(owner),
        signal: AbortSignal.timeout(timeoutMs),
      });
      await answer.body?.cancel();
      if (!answer.ok && answer.status !== 404) throw new Error(`the file store answered ${answer.status}`);
    },
  };
}
