/** API keys: create, list, change, rotate with overlap, revoke. The text of a key exists in one answer and nowhere else. */
import { createHash } from 'node:crypto';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  CreatedKey,
  CreateKey,
  KeyView,
  ListKeysQuery,
  PatchKey,
  RevokedKey,
  RotatedKey,
  RotateKey,
} from '@tollgate/shared/contracts/console/keys';
import { DAY_MS } from '@tollgate/shared/contracts/console/keys';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db, Tx } from '@tollgate/shared/db/client';
import { keySpend, listKeys, successorsOf } from '@tollgate/shared/db/console-lists';
import { ConsoleOperationStore, lockKeyRow, successorOf } from '@tollgate/shared/db/console-operations';
import { type ApiKey, KeyStore } from '@tollgate/shared/db/key-store';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import { type AccountId, type KeyId, newId } from '@tollgate/shared/domain/ids';
import { KEY_PREFIX, mintKey } from '@tollgate/shared/domain/key';
import { keyDigest } from '@tollgate/shared/redis/digest';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import { limitsView, noAccount, toLimits } from '../accounts/service.ts';
import type { Actor } from '../auth/actor.ts';
import { isoTime, isoTimeOrNull, nusdOrNull, type PageInput, pageRequest } from '../http/values.ts';
import type { Projector } from '../projector/projector.ts';
import { derivedBytes } from './key-text.ts';
import { OWN_KEY_NAME } from './own-name.ts';

/** How long the repeat of an idempotent call gets the first one's answer. */
const REPEAT_MS = DAY_MS;
const OVERLAP_DEFAULT_MS = DAY_MS;

export interface KeyServiceOptions {
  db: Db;
  projector: Projector;
  money: MoneyScripts;
  pepper: string;
  /** Whether a new key may send grammars unless the request says so. */
  allowGrammarsDefault: boolean;
  clock: Clock;
  random: Random;
}

interface Minted {
  id: KeyId;
  text: string;
  digest: string;
  prefix: string;
  last4: string;
}

/** Thrown inside a transaction to undo it when another call with the same idempotency key was first. */
class Repeated extends Error {}

export class KeyService {
  readonly #options: KeyServiceOptions;

  constructor(options: KeyServiceOptions) {
    this.#options = options;
  }

  /** A key, for a new account unless one is named. Key and credit are usable when this returns. */
  async create(actor: Actor, input: CreateKey, idempotencyKey: string | null): Promise<CreatedKey> {
    checkMember(actor, input);
    return this.#make(actor, input, idempotencyKey);
  }

