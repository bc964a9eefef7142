import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { PARSE_LIMITS, UnreadableFile } from './block.ts';
import { parseFile } from './kinds.ts';
import { parseInThread } from './parser.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const texts = async (name: string, content: string | Uint8Array, limits = PARSE_LIMITS) =>
  (await parseFile(name, typeof content === 'string' ? bytes(content) : content, limits)).map(
    ({ kind, text, place }) => `${kind}${place === '' ? '' : `@${place}`}: ${text}`,
  );
const refusal = async (name: string, content: string | Uint8Array, limits = PARSE_LIMITS): Promise<string> => {
  try {
    await parseFile(name, typeof content === 'string' ? bytes(content) : content, limits);
    return 'parsed';
  } catch (error) {
    return error instanceof UnreadableFile ? `${error.code}: ${error.message}` : `thrown: ${String(error)}`;
  }
};

/** A PDF of one page per text, written by hand: no library here makes them. */
export function pdfOf(pages: readonly string[][]): Uint8Array {
  const objects: string[] = [];
  const kids = pages.map((_page, i) => `${4 + i * 2} 0 R`).join(' ');
  objects.push('<< /Type /Catalog /Pages 2 0 R >>');
  objects.push(`<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`);
  objects.push('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>');
  for (const [i, lines] of pages.entries()) {
    const stream = `BT /F1 12 Tf 72 720 Td ${lines.map((line, n) => `${n > 0 ? '0 -30 Td ' : ''}(${line}) Tj`).join(' ')} ET`;
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents ${5 + i * 2} 0 R /Resources << /Font << /F1 3 0 R >> >> >>`,
    );
    objects.push(`<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`);
  }
  let text = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const at = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const xref = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n`;
  text += offsets.map((at) => `${String(at).padStart(10, '0')} 00000 n \n`).join('');
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return bytes(text);
}

/** A PDF of one page whose content is packed: small, however much it unfolds to. */
function packedPdf(content: Uint8Array): Uint8Array {
  const stream = deflateSync(content);
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << >> >>',
  ].map((object, i) => `${i + 1} 0 obj\n${object}\nendobj\n`);
  const head = `%PDF-1.4\n${objects.join('')}4 0 obj\n<< /Length ${stream.length} /Filter /FlateDecode >>\nstream\n`;
  const tail = '\nendstream\nendobj\ntrailer\n<< /Size 5 /Root 1 0 R >>\n%%EOF\n';
  return Uint8Array.from(Buffer.concat([Buffer.from(head), stream, Buffer.from(tail)]));
}

describe('each format keeps its structure', () => {
  test('text by paragraphs', async () => {
    expect(await texts('a.txt', 'one\ntwo\n\n\nthree')).toEqual(['text: one\ntwo', 'text: three']);
  });

  test('Markdown: headings, items, rows with their columns, code; marks are gone', async () => {
    const markdown =
      '# Title\nSome **bold** [link](http://x).\n\n- one\n- two\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n```js\nlet a = 1;\n```\n';
    expect(await texts('a.md', markdown)).toEqual([
      'heading: Title',
      'text: Some bold link.',
      'row: - one',
      'row: - two',
      'row: a: 1; b: 2',
      'code: let a = 1;',
    ]);
  });

  test('HTML: what a reader sees, without scripts and hidden text', async () => {
    const html =
      '<title>T</title><script>alert(1)</script><h2>Head</h2><p>One <b>two</b></p><div style="display: none">secret</div>' +
      '<p hidden>gone</p><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><pre>x\n  y</pre>';
    expect(await texts('a.html', html)).toEqual([
      'heading: T',
      'heading: Head',
      'text: One two',
      'row: a | b',
      'row: 1 | 2',
      'code: x\n  y',
    ]);
  });

  test('JSON: one block per element, each value with its path', async () => {
    expect(await texts('a.json', '[{"name":"x","tags":["a","b"],"in":{"deep":1}},{"name":"y"}]')).toEqual([
      'row@item 1: name: x\ntags: a, b\nin.deep: 1',
      'row@item 2: name: y',
    ]);
    expect(await texts('a.jsonl', '{"a":1}\n\n{"a":2}\n')).toEqual(['row@line 1: a: 1', 'row@line 3: a: 2']);
  });

  test('CSV: each value behind the name of its column, whatever the delimiter', async () => {
    for (const mark of [',', ';', '\t']) {
      expect(await texts('a.csv', `name${mark}age\nAnn${mark}7\n"B ${mark} C"${mark}\n`)).toEqual([
        'row@row 2: name: Ann; age: 7',
        `row@row 3: name: B ${mark} C`,
      ]);
    }
  });

  test('PDF: text by page and paragraph', async () => {
    expect(await texts('a.pdf', pdfOf([['First paragraph', 'Second one'], ['Next page']]))).toEqual([
      'text@page 1: First paragraph',
      'text@page 1: Second one',
      'text@page 2: Next page',
    ]);
  });
});

