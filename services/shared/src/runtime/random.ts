/** Randomness as an argument, so that ids and jitter repeat in tests (`testkit/seeded-random`). */
import { randomBytes, randomUUID } from 'node:crypto';

export interface Random {
  /** `count` random bytes. */
  bytes(count: number): Uint8Array<ArrayBuffer>;
  /** A version 4 UUID in lower case. */
  uuid(): string;
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, below). `below` is at most 2^32. */
  int(below: number): number;
}

/** Cryptographic randomness: fit for keys, lease ids and session tokens. */
export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  uuid: () => randomUUID(),
  float: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  int: (below) => Math.floor((randomBytes(6).readUIntBE(0, 6) / 2 ** 48) * below),
};
