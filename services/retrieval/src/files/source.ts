/** Files as the console keeps them, asked for in their owner's name. */
import { identityHeaders } from '@tollgate/shared/contracts/internal';
import type { Owner } from '@tollgate/shared/db/retrieval/collections';
import { AppError } from '@tollgate/shared/domain/errors';

export interface FileSourceOptions {
  consoleUrl: string;
  serviceToken: string;
  timeoutMs: number;
}

export interface FileFacts {
  id: string;
  filename: string;
  bytes: number;
}

export interface FileSource {
  /** Name and size; null when the owner has no such file. Throws `retrieval_unavailable`. */
  facts(owner: Owner & { keyId: string }, fileId: string): Promise<FileFacts | null>;
  /** The bytes; null when the owner has no such file. */
  content(owner: Owner & { keyId: string }, fileId: string): Promise<Uint8Array | null>;
}

export function createFileSource({ consoleUrl, serviceToken, timeoutMs }: FileSourceOptions): FileSource {
  async function get<T>(
    owner: Owner & { keyId: string },
    path: string,
    read: (answer: Response) => Promise<T>,
  ): Promise<T | null> {
    const identity = {
      accountId: owner.accountId,
      keyId: owner.keyId,
      projectId: owner.projectId === '' ? null : owner.projectId,
      userId: null,
    };
    try {
      const answer = await fetch(`${consoleUrl}/v1/files/${path}`, {
        headers: { authorization: `Bearer ${serviceToken}`, ...identityHeaders(identity) },
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (answer.ok) return await read(answer);
      await answer.body?.cancel();
      if (answer.status === 404) return null;
      throw new Error(`the file store answered ${answer.status}`);
    } catch (cause) {
      throw new AppError('retrieval_unavailable', { retryAfterMs: 2_000, cause, internal: 'no file store' });
    }
  }
  return {
    facts: (owner, fileId) => get(owner, encodeURIComponent(fileId), (answer) => answer.json() as Promise<FileFacts>),
    content: (owner, fileId) =>
      get(owner, `${encodeURIComponent(fileId)}/content`, async (answer) => new Uint8Array(await answer.arrayBuffer())),
  };
}