describe('what cannot be read is refused with its reason', () => {
  test.each([
    ['an archive', 'a.docx', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0]), /^unsupported_file: this is a zip archive/],
    ['gzip under the name of text', 'a.txt', new Uint8Array([0x1f, 0x8b, 8, 0]), /^unsupported_file: this is gzip/],
    ['an unknown type', 'a.exe', bytes('MZ'), /^unsupported_file: files of type \.exe/],
    ['bytes that are no text', 'a.txt', new Uint8Array([104, 0, 105]), /^unsupported_file: this is no text/],
    ['a broken encoding', 'a.md', new Uint8Array([0xc3, 0x28]), /^invalid_file: the text is not valid UTF-8/],
    ['broken JSON', 'a.json', bytes('{"a":'), /^invalid_file: this is not valid JSON/],
    ['a broken line', 'a.jsonl', bytes('{"a":1}\n{'), /^invalid_file: line 2/],
    ['a PDF that is none', 'a.pdf', bytes('hello'), /^invalid_file: the name says PDF/],
    ['a broken PDF', 'a.pdf', bytes('%PDF-1.4\nnothing'), /^invalid_file/],
    ['a PDF without text', 'a.pdf', pdfOf([[]]), /^unsupported_file: the PDF holds no text/],
    ['10,000 columns', 'a.csv', bytes(`${Array(10_000).fill('c').join(',')}\n`), /^file_too_large: row 1 has 10000/],
  ] as const)('%s', async (_name, filename, content, reason) => {
    expect(await refusal(filename, content)).toMatch(reason);
  });

  test('more text, or more rows, than a file may unfold to', async () => {
    const limits = { ...PARSE_LIMITS, textChars: 1_000, blocks: 50 };
    expect(await refusal('a.txt', 'x'.repeat(2_000), limits)).toMatch(/^file_too_large/);
    expect(await refusal('a.csv', `a\n${'1\n'.repeat(60)}`, limits)).toMatch(/^file_too_large/);
  });

  test('JSON nested without end', async () => {
    expect(await refusal('a.json', `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`)).toMatch(/^invalid_file/);
    expect(await refusal('a.json', `${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toMatch(/^invalid_file/);
  });
});

describe('the thread', () => {
  const options = { timeMs: 20_000, memoryMb: 64, maxChunks: 1_000 };
  const request = { filename: 'a.txt', bytes: bytes('hello world'), chunkTokens: 100, overlapTokens: 0 };

  test('gives chunks', async () => {
    expect(await parseInThread(request, options, systemClock)).toEqual([
      { heading: '', place: '', text: 'hello world', tokens: 3 },
    ]);
  });

  test('ends what takes too long, and what needs too much memory, with that reason', async () => {
    // Marks without end make the lexer slow; nested lists make it large.
    const slow = { ...request, filename: 'a.md', bytes: bytes(`${'*a_ '.repeat(60_000)}\n`) };
    await expect(parseInThread(slow, { ...options, timeMs: 150 }, systemClock)).rejects.toMatchObject({
      code: 'parse_timeout',
    });
    const large = { ...request, filename: 'a.json', bytes: bytes(`[${'{"a":1},'.repeat(700_000)}[1]]`) };
    await expect(parseInThread(large, { ...options, memoryMb: 32 }, systemClock)).rejects.toMatchObject({
      code: 'parse_memory',
    });
  }, 60_000);

  test('ends a PDF that unfolds to a thousand times its size', async () => {
    const blanks = new Uint8Array(200 * 1024 * 1024).fill(32);
    const bomb = { ...request, filename: 'a.pdf', bytes: packedPdf(blanks) };
    expect(bomb.bytes.length).toBeLessThan(300_000);
    await expect(parseInThread(bomb, { ...options, memoryMb: 48 }, systemClock)).rejects.toMatchObject({
      code: 'parse_memory',
    });
  }, 60_000);

  test('refuses a file of too many chunks, with the reason', async () => {
    const many = { ...request, bytes: bytes('word '.repeat(20_000)), chunkTokens: 100 };
    await expect(parseInThread(many, { ...options, maxChunks: 10 }, systemClock)).rejects.toMatchObject({
      code: 'file_too_large',
    });
  });
});
