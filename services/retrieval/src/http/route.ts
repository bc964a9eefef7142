/** What a route of retrieval's port is: everything that Express knows of a call, without Express. */
import type { Identity } from '@tollgate/shared/contracts/internal';
import type { OncePost } from '@tollgate/shared/db/post-repeats';

/** What a route gets: the call, and for whom it is. */
export interface Call {
  who: Identity;
  params: Record<string, string>;
  query: Record<string, unknown>;
  body: unknown;
  /** Of a POST: the first of its Idempotency-Key, or a repeat. */
  post: OncePost;
  /** Aborted when the caller goes away. */
  signal: AbortSignal;
}

export interface Route {
  method: 'get' | 'post' | 'delete';
  path: string;
  /** For metrics and the log. */
  operation: string;
  /** The answer as JSON, or a `StreamedJson`. */
  handle: (call: Call) => Promise<unknown>;
}

/** An answer that is written as it is read. One that breaks off ends its connection: nobody takes it for whole. */
export class StreamedJson {
  readonly pieces: AsyncIterable<string>;

  constructor(pieces: AsyncIterable<string>) {
    this.pieces = pieces;
  }
}
