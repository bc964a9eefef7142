/**
 * When each key was last used, for the list that people see: gathered from what was posted, written every few seconds
 * outside the ledger's transactions. What a process that dies has not written, the key's next request tells.
 */
import type { KeyStore } from '@tollgate/shared/db/key-store';

export class KeyUses {
  readonly #store: Pick<KeyStore, 'touch'>;
  #latestMs = new Map<string, number>();

  constructor(store: Pick<KeyStore, 'touch'>) {
    this.#store = store;
  }

  /** `atMs` since 1970. */
  note(keyId: string, atMs: number): void {
    if (atMs > (this.#latestMs.get(keyId) ?? 0)) this.#latestMs.set(keyId, atMs);
  }

  /** What cannot be written is kept for the next time. */
  async flush(): Promise<void> {
    const uses = this.#latestMs;
    if (uses.size === 0) return;
    this.#latestMs = new Map();
    try {
      await this.#store.touch(uses);
    } catch (error) {
      for (const [keyId, atMs] of uses) this.note(keyId, atMs);
      throw error;
    }
  }
}
