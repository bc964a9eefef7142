import { Parser } from 'htmlparser2';
import { Blocks, type ParseLimits } from './block.ts';

/** Elements whose text is not the page's. */
const SKIPPED = new Set([
  'script',
  'style',
  'template',
  'noscript',
  'svg',
  'math',
  'iframe',
  'object',
  'select',
  'textarea',
]);
/** Elements that end a paragraph where they begin and where they end. */
const BREAKING = new Set(
  (
    'address article aside blockquote body br dd details dialog div dl dt fieldset figcaption figure footer form header hr ' +
    'li main nav ol p section summary table tbody td tfoot th thead tr ul'
  ).split(' '),
);
const HEADING = /^h([1-6])$/;

export function parseHtml(text: string, limits: ParseLimits) {
  const blocks = new Blocks(limits);
  addHtml(blocks, text);
  return blocks.list;
}

/** The visible text by paragraphs, headings and table rows. What a reader would not see is left out. */
export function addHtml(blocks: Blocks, html: string): void {
  let words = '';
  let code = false;
  let heading = 0;
  let row: string[] | null = null;
  /** Depth inside an element whose text is left out. */
  let skipped = 0;
  const open: boolean[] = [];

  const flush = (): void => {
    if (row !== null) {
      const cell = words.replace(/\s+/g, ' ').trim();
      if (cell !== '') row.push(cell);
    } else if (heading > 0) blocks.add('heading', words.replace(/\s+/g, ' '), '', heading);
    else if (code) blocks.add('code', words);
    else blocks.add('text', words.replace(/[ \t\n]+/g, ' '));
    words = '';
  };
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        const hides = SKIPPED.has(name) || isHidden(attributes);
        open.push(hides);
        if (hides) skipped++;
        if (skipped > 0) return;
        const level = HEADING.exec(name);
        if (level || name === 'pre' || BREAKING.has(name) || name === 'title') flush();
        if (level) heading = Number(level[1]);
        if (name === 'title') heading = 1;
        if (name === 'pre') code = true;
        if (name === 'tr') row = [];
      },
      ontext(text) {
        if (skipped === 0) words += text;
      },
      onclosetag(name) {
        const hid = open.pop() === true;
        if (hid) skipped--;
        if (hid || skipped > 0) return;
        if (name === 'tr' && row !== null) {
          flush();
          const cells = row;
          row = null;
          blocks.add('row', cells.join(' | '));
          return;
        }
        if (HEADING.test(name) || name === 'title' || name === 'pre' || BREAKING.has(name)) flush();
        if (HEADING.test(name) || name === 'title') heading = 0;
        if (name === 'pre') code = false;
      },
    },
    { decodeEntities: true, lowerCaseTags: true },
  );
  parser.write(html);
  parser.end();
  row = null;
  flush();
}

function isHidden(attributes: Record<string, string>): boolean {
  if ('hidden' in attributes || attributes['aria-hidden'] === 'true') return true;
  return /display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])/i.test(attributes.style ?? '');
}
