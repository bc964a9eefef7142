import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { counts } from '../testkit/counts.ts';
import { eventually } from '../testkit/eventually.ts';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { createRedis, waitUntilReady } from './client.ts';
import { CommandRedis } from './command-redis.ts';
import { compileScript } from './script-loader.ts';

const HEADER = '\n--- KEYS: none\n--- ARGV: any\n--- RETURNS: them\n';
const ECHO = compileScript('echo', `${HEADER}return ARGV`);
const FAIL = compileScript('fail', `${HEADER}return redis.error_reply('ERR as asked')`);

let server: TestRedis;
let client: CommandRedis;

beforeAll(async () => {
  server = await startRedis();
  client = createRedis({ url: server.url, name: 'test' }) as CommandRedis;
  await waitUntilReady(client);
  for (const { text } of [ECHO, FAIL]) await client.script('LOAD', text);
});
afterAll(async () => {
  client.disconnect();
  await server.stop();
});

const echo = (...words: (string | number)[]) => client.evalsha(ECHO.sha, 0, ...words);

test('each command gets its own answer, whatever goes out beside it', async () => {
  const calls: [Promise<unknown>, unknown][] = [];
  let seed = 7;
  const next = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const big = 'é\r\n'.repeat(30_000);
  for (let i = 0; i < counts(300, 50_000); i++) {
    switch (next(8)) {
      case 0:
        calls.push([client.set(`k${i}`, `v${i}`), 'OK'], [client.get(`k${i}`), `v${i}`]);
        break;
      case 1:
        calls.push([client.getBuffer('nothing'), null]);
        break;
      case 2: {
        const pipeline = client.pipeline().set('p', i).get('p');
        calls.push([
          pipeline.exec(),
          [
            [null, 'OK'],
            [null, String(i)],
          ],
        ]);
        break;
      }
      case 3:
        calls.push([
          client.multi().set('m', i).get('m').exec(),
          [
            [null, 'OK'],
            [null, String(i)],
          ],
        ]);
        break;
      case 4:
        calls.push([client.evalsha(FAIL.sha, 0).catch((error: Error) => error.message), 'ERR as asked']);
        break;
      case 5:
        if (next(20) === 0) calls.push([echo(big, i), [big, String(i)]]);
        if (next(10) === 0) await calls.at(-1)?.[0];
        break;
      default:
        calls.push([echo('é', i, ''), ['é', String(i), '']]);
    }
  }
  for (const [call, expected] of calls) expect(await call).toEqual(expected);
  await client.set('bytes', Buffer.from([0xff, 0, 0x0d, 0x0a]));
  expect(await client.getBuffer('bytes')).toEqual(Buffer.from([0xff, 0, 0x0d, 0x0a]));
}, 120_000);

test('what was under way when the connection broke fails, and nothing of it meets the next one', async () => {
  const own = new CommandRedis(server.url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 5,
  });
  own.on('error', () => {});
  await waitUntilReady(own);
  try {
    for (let round = 0; round < counts(6, 500); round++) {
      const sent = own.evalsha(ECHO.sha, 0, 'sent').catch((error: Error) => error);
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      const unsent = own.evalsha(ECHO.sha, 0, 'unsent').catch((error: Error) => error);
      own.stream.destroy();
      expect(await unsent).toBeInstanceOf(Error);
      expect([['sent'], expect.any(Error)]).toContainEqual(await sent);
      await expect(own.evalsha(ECHO.sha, 0, 'early')).rejects.toThrow();
      await eventually('connected again', () => own.status === 'ready');
      expect(await Promise.all([own.evalsha(ECHO.sha, 0, round), own.get('none')])).toEqual([[String(round)], null]);
    }
  } finally {
    own.disconnect();
  }
}, 120_000);
