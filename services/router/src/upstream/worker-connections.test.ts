import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { startRedis } from '@tollgate/shared/testkit/redis';
import { type AnswerSink, type Attempt, isConnectError } from './attempt.ts';
import { Pools } from './pools.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n';
const SHORT = `${OK}content-length: 2\r\n\r\nok`;

/** What became of one attempt. */
class Sink implements AnswerSink {
  head: [number, string] | null = null;
  text = '';
  end: 'ended' | Error | null = null;
  /** Called at the first bytes. */
  atFirst: (attempt: Attempt) => void = () => {};

  started(_attempt: Attempt, status: number, type: string): void {
    this.head = [status, type];
  }
  bytes(attempt: Attempt, chunk: Buffer): void {
    if (this.text === '') this.atFirst(attempt);
    this.text += chunk.toString('latin1');
  }
  ended(): void {
    this.end = 'ended';
  }
  failed(_attempt: Attempt, error: Error): void {
    this.end = error;
  }
}

let server: Server;
let url: string;
let sockets: Socket[];
let requests: string[];
let pools: Pools;
/** What the worker does with a request. */
let answer: (socket: Socket, request: string) => void;

beforeEach(async () => {
  sockets = [];
  requests = [];
  answer = (socket) => socket.write(SHORT);
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      const length = /content-length: (\d+)\r\n/.exec(text);
      const end = text.indexOf('\r\n\r\n') + 4;
      if (end < 4 || text.length - end < Number(length?.[1])) return;
      const request = Buffer.from(text, 'latin1').toString('utf8');
      text = '';
      requests.push(request);
      answer(socket, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  pools = new Pools({ connectTimeoutMs: 5_000, maxConnections: 3 }, systemClock);
});

afterEach(async () => {
  await pools.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function send(body = '{}', at = url): { sink: Sink; attempt: Attempt } {
  const sink = new Sink();
  return { sink, attempt: pools.send(at, '/v1/x', body, 'req_1', sink) };
}

async function ended(sink: Sink): Promise<Sink> {
  await eventually('the attempt ended', () => sink.end !== null);
  return sink;
}

describe('a generation', () => {
  test('goes out whole, with its own length, and comes back as it was sent', async () => {
    const body = JSON.stringify({ text: 'é'.repeat(100_000) });
    const { sink } = send(body);
    expect(await ended(sink)).toMatchObject({ head: [200, 'a/b'], text: 'ok', end: 'ended' });
    const [head, sent] = requests[0]!.split('\r\n\r\n') as [string, string];
    expect(sent).toBe(body);
    expect(head.split('\r\n')).toEqual([
      'POST /v1/x HTTP/1.1',
      `host: ${url.slice(7)}`,
      'content-type: application/json',
      'x-request-id: req_1',
      `content-length: ${Buffer.byteLength(body)}`,
    ]);
  });

  test('uses a connection again, but none that the worker closes or that said more than it was asked', async () => {
    await ended(send().sink);
    await new Promise((resolve) => setImmediate(resolve));
    await ended(send().sink);
    expect(sockets).toHaveLength(1);
    for (const rude of [`${OK}connection: close\r\ncontent-length: 0\r\n\r\n`, `${SHORT}more`]) {
      const before = sockets.length;
      answer = (socket) => socket.write(rude);
      expect((await ended(send().sink)).end).toBe('ended');
      answer = (socket) => socket.write(SHORT);
      await new Promise((resolve) => setImmediate(resolve));
      expect((await ended(send().sink)).text).toBe('ok');
      expect(sockets).toHaveLength(before + 1);
    }
  });

  test('meets no connection that the worker closed while it was idle', async () => {
    await ended(send().sink);
    sockets[0]!.destroy();
    await eventually('it is known to be closed', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return sockets[0]!.closed;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await ended(send().sink)).text).toBe('ok');
    expect(sockets).toHaveLength(2);
  });

  test('says whether the worker can have seen it', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(isConnectError((await ended(send('{}', nobody).sink)).end as Error)).toBe(true);
    answer = (socket) => socket.destroy();
    const { end } = await ended(send().sink);
    expect(end).toBeInstanceOf(Error);
    expect(isConnectError(end as Error)).toBe(false);
  });

  test.each([
    [`${OK}content-length: 9\r\n\r\nhalf`, 'half'],
    [`${OK}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n`, 'half'],
    [`${OK}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense`, 'half'],
    ['nonsense\r\n\r\n', ''],
  ])('that breaks off fails with what came: %j', async (text, got) => {
    answer = (socket) => socket.end(text);
    const sink = await ended(send().sink);
    expect(sink.text).toBe(got);
    expect(sink.end).toBeInstanceOf(Error);
  });

  test('that is aborted is cut at the worker, and nothing more is heard of it', async () => {
    answer = (socket) => socket.write(`${OK}content-length: 4\r\n\r\nab`);
    const { sink, attempt } = send();
    await eventually('its first bytes', () => sink.text === 'ab');
    const closed = once(sockets[0]!, 'close');
    attempt.abort();
    attempt.abort();
    await closed;
    expect(sink.end).toBeNull();
    const early = send();
    early.attempt.abort();
    answer = (socket) => socket.write(SHORT);
    expect((await ended(send().sink)).text).toBe('ok');
    expect(early.sink).toMatchObject({ head: null, end: null });
  });

  test('whose client is slow leaves the rest with the worker, and goes on', async () => {
    const chunk = 'x'.repeat(65_536);
    answer = (socket) => socket.write(`${OK}content-length: ${chunk.length * 200}\r\n\r\n${chunk.repeat(200)}`);
    const { sink, attempt } = send();
    sink.atFirst = (its) => its.pause();
    await eventually('its first bytes', () => sink.text !== '');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const got = sink.text.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(sink.text.length).toBe(got);
    expect(got).toBeLessThan(chunk.length * 200);
    attempt.resume();
    expect((await ended(sink)).text).toHaveLength(chunk.length * 200);
  });

  test('waits where there are as many as may be, and goes out when one ends', async () => {
    answer = () => {};
    const held = [send(), send(), send()];
    const waiting = [send(), send()];
    await eventually('three came', () => requests.length === 3);
    waiting[0]!.attempt.abort();
    answer = (socket) => socket.write(SHORT);
    held[0]!.attempt.abort();
    expect((await ended(waiting[1]!.sink)).text).toBe('ok');
    expect(requests).toHaveLength(4);
    await pools.close();
    expect((await ended(held[1]!.sink)).end).toBeInstanceOf(Error);
  });
});

test('a worker that is let go of finishes what it has', async () => {
  answer = () => {};
  const { sink } = send();
  await eventually('it came', () => requests.length === 1);
  pools.forgetIdle(url);
  sockets[0]!.write(SHORT);
  expect((await ended(sink)).text).toBe('ok');
  await eventually('its connection is closed', () => sockets[0]!.destroyed);
});

test('a worker that takes no connection is given up in time, and cannot have seen the request', async () => {
  // Stopped, and with as many connections as it lets wait, it answers no further one: neither yes nor no.
  const full = await startRedis({ args: ['--tcp-backlog', '1'] });
  full.freeze();
  const waiting = Array.from({ length: 4 }, () => connect(full.port, '127.0.0.1').on('error', () => {}));
  await once(waiting[0]!, 'connect');
  const hasty = new Pools({ connectTimeoutMs: 150, maxConnections: 1 }, systemClock);
  const sink = new Sink();
  hasty.send(`http://127.0.0.1:${full.port}`, '/v1/x', '{}', 'req_1', sink);
  const { end } = await ended(sink);
  expect([isConnectError(end as Error), sink.head]).toEqual([true, null]);
  await hasty.close();
  for (const socket of waiting) socket.destroy();
  await full.stop();
});
