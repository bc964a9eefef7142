import { Blocks, type ParseLimits, UnreadableFile } from './block.ts';

/** Paragraphs, parted by blank lines. */
export function parseText(text: string, limits: ParseLimits) {
  const blocks = new Blocks(limits);
  for (const part of text.split(/\r?\n[ \t]*(?:\r?\n)+/)) blocks.add('text', part);
  return blocks.list;
}

/** Text of a file that should be text: UTF-8, or UTF-16 when it says so in its first bytes. */
export function decodeText(bytes: Uint8Array): string {
  const utf16 =
    bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
  try {
    const text = new TextDecoder(utf16 ?? 'utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\0')) throw new UnreadableFile('unsupported_file', 'this is no text: it holds bytes of value 0');
    return text;
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw new UnreadableFile('invalid_file', 'the text is not valid UTF-8');
  }
}
