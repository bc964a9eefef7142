/**
 * JSON grammars allow white space without end between two tokens, and models have been seen to fall into it until the token limit.
 * Counts runs outside strings, over chunks cut at any place.
 */
export const WHITESPACE_RUN = 400;

export class WhitespaceGuard {
  readonly #limit: number;
  #run = 0;
  #inString = false;
  #escaped = false;

  constructor(limit: number = WHITESPACE_RUN) {
    this.#limit = limit;
  }

  /** Feeds text as it comes; true once a run is longer than the limit: cancel the generation. */
  push(text: string): boolean {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (code === 0x5c) this.#escaped = true;
        else if (code === 0x22) this.#inString = false;
        continue;
      }
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
        if (++this.#run > this.#limit) return true;
        continue;
      }
      this.#run = 0;
      if (code === 0x22) this.#inString = true;
    }
    return false;
  }
}
