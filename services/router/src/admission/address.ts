/** Where a request comes from, for keys that may be used from some addresses only. */
import { BlockList, isIP } from 'node:net';

/**
 * The client's address: the connection's own, or what the nearest `proxies` proxies of ours have written into
 * X-Forwarded-For. What stands further left was written by whoever wanted to, and is not looked at.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  proxies: number,
): string | null {
  const chain =
    proxies > 0
      ? (forwardedFor ?? '')
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean)
      : [];
  const found = proxies > 0 ? (chain[chain.length - proxies] ?? chain[0] ?? peer) : peer;
  const plain = found?.replace(/^::ffff:(?=\d+\.)/i, '') ?? '';
  return isIP(plain) === 0 ? null : plain;
}

const lists = new WeakMap<readonly string[], BlockList>();

/** Whether the address is one of the list's, or lies in one of its ranges. Lists are read once per record. */
export function mayComeFrom(allowed: readonly string[], address: string | null): boolean {
  if (address === null) return false;
  let list = lists.get(allowed);
  if (!list) {
    list = new BlockList();
    for (const entry of allowed) {
      const [network = '', bits] = entry.split('/');
      const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) list.addAddress(network, family);
      else list.addSubnet(network, Number(bits), family);
    }
    lists.set(allowed, list);
  }
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
