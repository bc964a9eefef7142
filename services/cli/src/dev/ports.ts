/** Which ports a local start listens on. All on loopback. */
import { createServer } from 'node:net';
import type { ListenAddress } from '@tollgate/shared/runtime/config';
import { CliError } from '../output.ts';

/** Whether somebody could listen there now. */
export function isFree({ host, port }: ListenAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

export function anyFree(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** A port that people and scripts know: when taken, the start stops and names it. */
export async function claimPort(what: string, listen: ListenAddress, option: string): Promise<ListenAddress> {
  if (await isFree(listen)) return listen;
  throw new CliError(
    'port_taken',
    `port ${listen.port} on ${listen.host} (${what}) is taken by another program: stop it, or choose another with ${option}`,
  );
}

/** A port that only our own services know: the usual one, else any free one. */
export async function preferPort(port: number, host = '127.0.0.1'): Promise<ListenAddress> {
  const wanted = { host, port };
  return (await isFree(wanted)) ? wanted : { host, port: await anyFree(host) };
}

export const hostPort = ({ host, port }: ListenAddress) =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** Base URL by which this machine reaches an address that may mean "all interfaces". */
export function urlOf({ host, port }: ListenAddress): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${hostPort({ host: reachable, port })}`;
}
