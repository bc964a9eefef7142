/** The watch of EndpointSlices against an HTTP server that plays what an API server says, good and bad. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { KubernetesSource } from './kubernetes.ts';

const PATH = '/apis/discovery.k8s.io/v1/namespaces/lab/endpointslices';

/** A slice as kube-apiserver 1.36 prints it (recorded from the lab of test/kube, shortened to what it must have). */
const slice = (name: string, version: number, addresses: string[], terminating = false) => ({
  kind: 'EndpointSlice',
  apiVersion: 'discovery.k8s.io/v1',
  metadata: {
    name,
    generateName: 'engine-',
    namespace: 'lab',
    uid: `0d7b1c6e-${name}`,
    resourceVersion: String(version),
    generation: version,
    creationTimestamp: '2026-11-21T08:00:00Z',
    labels: {
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      'kubernetes.io/service-name': 'engine',
      'tollgate.io/engine': 'vllm',
    },
    annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-21T08:00:00Z' },
  },
  addressType: 'IPv4',
  endpoints: addresses.map((address) => ({
    addresses: [address],
    conditions: { ready: !terminating, serving: true, terminating },
    targetRef: { kind: 'Pod', namespace: 'lab', name: `engine-${address}` },
    nodeName: 'gpu-1',
    zone: 'zone-1',
  })),
  ports: [{ name: 'http', protocol: 'TCP', port: 8000 }],
});
const list = (version: number, items: object[]) => ({
  kind: 'EndpointSliceList',
  apiVersion: 'discovery.k8s.io/v1',
  metadata: { resourceVersion: String(version) },
  items,
});
const status = (code: number, reason: string) => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message: reason,
  reason,
  code,
});

let folder: string;
let server: Server;
let source: KubernetesSource;
/** What was asked: `list` or `watch <version>`. */
let asked: string[];
let listing: () => [number, object];
/** One script per watch, in order; the last one repeats. */
let watches: ((response: ServerResponse) => void)[];

const send = (response: ServerResponse, type: string, object: object) =>
  response.write(`${JSON.stringify({ type, object })}\n`);

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, 'http://api');
  expect(url.pathname).toBe(PATH);
  expect(url.searchParams.get('labelSelector')).toBe('tollgate.io/engine');
  expect(request.headers.authorization).toBe('Bearer a-token');
  if (url.searchParams.get('watch') !== 'true') {
    asked.push('list');
    const [code, body] = listing();
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    return;
  }
  expect(url.searchParams.get('allowWatchBookmarks')).toBe('true');
  asked.push(`watch ${url.searchParams.get('resourceVersion')}`);
  const script = watches.length > 1 ? watches.shift()! : watches[0]!;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  script(response);
}

beforeEach(async () => {
  asked = [];
  watches = [() => {}];
  listing = () => [200, list(10, [])];
  folder = mkdtempSync(join(tmpdir(), 'tollgate-kube-'));
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace: 'lab' } }],
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: 'a-token' } }],
    }),
  );
  source = new KubernetesSource(
    { kubeconfig, namespace: null, selector: 'tollgate.io/engine', portName: 'http' },
    systemClock,
    createLogger({ service: 'test', level: 'silent' }),
    () => 0.5,
    { watchS: 300, firstPauseMs: 5, maxPauseMs: 20 },
  );
});

afterEach(async () => {
  source.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const urls = () => source.workers.map(({ url, leaving }) => `${url}${leaving ? ' leaving' : ''}`).join(' ');
const until = (text: string) => eventually(`workers: ${text}`, () => urls() === text, { everyMs: 5 });

test('lists, then follows the events of a watch', async () => {
  listing = () => [200, list(10, [slice('a', 9, ['10.244.1.2'])])];
  let stream: ServerResponse | undefined;
  watches = [(response) => (stream = response)];
  let changes = 0;
  await source.start(() => changes++);
  expect(urls()).toBe('http://10.244.1.2:8000');
  await eventually('a watch', () => stream);
  send(stream!, 'MODIFIED', slice('a', 11, ['10.244.1.2', '10.244.2.2']));
  await until('http://10.244.1.2:8000 http://10.244.2.2:8000');
  send(stream!, 'MODIFIED', slice('a', 12, ['10.244.2.2'], true));
  await until('http://10.244.2.2:8000 leaving');
  send(stream!, 'DELETED', slice('a', 13, []));
  await until('');
  expect(asked).toEqual(['list', 'watch 10']);
  expect(changes).toBe(4);
});

test('a watch that ends goes on where it was, bookmarks included, without a list', async () => {
  watches = [
    (response) => {
      send(response, 'BOOKMARK', { kind: 'EndpointSlice', metadata: { resourceVersion: '77' } });
      response.end();
    },
    (response) => send(response, 'ADDED', slice('a', 80, ['10.244.1.9'])),
  ];
  await source.start(() => {});
  await until('http://10.244.1.9:8000');
  expect(asked).toEqual(['list', 'watch 10', 'watch 77']);
});

test.each<[string, (response: ServerResponse) => void]>([
  ['as an event', (response) => send(response, 'ERROR', status(410, 'Expired'))],
  ['and the connection is cut', (response) => void response.destroy()],
])('410 Gone %s: everything is listed anew, and what was deleted meanwhile is gone', async (_how, gone) => {
  let lists = 0;
  listing = () =>
    lists++ === 0
      ? [200, list(10, [slice('old', 9, ['10.244.1.2'])])]
      : [200, list(500, [slice('new', 400, ['10.244.1.3'])])];
  const cut = _how.startsWith('as');
  watches = cut ? [gone, () => {}] : [gone, (response) => send(response, 'ERROR', status(410, 'Gone')), () => {}];
  await source.start(() => {});
  await until('http://10.244.1.3:8000');
  await eventually('a watch from there', () => asked.at(-1) === 'watch 500');
});

test('while the API server refuses, what was known stays, and the questions become rarer', async () => {
  let lists = 0;
  listing = () => {
    lists++;
    if (lists === 1) return [200, list(10, [slice('a', 9, ['10.244.1.2'])])];
    if (lists < 4) return [lists === 2 ? 500 : 403, status(500, 'InternalError')];
    return [200, list(20, [slice('a', 19, ['10.244.1.5'])])];
  };
  watches = [(response) => send(response, 'ERROR', status(500, 'InternalError')), () => {}];
  await source.start(() => {});
  expect(urls()).toBe('http://10.244.1.2:8000');
  await until('http://10.244.1.5:8000');
  await eventually('a watch from there', () => asked.at(-1) === 'watch 20');
  expect(asked.slice(0, 2)).toEqual(['list', 'watch 10']);
});

test('an API server that cannot be reached keeps nobody from starting; it is asked until it answers', async () => {
  let isThere = false;
  listing = () =>
    isThere ? [200, list(3, [slice('a', 2, ['10.244.1.2'])])] : [503, status(503, 'ServiceUnavailable')];
  await source.start(() => {});
  expect(urls()).toBe('');
  isThere = true;
  await until('http://10.244.1.2:8000');
});

test('lines that are no events do not stop it', async () => {
  watches = [
    (response) => {
      response.write('not json\n');
      send(response, 'ADDED', slice('a', 80, ['10.244.1.9']));
    },
  ];
  await source.start(() => {});
  await until('http://10.244.1.9:8000');
});
