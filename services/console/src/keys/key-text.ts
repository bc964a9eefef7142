/** How the text of a key comes to be: from randomness, or derived again for the repeat of an idempotent call. */
import { createHmac } from 'node:crypto';

/**
 * A repeat of an idempotent call must answer with the same key, and the text is stored nowhere. So its bytes are
 * HMAC-SHA-256(HMAC(pepper, purpose), nonce | counter): whoever has only the pepper, or only the database, has nothing,
 * and when the operation's row (with the nonce) is forgotten after a day nobody can derive it any more.
 */
export function derivedBytes(pepper: string, nonce: string): (count: number) => Uint8Array {
  const secret = createHmac('sha256', pepper).update('tollgate: text of a key made by an idempotent call, v1').digest();
  let counter = 0;
  let rest = Buffer.alloc(0);
  return (count) => {
    while (rest.length < count) {
      const block = createHmac('sha256', secret).update(`${nonce}|${counter++}`).digest();
      rest = Buffer.concat([rest, block]);
    }
    const out = rest.subarray(0, count);
    rest = rest.subarray(count);
    return out;
  };
}
