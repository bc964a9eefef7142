/**
 * The playground's requests go to the router like anybody's, with a key of their own: the same limits, the same price,
 * the same log. The key belongs to one user in one organisation, lives an hour, and is only in this process's memory.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Actor } from '../auth/actor.ts';
import type { Exchange, Streamed } from '../http/route.ts';
import type { KeyService } from '../keys/service.ts';

const KEY_LIFE_MS = 3_600_000;
/** A key is not used in its last minutes: an answer may take long. */
const SPARE_MS = 10 * 60_000;
const KEYS_MOST = 1_000;
/** Headers of the router's answer that a client may care about. */
const PASSED = /^(content-type|x-request-id|retry-after(-ms)?|x-ratelimit-.*|x-tollgate-.*|x-should-retry)$/;

export interface PlaygroundParts {
  keys: KeyService;
  clock: Clock;
  /** Base of the router, without /v1; null = this console knows none. */
  routerUrl: string | null;
}

export class PlaygroundService {
  readonly #parts: PlaygroundParts;
  readonly #keys = new Map<string, { text: Promise<string>; untilMs: number }>();

  constructor(parts: PlaygroundParts) {
    this.#parts = parts;
  }

  async chat(actor: Actor, accountId: string, body: Buffer, exchange: Exchange): Promise<Streamed> {
    const { routerUrl } = this.#parts;
    if (routerUrl === null) throw new AppError('not_found', { message: 'This console knows no router.' });
    const key = await this.#key(actor, accountId);
    let response: Response;
    try {
      response = await fetch(`${routerUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          'content-type': exchange.header('content-type') ?? 'application/json',
          authorization: `Bearer ${key}`,
        },
        body: new Uint8Array(body),
        redirect: 'error',
        signal: exchange.signal,
      });
    } catch (error) {
      if (exchange.signal.aborted) return { status: 499, headers: {}, body: null };
      throw new AppError('service_unavailable', { message: 'The router cannot be reached now.', cause: error });
    }
    // Withdrawn by somebody: the next request makes another.
    if (response.status === 401) this.#keys.delete(nameOf(actor, accountId));
    const headers = Object.fromEntries([...response.headers].filter(([name]) => PASSED.test(name)));
    return {
      status: response.status,
      headers: { ...headers, 'x-accel-buffering': 'no' },
      body: response.body === null ? null : untilGone(response.body),
    };
  }

  async #key(actor: Actor, accountId: string): Promise<string> {
    const { keys, clock } = this.#parts;
    const name = nameOf(actor, accountId);
    const nowMs = clock.nowMs();
    const known = this.#keys.get(name);
    if (known && known.untilMs > nowMs + SPARE_MS) return known.text;
    for (const [other, { untilMs }] of this.#keys) if (untilMs <= nowMs) this.#keys.delete(other);
    if (this.#keys.size >= KEYS_MOST) this.#keys.clear();
    const untilMs = nowMs + KEY_LIFE_MS;
    const text = keys.createPlaygroundKey(actor, accountId, untilMs).then(({ key }) => key);
    this.#keys.set(name, { text, untilMs });
    text.catch(() => this.#keys.delete(name));
    return text;
  }
}

const nameOf = (actor: Actor, accountId: string) => `${actor.userId ?? actor.id} ${accountId}`;

/** The router's bytes; a client that left, or a router that broke off, ends them. */
async function* untilGone(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of body) yield part;
  } catch {
    // The answer ends as it was cut: without [DONE], so that no client takes it for a whole one.
  }
}
