import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { eventually } from '../testkit/eventually.ts';
import { openPgliteServer, type PgliteServer } from './pglite.ts';

let server: PgliteServer;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await openPgliteServer({ listen: { host: '127.0.0.1', port: 0 } });
}, 60_000);
afterAll(async () => {
  for (const client of clients) await client.end().catch(() => {});
  await server?.close();
});

async function open(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

test('connections at the same time never get each other statement, parameters or answer', async () => {
  const many = await Promise.all(Array.from({ length: 8 }, open));
  await Promise.all(
    many.map(async (client, own) => {
      for (let round = 0; round < 40; round++) {
        const values = Array.from({ length: 1 + ((own + round) % 5) }, (_, index) => `${own}-${round}-${index}`);
        const text = `SELECT ${values.map((_, index) => `$${index + 1}::text AS c${index}`).join(', ')}`;
        const { rows } = await client.query(text, values);
        expect(Object.values(rows[0])).toEqual(values);
        if (round % 7 === 0)
          await expect(client.query('SELECT $1::int / 0', [round])).rejects.toThrow('division by zero');
      }
    }),
  );
}, 60_000);

test('while one connection has a transaction open, nobody else writes into it', async () => {
  const [one, other] = [await open(), await open()];
  await one.query('CREATE TABLE t (v int)');
  await one.query('BEGIN');
  await one.query('INSERT INTO t VALUES ($1)', [1]);
  let written = false;
  const outside = other.query('INSERT INTO t VALUES ($1)', [2]).then(() => {
    written = true;
  });
  await one.query('SELECT 1');
  expect(written).toBe(false);
  await one.query('ROLLBACK');
  await outside;
  expect((await one.query('SELECT v FROM t')).rows).toEqual([{ v: 2 }]);
});

test('a connection that dies in its transaction leaves nothing behind and blocks nobody', async () => {
  const [dying, other] = [await open(), await open()];
  await other.query('CREATE TABLE d (v int)');
  await dying.query('BEGIN');
  await dying.query('INSERT INTO d VALUES (1)');
  (dying as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  expect((await other.query('SELECT count(*)::int AS n FROM d')).rows).toEqual([{ n: 0 }]);
});

test('a failed transaction is ended by its own connection; the next statement is nobody else’s problem', async () => {
  const [one, other] = [await open(), await open()];
  await one.query('BEGIN');
  await expect(one.query('SELECT no_such_column')).rejects.toThrow('no_such_column');
  await expect(one.query('SELECT 1')).rejects.toThrow('aborted');
  const outside = other.query('SELECT 7 AS seven');
  await one.query('ROLLBACK');
  expect((await outside).rows).toEqual([{ seven: 7 }]);
});

test('messages cut at every byte and junk connections are taken as they come', async () => {
  const junk = connect(server.port, '127.0.0.1');
  junk.on('error', () => {});
  junk.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
  await eventually(
    'SSL is declined',
    () => new Promise<boolean>((resolve) => junk.once('data', (data) => resolve(data.toString() === 'N'))),
  );
  junk.destroy();
  const client = await open();
  const stream = (client as unknown as { connection: { stream: NodeJS.WritableStream } }).connection.stream;
  const write = stream.write.bind(stream);
  stream.write = ((chunk: Uint8Array) => {
    for (const byte of chunk) write(Buffer.from([byte]));
    return true;
  }) as never;
  expect((await client.query('SELECT $1::text AS t', ['whole'])).rows).toEqual([{ t: 'whole' }]);
});
