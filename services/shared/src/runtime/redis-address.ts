/**
 * What a Redis address says. With `?cluster=true` at its end it is that of a Redis Cluster: host and port are then those of
 * one node, or better a name that leads to any of them; user, password and TLS hold for all nodes.
 */
import type { ClusterOptions, RedisOptions } from 'ioredis';

export interface RedisAddress {
  /** As ioredis takes it: the one server, or the node to ask first. */
  url: string;
  /** null: one server. */
  cluster: ClusterAddress | null;
}

export interface ClusterAddress {
  nodes: { host: string; port: number }[];
  /** For every node: ioredis itself takes them from the address for the first node alone. */
  redisOptions: Pick<RedisOptions, 'username' | 'password' | 'tls'>;
  /** A node's certificate is for its name, so with TLS the name is what is connected to. */
  options: Pick<ClusterOptions, 'dnsLookup'>;
}

const DEFAULT_PORT = 6379;
const YES = /^(true|1|yes|on)$/i;

/** @throws TypeError for what is no URL (a configuration has looked before). */
export function redisAddress(text: string): RedisAddress {
  const url = new URL(text);
  const isCluster = url.searchParams.get('cluster');
  if (isCluster === null) return { url: text, cluster: null };
  url.searchParams.delete('cluster');
  if (!YES.test(isCluster)) return { url: url.href, cluster: null };
  const isTls = /^(rediss|valkeys):$/.test(url.protocol);
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return {
    url: url.href,
    cluster: {
      nodes: [{ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || DEFAULT_PORT }],
      redisOptions: { ...(username && { username }), ...(password && { password }), ...(isTls && { tls: {} }) },
      options: isTls ? { dnsLookup: (name, callback) => callback(null, name) } : {},
    },
  };
}
