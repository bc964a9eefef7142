/** An nginx with the configuration that infra/nginx recommends, on an address of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { dyingWithParent, findNginx } from '../../services/shared/src/runtime/binaries.mjs';
import { processTree } from '../load/procfs.ts';

const infra = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../infra/nginx/${name}`, import.meta.url)), 'utf8');
const long = { deadlineMs: 60_000 };

export interface Nginx {
  readonly url: string;
  /** Which routers it knows, and which of them get nothing new; resolves when no older worker takes connections. */
  route(routers: readonly { address: string; down: boolean }[]): Promise<void>;
  /** What it logged as an error. */
  errors(): string;
  stop(): Promise<void>;
}

/** Replaces exactly one place of a text. */
function replaceOnce(text: string, from: string, to: string): string {
  if (text.split(from).length !== 2) throw new Error(`not exactly one ${from}`);
  return text.replace(from, () => to);
}

/** `address host:port` as the example file writes a router. */
function routersFile(routers: readonly { address: string; down: boolean }[]): string {
  const example = /^server \S+?( .*);$/m.exec(infra('tollgate-routers.conf'))?.[1];
  if (example === undefined) throw new Error('the example file names no router');
  return routers.map(({ address, down }) => `server ${address}${example}${down ? ' down' : ''};\n`).join('');
}

export async function startNginx(host: string, addresses: readonly string[]): Promise<Nginx> {
  const found = findNginx();
  if (!found) throw new Error('no nginx');
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-nginx-'));
  mkdirSync(join(folder, 'temp'));
  const port = await freePort();
  const routersPath = join(folder, 'routers.conf');
  const errorLog = join(folder, 'error.log');
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/temp/${name};`,
  );
  const server = replaceOnce(
    replaceOnce(infra('tollgate.conf'), 'include /etc/nginx/tollgate-routers.conf;', `include ${routersPath};`),
    'listen 80;',
    `listen ${host}:${port};`,
  );
  writeFileSync(
    join(folder, 'nginx.conf'),
    `worker_processes 2;\ndaemon off;\npid ${folder}/nginx.pid;\nerror_log ${errorLog} warn;\nevents { worker_connections 1024; }\nhttp {\naccess_log off;\n${temps.join('\n')}\n${server}\n}\n`,
  );
  const write = (routers: readonly { address: string; down: boolean }[]) =>
    writeFileSync(routersPath, routersFile(routers));
  write(addresses.map((address) => ({ address, down: false })));

  const line = dyingWithParent(found.program, ['-p', folder, '-c', join(folder, 'nginx.conf')], 'TERM');
  const child: ChildProcess = spawn(line.command, line.args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: childEnvironment(found.env),
  });
  const master = child.pid!;
  await eventually('nginx listens', () => listening(host, port), long);
  const workers = () => processTree(master).filter((pid) => pid !== master);
  return {
    url: `http://${host}:${port}`,
    async route(routers) {
      write(routers);
      const before = workers();
      child.kill('SIGHUP');
      await eventually(
        'older workers take nothing new',
        () => workers().some((pid) => !before.includes(pid)) && before.every(isLeaving),
        long,
      );
    },
    errors: () => readFileSync(errorLog, 'utf8'),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await gone;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A worker that finishes what it has says so in its title; one that has finished is gone. */
function isLeaving(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('shutting down');
  } catch {
    return true;
  }
}

async function listening(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}
