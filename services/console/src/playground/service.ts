/**
 * The playground's requests go to the router like anybody's: the same limits, the same price, the same log. They use a key
 * of the console's own (`own-keys.ts`), or one that the person pastes: it is passed on and kept nowhere.
 */

import type { Db } from '@tollgate/shared/db/client';
import { keyByDigest } from '@tollgate/shared/db/console-lists';
import { AppError } from '@tollgate/shared/domain/errors';
import { isWellFormedKey } from '@tollgate/shared/domain/key';
import { keyDigest } from '@tollgate/shared/redis/digest';
import type { Actor } from '../auth/actor.ts';
import type { Exchange, Streamed } from '../http/route.ts';
import type { OwnKeys } from './own-keys.ts';

/** Headers of the router's answer that a client may care about. */
const PASSED =
  /^(content-type|content-disposition|x-request-id|retry-after(-ms)?|x-ratelimit-.*|x-tollgate-.*|x-should-retry|idempotent-replayed)$/;
/** Headers of the person's request that reach the router. */
const SENT = ['content-type', 'idempotency-key'] as const;
/** The key to run with, instead of the console's own. */
const PASTED_KEY = 'x-playground-key';
const EXPLAIN = 'x-tollgate-route-explain';

export interface PlaygroundParts {
  db: Db;
  ownKeys: OwnKeys;
  pepper: string;
  /** Base of the router, without /v1; null = this console knows none. */
  routerUrl: string | null;
}

/** What is asked of the router. */
export interface HostCall {
  method: 'GET' | 'POST' | 'DELETE';
  /** With its query, such as `/v1/models`. */
  path: string;
  body: Buffer;
}

export class PlaygroundService {
  readonly #parts: PlaygroundParts;

  constructor(parts: PlaygroundParts) {
    this.#parts = parts;
  }

  /** One request of the models' API, at the same limits and price as with any key. */
  async call(
    actor: Actor,
    accountId: string,
    projectId: string | null,
    { method, path, body }: HostCall,
    exchange: Exchange,
  ): Promise<Streamed> {
    const { routerUrl, ownKeys } = this.#parts;
    if (routerUrl === null) throw new AppError('not_found', { message: 'This console knows no router.' });
    const pasted = exchange.header(PASTED_KEY);
    // Scores name workers: they are for those who run the installation.
    const explain = actor.kind === 'operator' && exchange.header(EXPLAIN) === '1';
    const use = { projectId, explain };
    const key =
      pasted === undefined
        ? (await ownKeys.get(actor, accountId, use)).text
        : await this.#checkPasted(pasted.trim(), accountId);
    let response: Response;
    try {
      response = await fetch(routerUrl + path, {
        method,
        headers: {
          ...sentHeaders(exchange, body.length > 0),
          authorization: `Bearer ${key}`,
          ...(explain ? { [EXPLAIN]: '1' } : {}),
        },
        body: method === 'POST' ? new Uint8Array(body) : null,
        redirect: 'error',
        signal: exchange.signal,
      });
    } catch (error) {
      if (exchange.signal.aborted) return { status: 499, headers: {}, body: null };
      throw new AppError('service_unavailable', { message: 'The router cannot be reached now.', cause: error });
    }
    if (response.status === 401 && pasted === undefined) ownKeys.forget(actor, accountId, use);
    const headers = Object.fromEntries([...response.headers].filter(([name]) => PASSED.test(name)));
    return {
      status: response.status,
      headers: { ...headers, 'x-accel-buffering': 'no' },
      body: response.body === null ? null : untilGone(response.body),
    };
  }

  /** A key of this organisation, and one that its owner has not tied to addresses: the router would see this server's. */
  async #checkPasted(text: string, accountId: string): Promise<string> {
    const { db, pepper } = this.#parts;
    const wrong = (message: string) => new AppError('invalid_request', { param: PASTED_KEY, message });
    if (!isWellFormedKey(text)) throw wrong('This is not a whole key: a character is missing or wrong.');
    const key = await keyByDigest(db, keyDigest(text, pepper));
    if (key === null || key.accountId !== accountId) throw wrong('This key is none of this organisation.');
    if (key.allowedIps !== null) {
      throw wrong('This key may only be used from certain addresses, so it cannot be used from here.');
    }
    return text;
  }
}

function sentHeaders(exchange: Exchange, hasBody: boolean): Record<string, string> {
  const given = SENT.map((name) => [name, exchange.header(name)] as const);
  return {
    ...(hasBody ? { 'content-type': 'application/json' } : {}),
    ...Object.fromEntries(given.filter((entry): entry is [(typeof SENT)[number], string] => entry[1] !== undefined)),
  };
}

/** The router's bytes; a client that left, or a router that broke off, ends them. */
async function* untilGone(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of body) yield part;
  } catch {
    // The answer ends as it was cut: without [DONE], so that no client takes it for a whole one.
  }
}
