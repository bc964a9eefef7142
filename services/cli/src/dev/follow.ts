/** `--verbose`: the children's logs on the terminal, each line with the name of its process. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

const EVERY_MS = 200;
const CHUNK_BYTES = 65_536;

/** Prints what is added to `*.log` files of a folder from now on. Returns a function that ends it. */
export function followLogs(folder: string, print: (text: string) => void): () => void {
  const offsets = new Map<string, number>();
  for (const name of logNames(folder)) offsets.set(name, statSync(join(folder, name)).size);
  const look = () => {
    for (const name of logNames(folder)) offsets.set(name, printFrom(folder, name, offsets.get(name) ?? 0, print));
  };
  const timer = setInterval(look, EVERY_MS);
  return () => {
    clearInterval(timer);
    look();
  };
}

const logNames = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.log'));

/** Prints whole lines only; the rest waits for its end. Returns the new offset. */
function printFrom(folder: string, name: string, offset: number, print: (text: string) => void): number {
  const path = join(folder, name);
  const { size } = statSync(path);
  // A shorter file is a new one.
  const from = size < offset ? 0 : offset;
  if (size === from) return from;
  const buffer = Buffer.alloc(Math.min(size - from, CHUNK_BYTES));
  const descriptor = openSync(path, 'r');
  const read = readSync(descriptor, buffer, 0, buffer.length, from);
  closeSync(descriptor);
  const end = buffer.lastIndexOf(0x0a, read - 1);
  if (end === -1) return read === CHUNK_BYTES ? from + read : from;
  const label = `[${name.replace(/\.log$/, '')}]`;
  for (const line of buffer.toString('utf8', 0, end).split('\n')) print(`${label} ${line}\n`);
  return from + end + 1;
}
