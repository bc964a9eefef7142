import { getDocumentProxy } from 'unpdf';
import { Blocks, type ParseLimits, UnreadableFile } from './block.ts';

interface TextItem {
  str?: string;
  hasEOL?: boolean;
  /** [a, b, c, d, x, y]: the last is the height on the page. */
  transform?: number[];
  height?: number;
}

/** Text by page and paragraph. Pictures of text (scans) have none: that is told, not guessed. */
export async function parsePdf(bytes: Uint8Array, limits: ParseLimits) {
  const blocks = new Blocks(limits);
  let document: Awaited<ReturnType<typeof getDocumentProxy>>;
  try {
    document = await getDocumentProxy(bytes, { useSystemFonts: false, verbosity: 0 });
  } catch (error) {
    const locked = (error as Error).name === 'PasswordException';
    throw new UnreadableFile(
      'invalid_file',
      locked ? 'the PDF is protected by a password' : 'this is not a readable PDF',
    );
  }
  if (document.numPages > limits.pdfPages) {
    throw new UnreadableFile('file_too_large', `the PDF has ${document.numPages} pages; at most ${limits.pdfPages}`);
  }
  for (let number = 1; number <= document.numPages; number++) {
    const page = await document.getPage(number);
    const { items } = await page.getTextContent();
    for (const paragraph of paragraphs(items as TextItem[])) blocks.add('text', paragraph, `page ${number}`);
    page.cleanup();
  }
  if (blocks.list.length === 0) {
    throw new UnreadableFile(
      'unsupported_file',
      'the PDF holds no text, perhaps pictures of it: run OCR over it first',
    );
  }
  return blocks.list;
}

/** Lines that stand further apart than the writing is high begin a new paragraph. */
function paragraphs(items: readonly TextItem[]): string[] {
  const found: string[] = [];
  let text = '';
  let lastY: number | null = null;
  let height = 10;
  for (const item of items) {
    if (item.str === undefined) continue;
    const y: number = item.transform?.[5] ?? lastY ?? 0;
    if (item.height) height = item.height;
    if (lastY !== null && Math.abs(lastY - y) > height * 1.9) {
      found.push(text);
      text = '';
    }
    text += item.str;
    if (item.hasEOL) text = text.endsWith('-') ? text.slice(0, -1) : `${text} `;
    lastY = y;
  }
  found.push(text);
  return found.map((part) => part.replace(/\s+/g, ' ').trim()).filter((part) => part !== '');
}
