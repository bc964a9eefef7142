import type { KeyRecord } from '../domain/key.ts';
import { globalKeys } from './keys.ts';
import type { CallGuard } from './money-context.ts';

/** `unknown` = no such key; `not_ready` = not all keys are published here, so nobody can say (503, not 401). */
export type KeyLookup = { kind: 'found'; record: KeyRecord } | { kind: 'unknown' } | { kind: 'not_ready' };

interface KeyClient {
  get(key: string): Promise<string | null>;
  exists(key: string): Promise<number>;
}

/** The router's side of `tg:{keys}:*`; the console writes them (`console-directory.ts`). */
export class KeyStore {
  readonly #client: KeyClient;
  readonly #guard: CallGuard;

  constructor(client: KeyClient, guard: CallGuard = (call) => call()) {
    this.#client = client;
    this.#guard = guard;
  }

  /** One round trip. Throws what the client or the guard throws. */
  async read(digest: string): Promise<KeyLookup> {
    // The mark is asked after the record: a mark that is there then covers the missing record.
    const [text, ready] = await this.#guard(() =>
      Promise.all([this.#client.get(globalKeys.key(digest)), this.#client.exists(globalKeys.keysReady)]),
    );
    if (text !== null) return { kind: 'found', record: JSON.parse(text) as KeyRecord };
    return ready === 1 ? { kind: 'unknown' } : { kind: 'not_ready' };
  }
}
