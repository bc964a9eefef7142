import { Blocks, type ParseLimits, UnreadableFile } from './block.ts';

const MAX_DEPTH = 64;

/** One block per element of a list of objects, one line per value, each with the path to it. */
export function parseJson(text: string, limits: ParseLimits) {
  const blocks = new Blocks(limits);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UnreadableFile('invalid_file', 'this is not valid JSON');
  }
  addDocument(blocks, value, 'item');
  return blocks.list;
}

/** One document per line. */
export function parseJsonLines(text: string, limits: ParseLimits) {
  const blocks = new Blocks(limits);
  let line = 0;
  for (const part of text.split('\n')) {
    line++;
    if (part.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(part);
    } catch {
      throw new UnreadableFile('invalid_file', `line ${line} is not valid JSON`);
    }
    blocks.add('row', lines(value, '').join('\n'), `line ${line}`);
  }
  return blocks.list;
}

function addDocument(blocks: Blocks, value: unknown, word: string): void {
  if (Array.isArray(value)) {
    for (const [i, entry] of value.entries()) blocks.add('row', lines(entry, '').join('\n'), `${word} ${i + 1}`);
    return;
  }
  if (typeof value === 'object' && value !== null) {
    for (const [name, entry] of Object.entries(value)) {
      if (Array.isArray(entry) && entry.some((part) => typeof part === 'object')) {
        blocks.add('heading', name, '', 1);
        addDocument(blocks, entry, 'item');
      } else blocks.add('text', lines(entry, name).join('\n'));
    }
    return;
  }
  blocks.add('text', String(value));
}

function lines(value: unknown, path: string, depth = 0): string[] {
  if (depth > MAX_DEPTH) throw new UnreadableFile('invalid_file', `the JSON is nested deeper than ${MAX_DEPTH}`);
  if (value === null) return [];
  if (typeof value !== 'object') return [path === '' ? String(value) : `${path}: ${String(value)}`];
  const plain = Array.isArray(value) && value.every((entry) => typeof entry !== 'object');
  if (plain) return value.length === 0 ? [] : [`${path === '' ? '' : `${path}: `}${value.join(', ')}`];
  return Object.entries(value).flatMap(([name, entry]) =>
    lines(entry, path === '' ? name : `${path}.${name}`, depth + 1),
  );
}
