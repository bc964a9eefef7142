/**
 * Keys by which the console does for somebody what they ask of the dashboard: requests of the playground, collections. Each
 * belongs to one user in one organisation (and project), lives an hour, and its text is only in this process's memory.
 */
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Actor } from '../auth/actor.ts';
import type { KeyService } from '../keys/service.ts';

const KEY_LIFE_MS = 3_600_000;
/** A key is not used in its last minutes: an answer may take long. */
const SPARE_MS = 10 * 60_000;
const KEYS_MOST = 1_000;

export interface OwnKey {
  text: string;
  keyId: string;
}

export interface OwnKeyUse {
  projectId: string | null;
  /** The key may ask why a worker was chosen: for operators alone. */
  explain: boolean;
}

/** What a key that may ask for explanations has: with scopes, a key has those and no others. */
const EXPLAIN_SCOPES = ['chat', 'route-explain'];

export class OwnKeys {
  readonly #keys: KeyService;
  readonly #clock: Clock;
  readonly #known = new Map<string, { key: Promise<OwnKey>; untilMs: number }>();

  constructor(keys: KeyService, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  get(actor: Actor, accountId: string, use: OwnKeyUse): Promise<OwnKey> {
    const name = nameOf(actor, accountId, use);
    const nowMs = this.#clock.nowMs();
    const known = this.#known.get(name);
    if (known && known.untilMs > nowMs + SPARE_MS) return known.key;
    for (const [other, { untilMs }] of this.#known) if (untilMs <= nowMs) this.#known.delete(other);
    if (this.#known.size >= KEYS_MOST) this.#known.clear();
    const untilMs = nowMs + KEY_LIFE_MS;
    const key = this.#keys
      .createPlaygroundKey(actor, accountId, untilMs, {
        projectId: use.projectId,
        scopes: use.explain ? EXPLAIN_SCOPES : [],
      })
      .then((made) => ({ text: made.key, keyId: made.keyId }));
    this.#known.set(name, { key, untilMs });
    key.catch(() => this.#known.delete(name));
    return key;
  }

  /** It was refused: somebody withdrew it. The next request makes another. */
  forget(actor: Actor, accountId: string, use: OwnKeyUse): void {
    this.#known.delete(nameOf(actor, accountId, use));
  }
}

const nameOf = (actor: Actor, accountId: string, { projectId, explain }: OwnKeyUse) =>
  JSON.stringify([actor.userId ?? actor.id, accountId, projectId, explain]);
