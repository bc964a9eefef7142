/** Everything that an installation of these tests keeps anywhere, by place: to look for what must not be there. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Db } from '@tollgate/shared/db/client';
import type { TestRedis } from '@tollgate/shared/testkit/redis';
import { sql } from 'kysely';

export interface Kept {
  db: Db;
  redis: TestRedis;
  /** Name -> folder. */
  folders?: Record<string, string>;
  /** Name -> text: logs, what a collector of traces was sent. */
  texts?: Record<string, string>;
}

/** Place -> everything in it: `table accounts`, `redis tg:fleet`, `spool segment-1`, `log`. */
export async function atRest({ db, redis, folders = {}, texts = {} }: Kept): Promise<Map<string, string>> {
  const places = new Map<string, string>(Object.entries(texts));
  const { rows: tables } = await sql<{ schema: string; name: string }>`
    SELECT table_schema AS schema, table_name AS name FROM information_schema.tables
    WHERE table_schema IN ('public', 'retrieval') AND table_type = 'BASE TABLE'`.execute(db);
  for (const { schema, name } of tables) {
    const { rows } = await sql<{ text: string }>`
      SELECT row_to_json(t)::text AS text FROM ${sql.table(`${schema}.${name}`)} t`.execute(db);
    places.set(`table ${name}`, rows.map(({ text }) => text).join('\n'));
  }
  for (const key of await redis.client.keys('*')) places.set(`redis ${key}`, `${key} ${await readValue(redis, key)}`);
  for (const [name, folder] of Object.entries(folders)) {
    for (const file of readdirSync(folder, { recursive: true }) as string[]) {
      const path = join(folder, file);
      if (statSync(path).isFile()) places.set(`${name} ${file}`, `${file} ${readFileSync(path, 'latin1')}`);
    }
  }
  return places;
}

/** By its type and not by DUMP, which compresses. */
async function readValue({ client }: TestRedis, key: string): Promise<string> {
  switch (await client.type(key)) {
    case 'string':
      return (await client.getBuffer(key))?.toString('latin1') ?? '';
    case 'hash':
      return JSON.stringify(await client.hgetall(key));
    case 'list':
      return JSON.stringify(await client.lrange(key, 0, -1));
    case 'set':
      return JSON.stringify(await client.smembers(key));
    case 'zset':
      return JSON.stringify(await client.zrange(key, '0', '-1'));
    case 'stream':
      return JSON.stringify(await client.xrange(key, '-', '+'));
    default:
      return '';
  }
}

/** Shorter texts are in any base64 by chance. */
const LONG_ENOUGH = 12;

/** Plain, hexadecimal, base64 at each offset: however a text may lie somewhere. */
export function shapesOf(text: string): string[] {
  if (text.length < LONG_ENOUGH) return [text];
  const base64 = [0, 1, 2].map((pad) =>
    Buffer.from(' '.repeat(pad) + text)
      .toString('base64')
      .slice(pad === 0 ? 0 : 4, -4),
  );
  return [
    text,
    Buffer.from(text).toString('hex'),
    ...base64,
    ...base64.map((part) => part.replace(/\+/g, '-').replace(/\//g, '_')),
  ];
}

/** Places that hold the text in any shape. */
export function placesOf(text: string, places: ReadonlyMap<string, string>): string[] {
  const shapes = shapesOf(text);
  return [...places].filter(([, content]) => shapes.some((shape) => content.includes(shape))).map(([place]) => place);
}
