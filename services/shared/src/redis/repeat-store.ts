/**
 * Answers kept under Idempotency-Keys, so that a repeat joins the running request or gets the stored bytes. One Redis
 * bucket per account as for money, so each call is one script. What is stored is sealed by the caller.
 */
import type { AccountId, RequestId } from '../domain/ids.ts';
import { bucketKeys, bucketOf } from './keys.ts';
import type { CallGuard } from './money-context.ts';
import { type LuaScript, loadScript, runScript, type ScriptClient } from './script-loader.ts';

export interface RepeatLimits {
  /** How long an answer is found again after its end. */
  ttlMs: number;
  /** A running request whose router was silent for so long is given to whoever repeats it. */
  staleAfterMs: number;
  /** Silent for longer than this it is given to nobody: its hold may have been billed and forgotten (MONEY.md 2.6). */
  lostAfterMs: number;
  bytesPerAnswer: number;
  bytesPerAccount: number;
}

/** The entry of one Idempotency-Key of one account. */
export interface RepeatEntry {
  accountId: AccountId;
  /** HMAC of the key in its scope: no key text is stored. */
  digest: string;
}

/** Ownership of a running entry. A later epoch fences an earlier one. */
export interface RepeatTicket extends RepeatEntry {
  requestId: RequestId;
  epoch: number;
}

export type RepeatBegin =
  /** Nobody ran it: run it under the ticket. */
  | { kind: 'first'; ticket: RepeatTicket }
  /** Its router died: what it had stored is there, and its request id (so its hold) is this caller's now. */
  | { kind: 'taken'; ticket: RepeatTicket; parts: number; progress: string }
  | { kind: 'running' | 'done'; requestId: RequestId }
  /** The same key with another body. */
  | { kind: 'other_body' }
  /** It ran, and its answer is not here: it was too large, or its router was gone for too long. */
  | { kind: 'dropped' | 'lost' };

export interface RepeatRead {
  /** `gone`: expired, evicted, or its request ended without an answer to keep. */
  state: 'running' | 'done' | 'dropped' | 'gone';
  silentMs: number;
  parts: string[];
}

export class RepeatStore {
  readonly #client: ScriptClient;
  readonly #buckets: number;
  readonly #limits: RepeatLimits;
  readonly #guard: CallGuard;
  readonly #scripts: Record<'begin' | 'append' | 'drop' | 'read', LuaScript>;

  constructor(client: ScriptClient, bucketCount: number, limits: RepeatLimits, guard: CallGuard = (call) => call()) {
    this.#client = client;
    this.#buckets = bucketCount;
    this.#limits = limits;
    this.#guard = guard;
    this.#scripts = {
      begin: loadScript('repeat_begin'),
      append: loadScript('repeat_append'),
      drop: loadScript('repeat_drop'),
      read: loadScript('repeat_read'),
    };
  }

  /** Opens the entry or says what is there. `requestId`: the caller's own, used only when it is the first. */
  async begin(entry: RepeatEntry, body: string, requestId: RequestId, routerId: string): Promise<RepeatBegin> {
    const { ttlMs, staleAfterMs, lostAfterMs, bytesPerAccount } = this.#limits;
    const args = [entry.digest, body, requestId, routerId, ttlMs, staleAfterMs, lostAfterMs, bytesPerAccount];
    const reply = (await this.#run('begin', this.#keys(entry), args)) as [string, RequestId, number, number, string];
    const [kind, owner, epoch, parts, progress, ...evict] = reply;
    const ticket: RepeatTicket = { ...entry, requestId: owner, epoch: Number(epoch) };
    switch (kind) {
      case 'first':
        await this.#evict(entry.accountId, evict);
        return { kind, ticket };
      case 'taken':
        return { kind, ticket, parts: Number(parts), progress };
      case 'running':
      case 'done':
        return { kind, requestId: owner };
      case 'other_body':
      case 'dropped':
      case 'lost':
        return { kind };
      default:
        throw new Error(`repeat_begin answered ${kind}`);
    }
  }

  /** Adds part number `index` (null = only a sign of life) and says how far the request is. */
  async append(
    ticket: RepeatTicket,
    part: { index: number; text: string } | null,
    progress: string,
    done: boolean,
  ): Promise<'kept' | 'dropped' | 'fenced'> {
    const { bytesPerAnswer, ttlMs } = this.#limits;
    const what = [part?.index ?? -1, part?.text ?? '', progress, done ? 'done' : 'running'];
    const args = [ticket.digest, ticket.requestId, ticket.epoch, ...what, bytesPerAnswer, ttlMs];
    const keys = [...this.#keys(ticket), bucketKeys(bucketOf(ticket.accountId, this.#buckets)).state];
    return (await this.#run('append', keys, args)) as 'kept' | 'dropped' | 'fenced';
  }

  /** The request ended without anything to repeat: the next one under this key runs anew. */
  async drop(ticket: RepeatTicket): Promise<void> {
    await this.#run('drop', this.#keys(ticket), [ticket.digest, ticket.requestId, ticket.epoch]);
  }

  /** State and parts from `from` on (64 at most). */
  async read(entry: RepeatEntry, requestId: RequestId, from: number): Promise<RepeatRead> {
    const keys = this.#keys(entry).slice(0, 2);
    const [state, silentMs, , ...parts] = (await this.#run('read', keys, [from, requestId])) as [
      string,
      number,
      number,
      ...string[],
    ];
    return { state: state === '' ? 'gone' : (state as RepeatRead['state']), silentMs: Number(silentMs), parts };
  }

  /** Oldest first, running ones stay, until the account keeps no more than it may. */
  async #evict(accountId: AccountId, digests: readonly string[]): Promise<void> {
    for (const digest of digests) {
      const left = Number(await this.#run('drop', this.#keys({ accountId, digest }), [digest, '', 0]));
      if (left >= 0 && left <= this.#limits.bytesPerAccount) return;
    }
  }

  #keys({ accountId, digest }: RepeatEntry): string[] {
    const names = bucketKeys(bucketOf(accountId, this.#buckets));
    return [
      names.repeat(digest),
      names.repeatParts(digest),
      names.repeatIndex(accountId),
      names.repeatSizes(accountId),
    ];
  }

  #run(name: 'begin' | 'append' | 'drop' | 'read', keys: readonly string[], args: readonly (string | number)[]) {
    return this.#guard(() => runScript(this.#client, this.#scripts[name], keys, args));
  }
}
