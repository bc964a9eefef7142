/**
 * Requests to addresses that customers name. Nothing inside the operator's network may be reached through them: the
 * name is resolved here, every address checked, and the connection made to exactly the address that was checked, so that
 * a second answer of the name server changes nothing (DNS rebinding). Redirections are not followed.
 */
import { lookup } from 'node:dns/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP } from 'node:net';

const INSIDE = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  INSIDE.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [
  ['::', 128],
  ['::1', 128],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  INSIDE.addSubnet(network, bits, 'ipv6');

/** True for an address that the public internet cannot have; IPv4 in IPv6 clothes counts as what it is. */
export function isInside(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return INSIDE.check(address, 'ipv4');
  if (family !== 6) return true;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return INSIDE.check(mapped[1]!, 'ipv4');
  if (/^::ffff:/i.test(address)) return true;
  return INSIDE.check(address, 'ipv6');
}

/** Why this address can be no target, as far as its text tells; null when it may be. */
export function targetProblem(text: string, allowInside: boolean): string | null {
  if (!URL.canParse(text)) return 'is not an address';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be http or https';
  if (url.username || url.password) return 'must hold no credentials';
  if (allowInside) return null;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 ? isInside(host) : /(^|\.)(localhost|local|internal|home\.arpa)\.?$/i.test(host)) {
    return 'must not lie in a private network';
  }
  return null;
}

export class TargetRefused extends Error {
  override readonly name = 'TargetRefused';
}

export interface OutboundAnswer {
  status: number;
}

/** How much of an answer is read before the connection is cut; nothing in it is of use. */
const ANSWER_BYTES = 64 * 1024;

export interface OutboundRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
  deadlineMs: number;
  allowInside: boolean;
  /** Tests name their own. */
  resolve?: (host: string) => Promise<{ address: string; family: number }[]>;
}

/** One POST. @throws {TargetRefused} for a target inside; whatever the connection throws; TimeoutError past the deadline. */
export async function postOutside(input: OutboundRequest): Promise<OutboundAnswer> {
  const problem = targetProblem(input.url, input.allowInside);
  if (problem) throw new TargetRefused(problem);
  const url = new URL(input.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const resolve = input.resolve ?? ((name: string) => lookup(name, { all: true }));
  const found = isIP(host) !== 0 ? [{ address: host, family: isIP(host) }] : await resolve(host);
  // All of them: one public address among private ones is how such a check is got around.
  if (!input.allowInside && found.some(({ address }) => isInside(address))) {
    throw new TargetRefused('must not lie in a private network');
  }
  const chosen = found[0];
  if (!chosen) throw new TargetRefused('has no address');
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((done, fail) => {
    const signal = AbortSignal.timeout(input.deadlineMs);
    const request = send(
      url,
      {
        method: 'POST',
        headers: { ...input.headers, 'content-length': String(Buffer.byteLength(input.body)) },
        agent: false,
        signal,
        // What was checked is what is connected to; the name still goes into SNI and Host.
        lookup: (_name, options, callback) => {
          if (options.all) (callback as unknown as (error: null, all: typeof found) => void)(null, [chosen]);
          else callback(null, chosen.address, chosen.family);
        },
      },
      (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES) response.destroy();
        });
        response.on('error', () => {});
        response.on('close', () => done({ status: response.statusCode ?? 0 }));
      },
    );
    request.on('error', (error) => fail(signal.aborted ? (signal.reason as Error) : error));
    request.end(input.body);
  });
}
