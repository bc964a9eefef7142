/**
 * Where the bytes of uploaded files lie. A folder here; an object store is another object with these methods. Names are ids
 * that we minted, never what a client called its file.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** The bytes passed the limit; nothing was kept. */
export class FileTooLarge extends Error {
  override readonly name = 'FileTooLarge';
}

export interface StoredFile {
  bytes: number;
  sha256: string;
}

export interface FileStore {
  /**
   * Keeps the bytes under `id`: all of them, on disk, when it resolves; none when it rejects.
   * @throws {FileTooLarge}
   */
  put(id: string, source: Readable, maxBytes: number): Promise<StoredFile>;
  /** Null when there is no such file. */
  get(id: string): Promise<Readable | null>;
  /** No error when it was not there. */
  delete(id: string): Promise<void>;
  /** Ids of everything kept, with when it was written (ms since 1970): for finding what nobody owns. */
  list(): Promise<{ id: string; atMs: number }[]>;
}

/**
 * Reads the bytes and keeps none.
 * @throws {FileTooLarge}
 */
export async function digestOf(source: Readable, maxBytes: number): Promise<StoredFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of source) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw new FileTooLarge(`more than ${maxBytes} bytes`);
    hash.update(chunk as Buffer);
  }
  return { bytes, sha256: hash.digest('hex') };
}

const ID = /^[A-Za-z0-9_-]{1,80}$/;

/** Files in a folder, 256 folders below it, so that none grows too large. */
export class FolderFileStore implements FileStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(id: string, source: Readable, maxBytes: number): Promise<StoredFile> {
    const { folder, path } = this.#place(id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // A crash leaves a `.part`, never half a file under its name.
    const part = `${path}.part`;
    const hash = createHash('sha256');
    let bytes = 0;
    const file = await open(part, 'w', 0o600);
    try {
      for await (const chunk of source) {
        bytes += (chunk as Buffer).length;
        if (bytes > maxBytes) throw new FileTooLarge(`more than ${maxBytes} bytes`);
        hash.update(chunk as Buffer);
        await file.write(chunk as Buffer);
      }
      await file.sync();
    } catch (error) {
      await file.close();
      await rm(part, { force: true });
      throw error;
    }
    await file.close();
    await rename(part, path);
    return { bytes, sha256: hash.digest('hex') };
  }

  async get(id: string): Promise<Readable | null> {
    const { path } = this.#place(id);
    try {
      await stat(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return createReadStream(path);
  }

  async delete(id: string): Promise<void> {
    const { path } = this.#place(id);
    await rm(path, { force: true });
    await rm(`${path}.part`, { force: true });
  }

  async list(): Promise<{ id: string; atMs: number }[]> {
    const found: { id: string; atMs: number }[] = [];
    for (const folder of await readdir(this.#root).catch(() => [])) {
      for (const name of await readdir(join(this.#root, folder)).catch(() => [])) {
        const facts = await stat(join(this.#root, folder, name)).catch(() => null);
        if (facts) found.push({ id: name.replace(/\.part$/, ''), atMs: facts.mtimeMs });
      }
    }
    return found;
  }

  #place(id: string): { folder: string; path: string } {
    if (!ID.test(id)) throw new Error('not an id of a file');
    const folder = join(this.#root, createHash('sha256').update(id).digest('hex').slice(0, 2));
    return { folder, path: join(folder, id) };
  }
}
