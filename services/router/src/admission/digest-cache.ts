import { hash } from 'node:crypto';

const MAX_KEPT = 50_000;

/**
 * `digest` for keys that come again and again. An HMAC under a pepper costs some 5 us, a plain hash a tenth: so digests
 * are kept by the key's SHA-256. The key's text itself stays nowhere.
 */
export function cachedDigest(digest: (keyText: string) => string): (keyText: string) => string {
  const kept = new Map<string, string>();
  return (keyText) => {
    const name = hash('sha256', keyText, 'latin1');
    let value = kept.get(name);
    if (value === undefined) {
      value = digest(keyText);
      if (kept.size >= MAX_KEPT) kept.clear();
      kept.set(name, value);
    }
    return value;
  };
}
