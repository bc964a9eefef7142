import { marked, type Token, type Tokens } from 'marked';
import { Blocks, type ParseLimits } from './block.ts';
import { addHtml } from './html.ts';

/** Structure from marked's lexer: headings, paragraphs, list items, table rows, code. Nothing is rendered. */
export function parseMarkdown(text: string, limits: ParseLimits) {
  const blocks = new Blocks(limits);
  for (const token of marked.lexer(text, { gfm: true })) add(blocks, token);
  return blocks.list;
}

function add(blocks: Blocks, token: Token): void {
  switch (token.type) {
    case 'heading':
      blocks.add('heading', plain(token.tokens, token.text), '', token.depth);
      break;
    case 'code':
      blocks.add('code', token.text);
      break;
    case 'table':
      addTable(blocks, token as Tokens.Table);
      break;
    case 'list':
      for (const item of (token as Tokens.List).items) addItem(blocks, item);
      break;
    case 'blockquote':
      for (const part of token.tokens ?? []) add(blocks, part);
      break;
    case 'html':
      addHtml(blocks, token.text);
      break;
    case 'space':
    case 'hr':
    case 'def':
      break;
    default:
      blocks.add('text', plain('tokens' in token ? token.tokens : undefined, 'text' in token ? token.text : token.raw));
  }
}

function addItem(blocks: Blocks, item: Tokens.ListItem): void {
  for (const [i, part] of item.tokens.entries()) {
    if (i === 0 && part.type === 'text')
      blocks.add('row', `- ${plain('tokens' in part ? part.tokens : undefined, part.text)}`);
    else add(blocks, part);
  }
}

/** Each row says its columns' names: alone in a chunk it would mean little. */
function addTable(blocks: Blocks, { header, rows }: Tokens.Table): void {
  const names = header.map((cell) => plain(cell.tokens, cell.text));
  for (const row of rows) {
    const cells = row.map((cell, i) => `${names[i] || `column ${i + 1}`}: ${plain(cell.tokens, cell.text)}`);
    blocks.add('row', cells.join('; '));
  }
}

/** Inline text without its marks; links and pictures keep their words. */
function plain(tokens: Token[] | undefined, otherwise: string): string {
  if (!tokens || tokens.length === 0) return otherwise;
  return tokens
    .map((token) => {
      if (token.type === 'br') return '\n';
      if (token.type === 'html') return '';
      if ('tokens' in token && token.tokens) return plain(token.tokens, '');
      return 'text' in token ? unescapeHtml(String(token.text)) : '';
    })
    .join('');
}

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
const unescapeHtml = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (_all, name: string) => NAMED[name]!);
