/** Which parser a file gets: by what its bytes say first, then by its name. */
import { type Block, type ParseLimits, UnreadableFile } from './block.ts';
import { decodeText, parseText } from './text.ts';

export type FileKind = 'text' | 'markdown' | 'html' | 'pdf' | 'json' | 'jsonl' | 'csv';

const BY_EXTENSION: Record<string, FileKind> = {
  md: 'markdown',
  markdown: 'markdown',
  mdx: 'markdown',
  html: 'html',
  htm: 'html',
  xhtml: 'html',
  pdf: 'pdf',
  json: 'json',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'csv',
};
const TEXT_EXTENSIONS = new Set(
  (
    'txt text log rst adoc asciidoc tex org srt vtt xml yaml yml toml ini conf cfg env properties sql sh bash py js mjs cjs ts ' +
    'tsx jsx java kt go rs c h cc cpp hpp cs rb php swift scala lua r pl css'
  ).split(' '),
);
/** First bytes of packed and binary formats, with their names. */
const REFUSED: [string, readonly number[]][] = [
  ['a zip archive (or an office document, which is one)', [0x50, 0x4b, 0x03, 0x04]],
  ['gzip', [0x1f, 0x8b]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['7z', [0x37, 0x7a, 0xbc, 0xaf]],
  ['an old office document', [0xd0, 0xcf, 0x11, 0xe0]],
  ['a PNG picture', [0x89, 0x50, 0x4e, 0x47]],
  ['a JPEG picture', [0xff, 0xd8, 0xff]],
];
const SUPPORTED = 'text, Markdown, HTML, PDF, JSON, JSON lines, CSV';

/** @throws {UnreadableFile} `unsupported_file` */
export function kindOf(filename: string, bytes: Uint8Array): FileKind {
  const begins = (magic: readonly number[]) => magic.every((byte, i) => bytes[i] === byte);
  if (begins([0x25, 0x50, 0x44, 0x46, 0x2d])) return 'pdf';
  const packed = REFUSED.find(([, magic]) => begins(magic));
  if (packed) throw new UnreadableFile('unsupported_file', `this is ${packed[0]}; supported are ${SUPPORTED}`);
  const dot = filename.lastIndexOf('.');
  const extension = dot === -1 ? '' : filename.slice(dot + 1).toLowerCase();
  const kind = BY_EXTENSION[extension];
  if (kind === 'pdf') throw new UnreadableFile('invalid_file', 'the name says PDF, the content does not');
  if (kind !== undefined) return kind;
  if (extension === '' || TEXT_EXTENSIONS.has(extension)) return 'text';
  throw new UnreadableFile(
    'unsupported_file',
    `files of type .${extension.slice(0, 16)} are not supported: ${SUPPORTED}`,
  );
}

/** @throws {UnreadableFile} */
export async function parseFile(filename: string, bytes: Uint8Array, limits: ParseLimits): Promise<Block[]> {
  // Loaded as they are needed: each file has a thread of its own, and most need one small parser.
  const kind = kindOf(filename, bytes);
  if (kind === 'pdf') return (await import('./pdf.ts')).parsePdf(bytes, limits);
  const text = decodeText(bytes);
  switch (kind) {
    case 'markdown':
      return (await import('./markdown.ts')).parseMarkdown(text, limits);
    case 'html':
      return (await import('./html.ts')).parseHtml(text, limits);
    case 'json':
      return (await import('./json.ts')).parseJson(text, limits);
    case 'jsonl':
      return (await import('./json.ts')).parseJsonLines(text, limits);
    case 'csv': {
      const { parseCsv, delimiterOf } = await import('./csv.ts');
      return parseCsv(text, delimiterOf(text), limits);
    }
    default:
      return parseText(text, limits);
  }
}