  /** A personal access token: acts as its user, so only its user may make it. */
  createAccessToken(
    actor: Actor,
    input: { accountId: string; name: string; expiresAt: number | null },
  ): Promise<CreatedKey> {
    const { accountId, name, expiresAt } = input;
    return this.#make(
      actor,
      { accountId: accountId as AccountId, name, expiresAt, kind: 'pat', userId: actor.userId! },
      null,
    );
  }

  /** A key that the console itself uses for somebody's requests in the playground, and for their collections. */
  createPlaygroundKey(
    actor: Actor,
    accountId: string,
    expiresAt: number,
    { projectId, scopes }: { projectId: string | null; scopes: string[] },
  ): Promise<CreatedKey> {
    const userId = actor.userId ?? null;
    const own = { name: OWN_KEY_NAME, tags: ['playground'], expiresAt, userId, projectId, scopes };
    return this.#make(actor, { accountId: accountId as AccountId, ...own }, null);
  }

  async #make(actor: Actor, input: CreateKey, idempotencyKey: string | null): Promise<CreatedKey> {
    await this.#options.projector.reachable();
    const made = await this.#once(`keys.create ${actor.id}`, idempotencyKey, input, (trx, minted) =>
      this.#create(trx, actor, input, minted),
    );
    const key = await this.#get(made.id);
    await this.#options.projector.keys([key.id]);
    const balance = await new LedgerStore(this.#options.db).balance(key.accountId);
    if (balance && input.creditUsd) await this.#options.money.clearVerdict(key.accountId, balance.version);
    return { key: made.text, keyId: key.id, accountId: key.accountId };
  }

  async #create(trx: Tx, actor: Actor, input: CreateKey, minted: Minted): Promise<void> {
    const { clock, random, allowGrammarsDefault } = this.#options;
    const accounts = new AccountStore(trx);
    let accountId = input.accountId as AccountId | undefined;
    if (accountId === undefined) {
      const account = await accounts.create({
        id: newId('acct', random.bytes),
        name: input.name ?? 'New account',
        createdAtMs: clock.nowMs(),
      });
      accountId = account.id;
    } else if (!(await accounts.get(accountId))) {
      throw noAccount();
    }
    // The balance's lock comes before any other (db/tx.ts), so the credit is posted first.
    if (input.creditUsd) {
      await new LedgerStore(trx).credit({
        accountId,
        amountNusd: input.creditUsd,
        idemKey: `admin:${minted.id}`,
        reason: 'credit with a new key',
        actor: actor.id,
      });
    }
    await new KeyStore(trx).create({
      id: minted.id,
      accountId,
      digest: minted.digest,
      prefix: minted.prefix,
      last4: minted.last4,
      name: input.name ?? 'API key',
      kind: input.kind ?? 'api',
      projectId: input.projectId ?? null,
      userId: input.userId ?? null,
      models: input.models ?? null,
      scopes: input.scopes ?? [],
      allowGrammars: input.allowGrammars ?? allowGrammarsDefault,
      limits: toLimits(input),
      capDayNusd: input.capDayUsd ?? null,
      capMonthNusd: input.capMonthUsd ?? null,
      expiresAtMs: input.expiresAt ?? null,
      tags: input.tags ?? [],
      allowedIps: input.allowedIps ?? null,
      createdBy: actor.userId ?? actor.id,
      createdAtMs: clock.nowMs(),
    });
  }

  async get(_actor: Actor, id: string): Promise<KeyView> {
    return this.#view(await this.#get(id));
  }

  async #view(key: ApiKey): Promise<KeyView> {
    return (await this.views([key]))[0]!;
  }

  /** With what each has spent and what replaced it: two queries for all of them. */
  async views(keys: readonly ApiKey[]): Promise<KeyView[]> {
    const { db, clock } = this.#options;
    const ids = keys.map((key) => key.id);
    const spend = await keySpend(db, ids, clock.nowMs());
    const successors = await successorsOf(db, ids);
    return keys.map((key) => ({
      ...keyView(key),
      spentDayNusd: String(spend.get(key.id)?.dayNusd ?? 0n),
      spentMonthNusd: String(spend.get(key.id)?.monthNusd ?? 0n),
      rotatedTo: successors.get(key.id) ?? null,
    }));
  }

  async list(_actor: Actor, query: ListKeysQuery): Promise<Page<KeyView>> {
    const page = await listKeys(this.#options.db, {
      ...pageRequest(query as PageInput),
      nowMs: this.#options.clock.nowMs(),
      ...(query.accountId === undefined ? {} : { accountId: query.accountId }),
      ...(query.state === undefined ? {} : { state: query.state }),
      ...(query.kind === undefined ? {} : { kind: query.kind }),
      ...(query.search === undefined ? {} : { search: query.search }),
    });
    return { data: await this.views(page.data), next: page.next };
  }

  async patch(_actor: Actor, id: string, input: PatchKey): Promise<KeyView> {
    const key = await tx(this.#options.db, async (trx) => {
      if (!(await lockKeyRow(trx, id))) throw noKey();
      const store = new KeyStore(trx);
      const before = await store.get(id);
      if (before?.revokedAtMs) throw new AppError('conflict', { message: 'The key is revoked; it cannot be changed.' });
      return store.update(id, {
        ...(input.name === undefined ? {} : { name: input.name }),
        ...(input.models === undefined ? {} : { models: input.models }),
        ...(input.scopes === undefined ? {} : { scopes: input.scopes }),
        ...(input.allowGrammars === undefined ? {} : { allowGrammars: input.allowGrammars }),
        ...(input.capDayUsd === undefined ? {} : { capDayNusd: input.capDayUsd }),
        ...(input.capMonthUsd === undefined ? {} : { capMonthNusd: input.capMonthUsd }),
        ...(input.expiresAt === undefined ? {} : { expiresAtMs: input.expiresAt }),
        ...(input.tags === undefined ? {} : { tags: input.tags }),
        ...(input.allowedIps === undefined ? {} : { allowedIps: input.allowedIps }),
        limits: toLimits(input),
      });
    });
    await this.#options.projector.keys([id]);
    return this.#view(key!);
  }

  /** A second key with the same settings; the old one lives on for the overlap. Both work meanwhile. */
  async rotate(actor: Actor, id: string, input: RotateKey, idempotencyKey: string | null): Promise<RotatedKey> {
    const before = await this.#get(id);
    // Its text acts as another person: nobody but they may have it.
    if (actor.kind !== 'operator' && before.kind === 'pat') {
      throw new AppError('endpoint_not_allowed', { message: 'An access token is not rotated; make a new one.' });
    }
    await this.#options.projector.reachable();
    const made = await this.#once(`keys.rotate ${id}`, idempotencyKey, input, (trx, minted) =>
      this.#rotate(trx, id, input, minted),
    );
    await this.#options.projector.keys([id, made.id]);
    const old = await this.#get(id);
    return { key: made.text, keyId: made.id, oldKeyId: old.id, oldExpiresAt: isoTimeOrNull(old.expiresAtMs) };
  }

  async #rotate(trx: Tx, id: string, input: RotateKey, minted: Minted): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    if (!(await lockKeyRow(trx, id))) throw noKey();
    const store = new KeyStore(trx);
    const old = (await store.get(id))!;
    if (old.revokedAtMs !== null) throw new AppError('conflict', { message: 'The key is revoked; create a new one.' });
    if (old.expiresAtMs !== null && old.expiresAtMs <= nowMs) {
      throw new AppError('conflict', { message: 'The key has expired; create a new one.' });
    }
    const successor = await successorOf(trx, id);
    if (successor) {
      throw new AppError('conflict', {
        message: 'The key was rotated already; rotate its successor.',
        metadata: { successorKeyId: successor },
      });
    }
    const rotated = await store.rotate(
      id,
      {
        ...minted,
        accountId: old.accountId,
        name: old.name,
        createdAtMs: nowMs,
        projectId: old.projectId,
        userId: old.userId,
        kind: old.kind,
        models: old.models,
        scopes: old.scopes,
        allowGrammars: old.allowGrammars,
        limits: old.limits,
        capDayNusd: old.capDayNusd,
        capMonthNusd: old.capMonthNusd,
        tags: old.tags,
        allowedIps: old.allowedIps,
        createdBy: old.createdBy,
        expiresAtMs: input.expiresAt === undefined ? old.expiresAtMs : input.expiresAt,
      },
      nowMs + (input.overlapMs ?? OVERLAP_DEFAULT_MS),
    );
    if (!rotated) throw noKey();
  }

  /** For good. Refused by every router within 1 s of this returning; a repeat gives the first time. */
  async revoke(_actor: Actor, id: string): Promise<RevokedKey> {
    const { db, clock, projector } = this.#options;
    const key = await new KeyStore(db).revoke(id, clock.nowMs());
    if (!key) throw noKey();
    await projector.keys([id]);
    return { keyId: key.id, revokedAt: isoTime(key.revokedAtMs!) };
  }

  /** Forgets idempotent calls whose repeats are no longer answered, and with them what their keys derive from. */
  async forgetOldOperations(): Promise<void> {
    await new ConsoleOperationStore(this.#options.db).forget(this.#options.clock.nowMs() - REPEAT_MS);
  }

  /**
   * Runs `work` in one transaction with a freshly minted key. With an idempotency key a repeat does nothing and gets the
   * same key again. Crash windows: before the commit nothing happened; after it the repeat finds the row.
   */
  async #once(
    scope: string,
    idempotencyKey: string | null,
    input: unknown,
    work: (trx: Tx, minted: Minted) => Promise<void>,
  ): Promise<Minted> {
    const { db, random, clock } = this.#options;
    if (idempotencyKey === null) {
      const minted = this.#mint(random.bytes);
      await tx(db, (trx) => work(trx, minted));
      return minted;
    }
    const operations = new ConsoleOperationStore(db);
    const requestHash = hashOf(input);
    await this.forgetOldOperations();
    const found = await operations.find(scope, idempotencyKey);
    if (found) return this.#again(found, requestHash);
    const nonce = Buffer.from(random.bytes(32)).toString('hex');
    const minted = this.#mint(derivedBytes(this.#options.pepper, nonce));
    try {
      await tx(db, async (trx) => {
        const row = { scope, idemKey: idempotencyKey, requestHash, nonce, keyId: minted.id };
        if (!(await operations.claim(trx, row, clock.nowMs()))) throw new Repeated();
        await work(trx, minted);
      });
      return minted;
    } catch (error) {
      if (!(error instanceof Repeated)) throw error;
      const first = await operations.find(scope, idempotencyKey);
      if (!first)
        throw new AppError('conflict', { message: 'The first call with this Idempotency-Key failed. Repeat.' });
      return this.#again(first, requestHash);
    }
  }

  #again(first: { requestHash: string; nonce: string; keyId: KeyId }, requestHash: string): Minted {
    if (first.requestHash !== requestHash) {
      throw new AppError('conflict', { message: 'This Idempotency-Key was used for another request.' });
    }
    return { ...this.#mint(derivedBytes(this.#options.pepper, first.nonce)), id: first.keyId };
  }

  #mint(bytes: (count: number) => Uint8Array): Minted {
    const { text, publicId, last4 } = mintKey(bytes);
    return {
      id: newId('key', bytes),
      text,
      digest: keyDigest(text, this.#options.pepper),
      prefix: KEY_PREFIX + publicId,
      last4,
    };
  }

  async #get(id: string): Promise<ApiKey> {
    const key = await new KeyStore(this.#options.db).get(id);
    if (!key) throw noKey();
    return key;
  }
}

