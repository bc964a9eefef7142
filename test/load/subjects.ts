/** What is measured: gateways in front of the same upstream, each a process tree of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { dyingWithParent, findNginx, onPath } from '../../services/shared/src/runtime/binaries.mjs';
import { available, openFileLimit, processTree } from './procfs.ts';

export interface Subject {
  name: string;
  version: string;
  port: number;
  /** Processes whose CPU and memory count as the gateway's. */
  pids(): number[];
  /** Keys that its requests carry; any text where it does not look. */
  keys: readonly string[];
  /** Headers that it needs besides. */
  headers?: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Folders in which Debian and others keep servers; a plain user's PATH may lack sbin. */
const FOLDERS = '/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin';
const NO_KEYS = Array.from({ length: 64 }, (_, i) => `tg_live_none${i}`);

async function listening(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}

/**
 * Runs `program` so that it dies with the bench, and waits until `port` takes connections. What it prints goes to
 * `logFile`: a file costs the program what a container's log costs it, and the bench nothing.
 */
export async function runServer(
  program: string,
  args: string[],
  port: number,
  logFile: string,
  env: Record<string, string | undefined> = {},
): Promise<ChildProcess> {
  const line = dyingWithParent(program, args, 'TERM');
  const log = openSync(logFile, 'a');
  const child = spawn(line.command, line.args, { stdio: ['ignore', log, log], env: childEnvironment(env) });
  closeSync(log);
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${program} ended at once: ${readFileSync(logFile, 'utf8').slice(-2000).trim()}`);
  });
  await Promise.race([eventually(`${program} listens on ${port}`, () => listening(port)), ended]);
  ended.catch(() => {});
  return child;
}

/** SIGTERM, then SIGKILL after 10 s. */
export async function endServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(timer);
}

function versionOf(program: string, flag: string, pattern: RegExp): string {
  try {
    // nginx prints its version on stderr.
    const text = execFileSync('/bin/sh', ['-c', `"$0" ${flag} 2>&1`, program], { encoding: 'utf8' });
    return pattern.exec(text)?.[1] ?? '?';
  } catch {
    return '?';
  }
}

function treeOfAtLeast(child: ChildProcess, count: number): number[] | null {
  const tree = processTree(child.pid ?? 0);
  return tree.length >= count ? tree : null;
}

/** nginx with one worker process, keep-alive to the upstreams, no buffering; null when it is not installed. */
export async function startNginx(upstreamPorts: readonly number[]): Promise<Subject | null> {
  const found = findNginx();
  if (!found) return null;
  const { program } = found;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-nginx-'));
  mkdirSync(join(folder, 'temp'));
  const servers = upstreamPorts.map((each) => `server 127.0.0.1:${each};`).join(' ');
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/temp/${name};`)
    .join('\n  ');
  const files = Math.min(40_000, openFileLimit());
  const text = `worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr crit;
worker_rlimit_nofile ${files};
events { worker_connections ${files}; }
http {
  access_log off;
  client_max_body_size 10m;
  client_body_buffer_size 256k;
  keepalive_requests 1000000;
  keepalive_timeout 300s;
  ${temps}
  upstream workers { ${servers} keepalive 2048; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://workers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`;
  writeFileSync(join(folder, 'nginx.conf'), text);
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf')];
  const child = await runServer(program, args, port, join(folder, 'log'), found.env);
  // The master forks its worker after it listens; the worker is what serves.
  const pids = available ? await eventually('nginx has its worker', () => treeOfAtLeast(child, 2)) : [];
  return {
    name: 'nginx',
    version: versionOf(program, '-v', /nginx\/(\S+)/),
    port,
    pids: () => pids,
    keys: NO_KEYS,
    async stop() {
      await endServer(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** haproxy with one thread; null when it is not installed. */
export async function startHaproxy(upstreamPorts: readonly number[]): Promise<Subject | null> {
  const program = onPath('haproxy', FOLDERS);
  if (!program) return null;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-haproxy-'));
  const servers = upstreamPorts.map((each, i) => `  server s${i} 127.0.0.1:${each}`).join('\n');
  const text = `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 60s
  timeout client 300s
  timeout server 300s
  option http-no-delay
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  http-reuse always
${servers}
`;
  writeFileSync(join(folder, 'haproxy.cfg'), text);
  const child = await runServer(program, ['-db', '-q', '-f', join(folder, 'haproxy.cfg')], port, join(folder, 'log'));
  const pids = available ? processTree(child.pid ?? 0) : [];
  return {
    name: 'haproxy',
    version: versionOf(program, '-v', /version (\S+)/),
    port,
    pids: () => pids,
    keys: NO_KEYS,
    async stop() {
      await endServer(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A proxy of express and undici (node-floor.ts): tells the cost of the platform from the cost of the product. */
export const startNodeFloor = (upstreamPorts: readonly number[]): Promise<Subject> =>
  startInNode('node floor', 'express + undici', './node-floor.ts', upstreamPorts);

/** Bytes from socket to socket in Node, without HTTP (node-sockets.ts): what no proxy in Node can go below. */
export const startNodeSockets = (upstreamPorts: readonly number[]): Promise<Subject> =>
  startInNode('node sockets', 'node:net, no HTTP', './node-sockets.ts', upstreamPorts);

async function startInNode(
  name: string,
  version: string,
  file: string,
  upstreamPorts: readonly number[],
): Promise<Subject> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-node-'));
  const script = fileURLToPath(new URL(file, import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', script, String(port), ...upstreamPorts.map(String)];
  const child = await runServer(process.execPath, args, port, join(folder, 'log'), {
    NODE_ENV: 'production',
    NODE_OPTIONS: undefined,
  });
  const pids = available ? processTree(child.pid ?? 0) : [];
  return {
    name,
    version,
    port,
    pids: () => pids,
    keys: NO_KEYS,
    async stop() {
      await endServer(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The upstream itself, without a gateway: what latency is added to. */
export function direct(port: number): Subject {
  return { name: 'direct', version: '', port, pids: () => [], keys: NO_KEYS, stop: async () => {} };
}
