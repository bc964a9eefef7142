/** Passwords: argon2id, with the parameters in the text, so that they can be raised and old hashes still verify. */
import { argon2, timingSafeEqual } from 'node:crypto';
import type { Random } from '@tollgate/shared/runtime/random';

interface Cost {
  /** KiB. */
  memory: number;
  passes: number;
  parallelism: number;
}

/** OWASP's second choice for argon2id: 19 MiB, 2 passes. */
const COST: Cost = { memory: 19_456, passes: 2, parallelism: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Hashes at one time: each takes 19 MiB and a thread. */
const WIDTH = 2;

export class Passwords {
  readonly #random: Pick<Random, 'bytes'>;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(random: Pick<Random, 'bytes'>) {
    this.#random = random;
  }

  async hash(password: string): Promise<string> {
    const salt = Buffer.from(this.#random.bytes(SALT_BYTES));
    const hash = await this.#derive(password, salt, COST);
    return `$argon2id$v=19$m=${COST.memory},t=${COST.passes},p=${COST.parallelism}$${b64(salt)}$${b64(hash)}`;
  }

  /** False for a wrong password and for no hash alike, after the same work: nobody learns who exists. */
  async verify(password: string, stored: string | null): Promise<boolean> {
    const parsed = stored === null ? null : parse(stored);
    const { salt, hash, cost } = parsed ?? {
      salt: Buffer.alloc(SALT_BYTES),
      hash: Buffer.alloc(HASH_BYTES),
      cost: COST,
    };
    const derived = await this.#derive(password, salt, cost);
    return parsed !== null && derived.length === hash.length && timingSafeEqual(derived, hash);
  }

  async #derive(password: string, nonce: Buffer, cost: Cost): Promise<Buffer> {
    if (this.#running >= WIDTH) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await new Promise((resolve, reject) => {
        const parameters = { message: Buffer.from(password.normalize('NFKC')), nonce, tagLength: HASH_BYTES, ...cost };
        argon2('argon2id', parameters, (error, hash) => (error ? reject(error) : resolve(hash)));
      });
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

const b64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

function parse(text: string): { salt: Buffer; hash: Buffer; cost: Cost } | null {
  const match = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
    text,
  );
  if (!match) return null;
  const [, memory, passes, parallelism, salt, hash] = match;
  return {
    salt: Buffer.from(salt!, 'base64'),
    hash: Buffer.from(hash!, 'base64'),
    cost: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
  };
}