/** What only operators may ask for when they make a key. */
function checkMember(actor: Actor, input: CreateKey): void {
  if (actor.kind === 'operator') return;
  const forbidden =
    (input.creditUsd !== undefined && input.creditUsd > 0n && 'creditUsd') ||
    (input.kind === 'pat' && 'kind') ||
    (input.userId !== undefined && input.userId !== null && input.userId !== actor.userId && 'userId');
  if (forbidden) {
    throw new AppError('endpoint_not_allowed', {
      message: `${forbidden}: only operators may set this.`,
      param: forbidden,
    });
  }
}

const noKey = () => new AppError('not_found', { message: 'There is no such key.' });

/** Of the parsed input: the schema puts its fields in one order, so only a request that means something else differs. */
function hashOf(input: unknown): string {
  const text = JSON.stringify(input, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return createHash('sha256').update(text).digest('hex');
}

function keyView(key: ApiKey): Omit<KeyView, 'spentDayNusd' | 'spentMonthNusd' | 'rotatedTo'> {
  return {
    keyId: key.id,
    accountId: key.accountId,
    name: key.name,
    kind: key.kind,
    prefix: key.prefix,
    last4: key.last4,
    projectId: key.projectId,
    userId: key.userId,
    models: key.models === null ? null : [...key.models],
    scopes: [...key.scopes],
    allowGrammars: key.allowGrammars,
    allowedIps: key.allowedIps === null ? null : [...key.allowedIps],
    tags: [...key.tags],
    createdBy: key.createdBy,
    limits: limitsView(key.limits),
    capDayNusd: nusdOrNull(key.capDayNusd),
    capMonthNusd: nusdOrNull(key.capMonthNusd),
    createdAt: isoTime(key.createdAtMs),
    expiresAt: isoTimeOrNull(key.expiresAtMs),
    revokedAt: isoTimeOrNull(key.revokedAtMs),
    rotatedFrom: key.rotatedFrom,
    lastUsedAt: isoTimeOrNull(key.lastUsedAtMs),
  };
}
